"""The models with a hidden chain: what they learn, carry forward and forecast."""

from __future__ import annotations

import importlib
import itertools
from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest
from numpyro import handlers
from scipy import stats

from fastpanel import models
from fastpanel.errors import ModelError
from fastpanel.models import FitState
from fastpanel.models._config import parse_config
from fastpanel.models._prepare import prepare

CHAINS = ["factor_regime", "factor_stochastic_vol"]
POSITIVE = {"stay", "sigma", "jump"}


def simulate_chain(name, T=400, A=5, seed=0):
    """Panel from the model itself, by plain NumPy: X, y, state of each row."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(T, A, 2))
    if name == "factor_regime":
        state = np.zeros(T, dtype=int)
        for t in range(1, T):
            stays = rng.random() < (0.97, 0.9)[state[t - 1]]
            state[t] = state[t - 1] if stays else 1 - state[t - 1]
        factor = noise = np.where(state == 1, 2.5, 1.0)
    else:
        state = np.zeros(T)
        for t in range(1, T):
            state[t] = 0.95 * state[t - 1] + np.sqrt(1 - 0.95**2) * rng.normal()
        factor, noise = np.exp(state / 2), np.exp(0.25 * state)
    shocks = factor[:, None] * rng.normal(size=(T, 1)) * 0.6
    shocks = shocks + noise[:, None] * 0.6 * rng.normal(size=(T, A))
    return X, X @ np.array([0.4, -0.3]) + shocks, state


def settings(config, backend, name, steps=300, **extra):
    raw = {"standardize_targets": False}
    model = {"model_name": name}
    return config(backend, steps=steps, lr=0.03, model=model, training=raw, **extra)


@pytest.fixture(scope="module")
def fitted(config):
    """A model's panel fitted by a back end, when first asked for."""

    @cache
    def fit(name, backend):
        X, y, _ = simulate_chain(name)
        return models.fit(X, y, settings(config, backend, name))

    return fit


@pytest.mark.slow
def test_regimes_are_recovered(fitted, backend):
    params = fitted("factor_regime", backend).params
    np.testing.assert_allclose(params["beta_loc"], [0.4, -0.3], atol=0.06)
    assert 1 + np.exp(params["jump_loc"][0]) == pytest.approx(2.5, abs=0.4)
    stay = 1 / (1 + np.exp(-params["stay_loc"]))
    np.testing.assert_allclose(stay, [0.97, 0.9], atol=0.06)
    np.testing.assert_allclose(np.exp(params["sigma_loc"]), 0.6, atol=0.08)


@pytest.mark.slow
def test_stochastic_volatility_is_recovered(fitted, backend):
    params = fitted("factor_stochastic_vol", backend).params
    np.testing.assert_allclose(params["beta_loc"], [0.4, -0.3], atol=0.06)
    assert np.exp(params["vol_of_vol_loc"]) == pytest.approx(1.0, abs=0.45)
    assert 1 / (1 + np.exp(-params["persistence_loc"])) == pytest.approx(0.95, abs=0.04)
    assert np.exp(params["exposure_loc"]) == pytest.approx(0.5, abs=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHAINS)
def test_both_back_ends_agree(fitted, name):
    numpyro, pyro = (fitted(name, b) for b in ("numpyro", "pyro"))
    assert set(numpyro.params) == set(pyro.params)
    for key, value in numpyro.params.items():
        if key.endswith("_loc") and key != "shift_loc":
            np.testing.assert_allclose(value, pyro.params[key], atol=0.12, err_msg=key)
    assert numpyro.losses[-50:].mean() == pytest.approx(pyro.losses[-50:].mean(), abs=0.02)
    np.testing.assert_allclose(numpyro.carry["filtered"], pyro.carry["filtered"], atol=0.05)
    assert numpyro.carry["ends"].tolist() == [399.0]


def known_state(name, carry, backend="numpyro", A=3):
    """A posterior that is almost a point: calm scale 1, jump to 3, or wide volatility."""
    locs = {"alpha": np.zeros(A), "beta": np.zeros(2), "sigma": np.zeros(A)}
    locs["loadings"] = np.full((A, 1), 0.5)
    if name == "factor_regime":
        locs |= {"jump": np.log([2.0]), "shift": np.full((1, A), 1.0), "stay": np.log([9.0, 4.0])}
    else:
        locs |= {k: np.log(v) for k, v in (("vol_of_vol", 1.0), ("persistence", 4.0))}
        locs["exposure"] = np.log(1.0)
    params = {f"{k}_loc": np.asarray(v, dtype=float) for k, v in locs.items()}
    params |= {f"{k}_scale": np.full(np.shape(v), 2e-4) for k, v in locs.items()}
    return FitState(
        backend=backend,
        model_name=name,
        guide_name="factor_guide_v1",
        params=params,
        center=np.zeros(A),
        scale=np.ones(A),
        losses=np.zeros(0),
        n_obs=10,
        n_assets=A,
        n_features=2,
        rows=(0, 20),
        seed=0,
        carry=carry,
    )


