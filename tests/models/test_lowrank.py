from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy import stats

from fastpanel.models._lowrank import quadratic
from fastpanel.models.numpyro_ import _distributions as jax_dist
from fastpanel.models.pyro_ import _distributions as torch_dist

T, A = 12, 7


def case(K, seed=3):
    rng = np.random.default_rng(seed)
    observed = rng.random((T, A)) > 0.3
    observed[0], observed[1] = True, False
    return {
        "value": rng.normal(size=(T, A)),
        "loc": 0.3 * rng.normal(size=(T, A)),
        "loadings": rng.normal(size=(A, K)) if K else None,
        "sigma": np.exp(0.4 * rng.normal(size=A)),
        "observed": observed,
    }


def covariance(c):
    shared = c["loadings"] @ c["loadings"].T if c["loadings"] is not None else 0.0
    return shared + np.diag(c["sigma"] ** 2)


def reference(c, df=None):
    """Density of the observed sub-vector of each row, by SciPy."""
    full, out = covariance(c), np.zeros(T)
    for t in range(T):
        keep = np.flatnonzero(c["observed"][t])
        if len(keep):
            where = {"loc": c["loc"][t, keep], "shape": full[np.ix_(keep, keep)], "df": df}
            if df is None:
                law = stats.multivariate_normal(where["loc"], where["shape"])
            else:
                law = stats.multivariate_t(**where)
            out[t] = law.logpdf(c["value"][t, keep])
    return out


@pytest.mark.parametrize("K", [0, 1, 2, 4, 6])
@pytest.mark.parametrize("df", [None, 3.5])
def test_log_density_of_observed_entries_matches_scipy(K, df):
    c = case(K)
    expected = reference(c, df)
    names = ("loc", "loadings", "sigma", "observed")
    tail = () if df is None else (df,)
    kind = "FactorNormal" if df is None else "FactorStudentT"
    args = [None if c[n] is None else torch.as_tensor(c[n]) for n in names]
    got = getattr(torch_dist, kind)(*tail, *args).log_prob(torch.as_tensor(c["value"]))
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-10, atol=1e-10)
    args = [
        None if c[n] is None else jnp.asarray(c[n], bool if n == "observed" else jnp.float32)
        for n in names
    ]
    got = getattr(jax_dist, kind)(*tail, *args).log_prob(jnp.asarray(c["value"], jnp.float32))
    np.testing.assert_allclose(np.asarray(got), expected, rtol=2e-5, atol=2e-5)


def test_fully_masked_row_has_density_one():
    c = case(2)
    args = (torch.as_tensor(c[n]) for n in ("loc", "loadings", "sigma", "observed"))
    got = torch_dist.FactorNormal(*args).log_prob(torch.as_tensor(c["value"]))
    assert got[1] == 0.0


@pytest.mark.parametrize("K", [0, 1, 3, 6])
def test_draws_have_the_stated_covariance(K):
    c = case(K)
    expected, n = covariance(c), 40_000
    c["observed"] = None
    loc = np.zeros((1, A))
    loadings = c["loadings"]
    jaxed = jax_dist.FactorNormal(
        jnp.asarray(loc),
        None if loadings is None else jnp.asarray(loadings),
        jnp.asarray(c["sigma"]),
    ).sample(jax.random.key(0), (n,))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torched = torch_dist.FactorNormal(
            torch.as_tensor(loc),
            None if loadings is None else torch.as_tensor(loadings),
            torch.as_tensor(c["sigma"]),
        ).rsample((n,))
    for draws in (np.asarray(jaxed), torched.numpy()):
        got = np.cov(draws[:, 0].T)
        error = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / n)
        assert (np.abs(got - expected) < 5 * error).all()


def test_student_draws_share_one_tail_per_week():
    # uncorrelated assets, yet squared draws correlate: corr(x^2, y^2) = 1 / (df - 1) for t
    df, n = 9.0, 60_000
    draws = np.asarray(
        jax_dist.FactorStudentT(df, jnp.zeros((1, 2)), None, jnp.ones(2)).sample(
            jax.random.key(1), (n,)
        )
    )[:, 0]
    assert stats.kstest(draws[:, 0], stats.t(df).cdf).pvalue > 1e-3
    assert np.corrcoef(draws.T**2)[0, 1] == pytest.approx(1 / (df - 1), abs=0.04)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        law = torch_dist.FactorStudentT(df, torch.zeros(1, 2), None, torch.ones(2))
        torched = law.rsample((n,)).numpy()[:, 0]
    assert stats.kstest(torched[:, 0], stats.t(df).cdf).pvalue > 1e-3
    assert np.corrcoef(torched.T**2)[0, 1] == pytest.approx(1 / (df - 1), abs=0.04)


def test_row_draws_do_not_depend_on_later_rows():
    key = jax.random.key(5)
    for build in (
        lambda n: jax_dist.FactorNormal(jnp.zeros((n, A)), jnp.ones((A, 2)), jnp.ones(A)),
        lambda n: jax_dist.FactorStudentT(4.0, jnp.zeros((n, A)), jnp.ones((A, 2)), jnp.ones(A)),
    ):
        long, short = (jax.jit(lambda k, n=n: build(n).sample(k))(key) for n in (9, 4))  # noqa: B023
        np.testing.assert_array_equal(long[:4], short)


def test_gradient_is_finite_for_extreme_residuals():
    def loss(log_sigma):
        terms = quadratic(jnp, jnp.full((2, 3), 1e6), jnp.ones((3, 1)), log_sigma, jnp.ones((2, 3)))
        return terms[0].sum() + terms[1].sum()

    assert np.isfinite(np.asarray(jax.grad(loss)(jnp.zeros(3)))).all()


@pytest.mark.parametrize("masked", [True, False])
def test_the_compiled_density_calls_no_lapack(masked):
    # two batched LAPACK calls at a time block every worker of XLA's pool on the CPU
    c = {k: None if v is None else jnp.asarray(v, jnp.float32) for k, v in case(8).items()}
    observed = c["observed"].astype(bool) if masked else None

    def loss(loadings, sigma):
        law = jax_dist.FactorStudentT(4.0, c["loc"], loadings, sigma, observed)
        return law.log_prob(c["value"]).sum()

    text = jax.jit(jax.grad(loss)).lower(c["loadings"], c["sigma"]).as_text()
    assert "custom_call" not in text


@pytest.mark.parametrize("df", [None, 3.5])
@pytest.mark.parametrize("K", [0, 3, 6])
def test_without_a_mask_the_density_is_that_of_full_rows(K, df):
    c = case(K)
    c["observed"] = np.ones((T, A), dtype=bool)
    expected = reference(c, df)
    kind = "FactorNormal" if df is None else "FactorStudentT"
    tail = () if df is None else (df,)
    names = ("loc", "loadings", "sigma")
    args = [None if c[n] is None else torch.as_tensor(c[n]) for n in names]
    got = getattr(torch_dist, kind)(*tail, *args).log_prob(torch.as_tensor(c["value"]))
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-10)
    args = [None if c[n] is None else jnp.asarray(c[n], jnp.float32) for n in names]
    got = getattr(jax_dist, kind)(*tail, *args).log_prob(jnp.asarray(c["value"], jnp.float32))
    np.testing.assert_allclose(np.asarray(got), expected, rtol=2e-5, atol=2e-5)
