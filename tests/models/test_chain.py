from __future__ import annotations

import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numba
import numpy as np
import pyro
import pytest
import torch
from pyro import distributions as dist
from pyro.infer import TraceEnum_ELBO, config_enumerate
from scipy import stats

from fastpanel.errors import ModelError, ParameterError, ShapeError
from fastpanel.models import _regime, _volatility
from fastpanel.models._chain import CARRIED, CONTINUE, STATIONARY, carried_rows
from fastpanel.models._markov import forward, rouwenhorst, uniform_moves


@numba.njit
def compiled_forward(log_emission, initial, transition):
    """Textbook forward algorithm in log space, row by row."""
    n_rows, size = log_emission.shape
    alpha = np.log(initial) + log_emission[0]
    for t in range(1, n_rows):
        moved = np.empty(size)
        for j in range(size):
            into = alpha + np.log(transition[:, j])
            peak = into.max()
            moved[j] = peak + np.log(np.exp(into - peak).sum())
        alpha = moved + log_emission[t]
    peak = alpha.max()
    total = peak + np.log(np.exp(alpha - peak).sum())
    return total, np.exp(alpha - total)


def dense_emission(y, loc, shift, loadings, sigma, scales, observed):
    """Log density of each row in each state by dense normals over the observed assets."""
    out = np.zeros((len(y), len(scales[0])))
    for g, (factor, noise) in enumerate(zip(*scales, strict=True)):
        cov = factor**2 * loadings @ loadings.T + noise**2 * np.diag(sigma**2)
        for t in range(len(y)):
            k = np.flatnonzero(observed[t])
            if len(k):
                mean = loc[t, k] + shift[g, k]
                out[t, g] = stats.multivariate_normal(mean, cov[np.ix_(k, k)]).logpdf(y[t, k])
    return out


def problem(T=200, A=4, K=1, G=3, seed=0):
    rng = np.random.default_rng(seed)
    site = {"jump": rng.uniform(0.5, 1.5, G - 1), "shift": 0.3 * rng.normal(size=(G - 1, A))}
    site["stay"] = rng.uniform(3.0, 30.0, G)
    shift, scales, chain = _regime.states(np, site)
    observed = rng.random((T, A)) > 0.1
    observed[50:53] = False
    return SimpleNamespace(
        y=np.where(observed, 2.0 * rng.normal(size=(T, A)), 0.0),
        loc=rng.normal(size=(T, A)),
        shift=shift,
        loadings=rng.normal(size=(A, K)),
        sigma=rng.uniform(0.5, 1.5, A),
        scales=scales,
        chain=chain,
        observed=observed,
    )


def distribution(p, library):
    """The problem's observation distribution in double precision."""
    if library == "pyro":
        from fastpanel.models.pyro_._chain import MarkovFactorNormal

        array = torch.as_tensor
    else:
        from fastpanel.models.numpyro_._chain import MarkovFactorNormal

        array = jnp.asarray
    scales, chain = (tuple(array(a) for a in pair) for pair in (p.scales, p.chain))
    parts = (array(a) for a in (p.loc, p.shift, p.loadings, p.sigma))
    return MarkovFactorNormal(*parts, scales, chain, array(p.observed)), array(p.y)


@pytest.mark.parametrize(("T", "K"), [(200, 1), (37, 6), (1, 2)])
def test_likelihood_is_that_of_a_compiled_forward_algorithm(backend, T, K):
    p = problem(T=T, K=K)
    dense = dense_emission(p.y, p.loc, p.shift, p.loadings, p.sigma, p.scales, p.observed)
    expected, law = compiled_forward(dense, *p.chain)
    with jax.enable_x64(True):
        fn, y = distribution(p, backend)
        compiled = jax.jit if backend == "numpyro" else lambda function: function
        both = compiled(lambda value: (fn.log_prob(value), fn.filtered(value)))(y)
    assert float(both[0]) == pytest.approx(expected, rel=1e-12, abs=1e-8)
    np.testing.assert_allclose(np.asarray(both[1]), law, atol=1e-9)