def forecast(config, state, backend, rows, draws=4000):
    given = settings(config, backend, state.model_name, predict_index=rows)
    return models.predict(np.zeros((len(rows), 3, 2)), state, given, draws)


@pytest.mark.slow
def test_forecasts_start_from_the_filtered_regime(config, backend):
    carry = {"ends": np.array([19.0]), "filtered": np.array([[0.0, 1.0]])}
    state = known_state("factor_regime", carry, backend)
    rows = [20, 21, 25, 120]
    got = forecast(config, state, backend, rows)
    chain = np.array([[0.9, 0.1], [0.2, 0.8]])
    for i, steps in enumerate((1, 2, 6, 101)):
        law = np.array([0.0, 1.0]) @ np.linalg.matrix_power(chain, steps)
        np.testing.assert_allclose(got["mean"][i], law[1], atol=0.01)  # the shift is 1
        variance = 1.25 * (law @ [1.0, 9.0]) + law[1] * law[0]
        assert got["samples"][:, i].var() == pytest.approx(variance, rel=0.12)
    # rows share one path of regimes: big weeks come together
    size = np.abs(got["samples"]).mean(2)
    assert np.corrcoef(size[:, 0], size[:, 1])[0, 1] > 0.1
    # before any training row: the stationary law
    early = forecast(config, state, backend, [3])
    np.testing.assert_allclose(early["mean"], 1 / 3, atol=0.01)


@pytest.mark.slow
def test_forecasts_start_from_the_filtered_volatility(config, backend):
    filtered = np.eye(9)[-1:]
    state = known_state("factor_stochastic_vol", {"ends": np.array([19.0]), "filtered": filtered})
    got = forecast(config, state, backend, [20, 60])
    top = np.sqrt(8.0)
    near = got["samples"][:, 0].var()
    assert near == pytest.approx(1.25 * np.exp(0.8 * top), rel=0.25)
    assert near > 3 * got["samples"][:, 1].var()


def test_the_state_after_each_stretch_comes_from_that_stretch(config, backend):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(60, 3))
    y[30:] *= 4.0
    given = settings(config, backend, "factor_regime", train_index=np.r_[0:30, 50:80])
    state = known_state("factor_regime", {}, backend)
    module = importlib.import_module(f"fastpanel.models.{backend}_._filter")

    def law(y):
        prepared = prepare(np.zeros((60, 3, 2)), y, given, parse_config(given))
        assert prepared.ends.tolist() == [29.0, 79.0]
        return module.filtered(prepared, parse_config(given), state)

    base = law(y)
    assert base[0, 1] < 0.2
    assert base[1, 1] > 0.8
    y[31:] = 0.1 * y[31:]
    y[50] = np.nan
    later = law(y)
    np.testing.assert_array_equal(later[0], base[0])
    assert later[1, 1] < 0.5
    # an independent forward pass at the posterior's centre
    cov = 0.25 + np.eye(3)
    density = [
        stats.multivariate_normal(np.full(3, r), cov * (1, 9)[r]).logpdf(y[:30]) for r in (0, 1)
    ]
    alpha = np.array([2 / 3, 1 / 3])
    for t, row in enumerate(np.exp(np.transpose(density))):
        alpha = (alpha @ [[0.9, 0.1], [0.2, 0.8]] if t else alpha) * row
        alpha /= alpha.sum()
    np.testing.assert_allclose(base[0], alpha, atol=0.01)


def test_hidden_states_are_those_of_every_path_written_out(config, backend):
    rng = np.random.default_rng(5)
    y = rng.normal(size=(8, 3)) * np.array([1, 1, 3, 3, 1, 1, 3, 1.0])[:, None]
    y[4, 1] = y[6] = np.nan
    given = settings(config, backend, "factor_regime", train_index=np.r_[0:5, 9:12])
    state = known_state("factor_regime", {}, backend)
    got = models.hidden_states(np.zeros((8, 3, 2)), y, state, given)
    initial, chain = np.array([2 / 3, 1 / 3]), np.array([[0.9, 0.1], [0.2, 0.8]])
    cov = 0.25 + np.eye(3)

    def density(t, r):
        seen = np.flatnonzero(np.isfinite(y[t]))
        if not len(seen):
            return 1.0
        law = stats.multivariate_normal(np.full(len(seen), r), cov[np.ix_(seen, seen)] * (1, 9)[r])
        return law.pdf(y[t, seen])

    def weights(rows):
        for path in itertools.product((0, 1), repeat=len(rows)):
            weight = initial[path[0]] * np.prod(chain[path[:-1], path[1:]])
            yield path, weight * np.prod([density(t, r) for t, r in zip(rows, path, strict=True)])

    for rows in (range(5), range(5, 8)):
        best, top, total = None, 0.0, np.zeros((len(rows), 2))
        for path, weight in weights(rows):
            total[np.arange(len(rows)), path] += weight
            best, top = (path, weight) if weight > top else (best, top)
        want = total / total.sum(1, keepdims=True)
        np.testing.assert_allclose(got.smoothed[list(rows)], want, atol=2e-3)
        assert tuple(got.path[list(rows)]) == best
        for i, t in enumerate(rows):
            last = np.zeros(2)
            for path, weight in weights(rows[: i + 1]):
                last[path[-1]] += weight
            np.testing.assert_allclose(got.filtered[t], last / last.sum(), atol=2e-3)


def test_filtered_states_see_no_later_row(config):
    rng = np.random.default_rng(6)
    X, y = np.zeros((30, 3, 2)), rng.normal(size=(30, 3))
    given, state = (
        settings(config, "pyro", "factor_regime"),
        known_state("factor_regime", {}, "pyro"),
    )
    base = models.hidden_states(X, y, state, given)
    y[20] += 50.0
    moved = models.hidden_states(X, y, state, given)
    np.testing.assert_array_equal(moved.filtered[:20], base.filtered[:20])
    assert moved.filtered[20, 1] > 0.99 > base.filtered[20, 1]
    assert moved.smoothed[19, 1] > 10 * base.smoothed[19, 1]
    assert moved.path[20] == 1


def test_hidden_states_need_a_chain(config):
    state = replace(known_state("factor_regime", {}, "pyro"), model_name="factor_model_v1")
    with pytest.raises(ModelError, match="'factor_model_v1' has no hidden chain"):
        models.hidden_states(np.zeros((4, 3, 2)), np.zeros((4, 3)), state, {})


def test_well_separated_regimes_are_recovered(config):
    rng = np.random.default_rng(8)
    truth = np.repeat([0, 1, 0, 1, 0], [80, 30, 90, 40, 60])
    shocks = 0.5 * rng.normal(size=(300, 1)) + rng.normal(size=(300, 3))
    y = truth[:, None] + np.array([1.0, 3.0])[truth][:, None] * shocks
    given = settings(config, "pyro", "factor_regime")
    state = known_state("factor_regime", {}, "pyro")
    got = models.hidden_states(np.zeros((300, 3, 2)), y, state, given)
    assert (got.path == truth).mean() > 0.95
    assert (got.smoothed.argmax(1) == truth).mean() > 0.95
    # the future helps to place a change
    assert (got.smoothed[np.arange(300), truth]).mean() > got.filtered[np.arange(300), truth].mean()
    np.testing.assert_allclose(got.filtered[-1], got.smoothed[-1])


def test_masked_targets_have_no_influence(config):
    X, y, _ = simulate_chain("factor_regime", T=60, A=3)
    y[10:20, 1] = np.nan
    y[30] = np.nan
    given = settings(config, "pyro", "factor_regime", steps=5)
    base = models.fit(X, y, given)
    X[10:20, 1], X[30] = 7.0, 1e6
    again = models.fit(X, y, given)
    for name, value in base.params.items():
        np.testing.assert_array_equal(value, again.params[name])
    np.testing.assert_array_equal(base.carry["filtered"], again.carry["filtered"])


def test_a_state_without_a_hidden_state_is_refused(config, backend):
    state = known_state("factor_regime", {}, backend)
    with pytest.raises(ModelError, match="carries no hidden state"):
        forecast(config, state, backend, [20], draws=2)


def test_carried_state_is_saved(tmp_path):
    carry = {"ends": np.array([19.0]), "filtered": np.array([[0.25, 0.75]])}
    state = known_state("factor_regime", carry)
    state.save(tmp_path / "s")
    back = FitState.load(tmp_path / "s")
    assert set(back.carry) == {"ends", "filtered"}
    for name, value in carry.items():
        np.testing.assert_array_equal(back.carry[name], value)
    assert replace(state, carry={}).carry == {}