def enumerated_loss(p, T):
    """Negative log likelihood of the same model with explicit states under ``pyro.markov``."""
    emission = torch.as_tensor(
        dense_emission(p.y, p.loc, p.shift, p.loadings, p.sigma, p.scales, p.observed)
    )
    initial, transition = (torch.as_tensor(a) for a in p.chain)
    dims = []

    @config_enumerate
    def model():
        state = None
        for t in pyro.markov(range(T)):
            probs = initial if state is None else transition[state]
            state = pyro.sample(f"state_{t}", dist.Categorical(probs))
            dims.append(state.dim())
            pyro.factor(f"obs_{t}", emission[t][state])

    return TraceEnum_ELBO(max_plate_nesting=0).loss(model, lambda: None), max(dims)


def test_two_hundred_enumerated_states_give_the_same_likelihood_in_few_dimensions():
    p = problem(T=200, G=2)
    expected, dims = enumerated_loss(p, 200)
    fn, y = distribution(p, "pyro")
    assert -float(fn.log_prob(y)) == pytest.approx(expected, abs=1e-8)
    assert dims <= 5


@pytest.mark.slow
def test_states_enumerated_in_a_scan_give_the_same_likelihood():
    import numpyro
    from numpyro.contrib.control_flow import scan
    from numpyro.contrib.funsor import config_enumerate as enumerate_all
    from numpyro.contrib.funsor import enum, log_density

    p = problem(T=25, A=1, G=2)
    p.observed[:] = True
    p.y = np.random.default_rng(2).normal(size=p.y.shape)
    spread = np.sqrt(p.scales[0] ** 2 * p.loadings[0, 0] ** 2 + p.scales[1] ** 2 * p.sigma[0] ** 2)
    with jax.enable_x64(True):
        initial, transition = map(jnp.asarray, p.chain)
        shift, scale = jnp.asarray(p.shift[:, 0]), jnp.asarray(spread)
        rows = jnp.asarray(p.loc[:, 0]), jnp.asarray(p.y[:, 0])

        def model():
            def observe(name, state, loc, value):
                fn = numpyro.distributions.Normal(loc + shift[state], scale[state])
                numpyro.sample(name, fn, obs=value)

            def row(state, now):
                moved = numpyro.distributions.Categorical(transition[state])
                state = numpyro.sample("state", moved)
                observe("obs", state, *now)
                return state, None

            first = numpyro.sample("first", numpyro.distributions.Categorical(initial))
            observe("obs_first", first, rows[0][0], rows[1][0])
            scan(row, first, tuple(part[1:] for part in rows))

        got = float(log_density(enum(enumerate_all(model), -1), (), {}, {})[0])
        fn, y = distribution(p, "numpyro")
        assert float(jax.jit(fn.log_prob)(y)) == pytest.approx(got, abs=1e-8)


def test_gradients_agree_and_ignore_masked_entries():
    p = problem(T=40)
    with jax.enable_x64(True):
        loc = torch.as_tensor(p.loc).requires_grad_()
        fn, y = distribution(SimpleNamespace(**vars(p) | {"loc": loc}), "pyro")
        fn.log_prob(y).backward()

        def score(loc):
            fn, y = distribution(SimpleNamespace(**vars(p) | {"loc": loc}), "numpyro")
            return fn.log_prob(y)

        other = np.asarray(jax.jit(jax.grad(score))(jnp.asarray(p.loc)))
    np.testing.assert_allclose(loc.grad.numpy(), other, atol=1e-10)
    assert (other[~p.observed] == 0).all()
    assert (other[p.observed] != 0).all()


def test_a_fully_masked_row_only_moves_the_chain(backend):
    rng = np.random.default_rng(1)
    emission = rng.normal(size=(5, 3))
    initial, chain = uniform_moves(np, np.array([5.0, 3.0, 9.0]))
    emission[2] = 0.0
    whole = forward(np, np.asarray, emission, initial, chain)[0]
    # the same by leaving the row out and squaring its transition
    first = forward(np, np.asarray, emission[:2], initial, chain)
    rest = forward(np, np.asarray, emission[3:], first[1] @ chain @ chain, chain)
    assert whole == pytest.approx(first[0] + rest[0], abs=1e-12)
    # and rows before the first observation leave the stationary law alone
    padded = np.r_[np.zeros((7, 3)), emission]
    np.testing.assert_allclose(
        forward(np, np.asarray, padded, initial, chain)[1],
        forward(np, np.asarray, emission, initial, chain)[1],
        atol=1e-12,
    )