def test_complexity_grows_with_what_the_priors_leave_open():
    def of(name, **params):
        return models.complexity(name, params, 6, 4)

    plain = of("factor_model_v1")
    assert plain < of("factor_stochastic_vol") < plain + 3
    assert plain < of("factor_regime") < of("factor_regime", num_regimes=3)
    assert of("factor_regime", regimes={"shift": 0.01}) < of("factor_regime")


class Drawn:
    """Panels of a model with parameters from its prior, the last week held back."""

    def __init__(self, config, name, count=48):
        self.given = settings(config, "numpyro", name, steps=400)
        given = {"coefficients": {"scale": 0.5}}
        model = models.default_model_registry("numpyro")[name](given)

        @jax.jit
        def prior(key, X):
            trace = handlers.trace(handlers.seed(model, key)).get_trace(models.ModelBatch(X))
            return {site: trace[site]["value"] for site in trace if trace[site]["type"] == "sample"}

        rng = np.random.default_rng(0)
        self.X = [rng.normal(size=(65, 2, 1)).astype(np.float32) for _ in range(count)]
        self.truths = [
            {k: np.asarray(v, float) for k, v in prior(jax.random.key(number), X).items()}
            for number, X in enumerate(self.X)
        ]

    def states(self, count, guide="factor_guide_v1", steps=400):
        svi = {**self.given["training"]["svi"], "num_steps": steps}
        given = {
            **self.given,
            "model": {**self.given["model"], "guide_name": guide},
            "training": {**self.given["training"], "svi": svi},
        }
        rows = slice(0, 64)
        pairs = zip(self.X[:count], self.truths, strict=False)
        return models.fit_many([models.FitJob(X[rows], t["obs"][rows], given) for X, t in pairs])

    def errors(self, states, site):
        """Of the posterior's centre, in its standard deviations, on the unconstrained scale."""
        found = []
        for truth, state in zip(self.truths, states, strict=False):
            loc, sd = posterior(state, site, truth)
            value = np.log(truth[site]) if site in POSITIVE else truth[site]
            if site == "loadings":  # a factor has no sign of its own
                value = value * np.sign((value * loc).sum())
            found.append((value - loc) / sd)
        return np.ravel(found)


def posterior(state, site, truth):
    """Centre and standard deviation of a site, unconstrained."""
    if f"{site}_loc" in state.params:
        return state.params[f"{site}_loc"], state.params[f"{site}_scale"]
    sites = sorted(name for name in truth if name != "obs")
    start = sum(truth[name].size for name in sites[: sites.index(site)])
    own = slice(start, start + truth[site].size)
    sd = np.sqrt((state.params["auto_scale_tril"] ** 2).sum(1))
    shape = truth[site].shape
    return state.params["auto_loc"][own].reshape(shape), sd[own].reshape(shape)


@pytest.fixture(scope="module")
def draw(config):
    return cache(lambda name: Drawn(config, name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["factor_model_v1", "factor_student_t", *CHAINS])
def test_simulation_based_calibration(draw, name):
    drawn = draw(name)
    states = drawn.states(48)
    asks = [
        models.PredictJob(X[64:], state, drawn.given, 199)
        for X, state in zip(drawn.X, states, strict=True)
    ]
    ranks = np.array(
        [
            (forecast["samples"][:, 0] < truth["obs"][64]).mean(0)
            for forecast, truth in zip(models.predict_many(asks), drawn.truths, strict=True)
        ]
    )
    assert stats.kstest(ranks[:, 0], "uniform").pvalue > 1e-3
    assert stats.chisquare(np.histogram(ranks, bins=8, range=(0, 1))[0]).pvalue > 1e-3
    # sigma, loadings and jump are correlated, so that a mean field is too narrow for them
    for site in [site for site in ("alpha", "beta", "stay") if site in drawn.truths[0]]:
        z = drawn.errors(states, site)
        assert 0.7 < z.std() < 1.4, site
        assert abs(z.mean()) < 0.35, site


@pytest.mark.slow
def test_a_guide_with_correlations_is_wider_where_they_matter(draw):
    drawn = draw("factor_regime")
    plain = drawn.states(32)
    joint = drawn.states(32, "AutoMultivariateNormal", steps=800)
    for site, most in (("jump", 1.6), ("loadings", 1.5), ("sigma", 2.1)):
        narrow, wide = (drawn.errors(states, site).std() for states in (plain, joint))
        assert wide < 0.92 * narrow, site
        assert wide < most, site
    for site in ("alpha", "beta", "stay"):
        assert 0.7 < drawn.errors(joint, site).std() < 1.4, site