def test_long_products_stay_in_range():
    emission = np.full((4000, 2), -1e4)
    emission[::2, 1] = -1e6
    initial, chain = uniform_moves(np, np.array([20.0, 5.0]))
    value, law = forward(np, np.asarray, emission, initial, chain)
    assert math.isfinite(value)
    assert law.sum() == pytest.approx(1.0)


def test_uniform_moves():
    initial, chain = uniform_moves(np, np.array([4.0, 1.0, 9.0]))
    np.testing.assert_allclose(np.diag(chain), [0.8, 0.5, 0.9])
    np.testing.assert_allclose(chain[0], [0.8, 0.1, 0.1])
    np.testing.assert_allclose(initial @ chain, initial)
    assert initial.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.9, 0.995])
@pytest.mark.parametrize("size", [2, 3, 9])
def test_levels_have_the_moments_of_the_autoregression(phi, size):
    initial, chain = rouwenhorst(np, np.array(phi), size)
    level = math.sqrt(size - 1) * np.linspace(-1, 1, size)
    np.testing.assert_allclose(initial @ chain, initial, atol=1e-14)
    np.testing.assert_allclose(chain @ level, phi * level, atol=1e-12)
    assert initial @ level**2 == pytest.approx(1.0)
    np.testing.assert_allclose(chain @ level**2, 1 + phi**2 * (level**2 - 1), atol=1e-12)


def test_states_of_the_volatility_model():
    site = {"vol_of_vol": np.array(0.6), "persistence": np.array(9.0), "exposure": np.array(0.5)}
    shift, (factor, noise), (initial, chain) = _volatility.states(np, site, 5)
    assert shift is None
    np.testing.assert_allclose(2 * np.log(factor), 0.6 * np.array([-2.0, -1, 0, 1, 2]))
    np.testing.assert_allclose(noise, np.sqrt(factor))
    level = np.linspace(-2, 2, 5)
    np.testing.assert_allclose(chain @ level, 0.9 * level, atol=1e-12)
    assert initial[2] == pytest.approx(6 / 16)


def test_regimes_are_ordered_by_scale():
    site = {"jump": np.array([1.0, 0.5]), "shift": np.ones((2, 4)), "stay": np.full(3, 19.0)}
    shift, (factor, noise), _ = _regime.states(np, site)
    np.testing.assert_allclose(factor, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(factor, noise)
    np.testing.assert_array_equal(shift[:, 0], [0.0, 1.0, 1.0])


CARRY = {"ends": np.array([9.0, 29.0]), "filtered": np.array([[0.9, 0.1], [0.2, 0.8]])}


def test_rows_start_from_the_last_stretch_that_ended_before_them():
    index = [3, 4, 12, 13, 15, 31, 32]
    carry = carried_rows(CARRY, 30, 7, index, "m")
    assert carry.start.tolist() == [
        STATIONARY,
        CONTINUE,
        CARRIED,
        CONTINUE,
        CONTINUE,
        CARRIED,
        CONTINUE,
    ]
    assert carry.steps.tolist() == [0, 1, 3, 1, 2, 2, 1]
    np.testing.assert_array_equal(carry.filtered[2], [0.9, 0.1])
    np.testing.assert_array_equal(carry.filtered[5], [0.2, 0.8])


def test_without_positions_rows_follow_the_training():
    carry = carried_rows(CARRY, 30, 2, None, "m")
    assert (carry.start.tolist(), carry.steps.tolist()) == ([CARRIED, CONTINUE], [1, 1])


def test_wrong_positions_are_refused():
    with pytest.raises(ShapeError, match="there are 2 rows"):
        carried_rows(CARRY, 30, 2, [1], "m")
    with pytest.raises(ParameterError, match="strictly increasing"):
        carried_rows(CARRY, 30, 2, [4, 4], "m")
    with pytest.raises(ModelError, match="'m' carries no hidden state"):
        carried_rows({}, 30, 1, None, "m")
