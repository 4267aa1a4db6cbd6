from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fastpanel import models
from fastpanel.errors import ModelError, ParameterError, ShapeError
from fastpanel.models import FitState


def known_state(backend, A=4, F=3, K=1, spread=1e-4):
    """A posterior that is almost a point, so that the predictive law is known."""
    rng = np.random.default_rng(2)
    locs = {
        "alpha_loc": rng.normal(size=A),
        "beta_loc": rng.normal(size=F),
        "loadings_loc": rng.normal(size=(A, K)),
        "sigma_loc": 0.3 * rng.normal(size=A),
    }
    params = {}
    for name, value in locs.items():
        params[name] = value
        params[name.replace("_loc", "_scale")] = np.full(value.shape, 2 * spread)
    return FitState(
        backend=backend,
        model_name="factor_model_v1",
        guide_name="factor_guide_v1",
        params=params,
        center=rng.normal(size=A),
        scale=np.exp(rng.normal(size=A)),
        losses=np.zeros(0),
        n_obs=10,
        n_assets=A,
        n_features=F,
        rows=(0, 10),
        seed=0,
    )


def analytic(state, X):
    p = state.params
    mean = state.center + state.scale * (p["alpha_loc"] + X @ p["beta_loc"])
    cov = p["loadings_loc"] @ p["loadings_loc"].T + np.diag(np.exp(2 * p["sigma_loc"]))
    return mean, cov * np.outer(state.scale, state.scale)


def test_mean_and_covariance_match_the_analytic_ones(backend, config):
    state = known_state(backend)
    X = np.random.default_rng(0).normal(size=(3, 4, 3))
    n = 8000
    forecast = models.predict(X, state, config(backend), n)
    mean, cov = analytic(state, X)
    np.testing.assert_allclose(forecast["mean"], mean, atol=0.005)
    error = np.sqrt(np.diag(cov) / n)
    assert (np.abs(forecast["samples"].mean(0) - mean) < 5 * error).all()
    bound = 5 * np.sqrt((cov**2 + np.outer(np.diag(cov), np.diag(cov))) / n)
    for t in range(3):
        assert (np.abs(np.cov(forecast["samples"][:, t].T) - cov) < bound).all()


def test_parameter_uncertainty_is_in_the_draws(backend, config):
    state = known_state(backend)
    wide = dict(state.params) | {"alpha_scale": np.full(4, 3.0)}
    wide = FitState(**{**vars(state), "params": wide})
    X = np.zeros((1, 4, 3))
    n = 6000
    narrow_draws = models.predict(X, state, config(backend), n)["samples"][:, 0]
    draws = models.predict(X, wide, config(backend), n)["samples"][:, 0]
    gain = (draws.var(0) - narrow_draws.var(0)) / state.scale**2
    np.testing.assert_allclose(gain, 9.0, rtol=0.15)


def test_weeks_are_drawn_independently_given_parameters(backend, config):
    state = known_state(backend)
    draws = models.predict(np.zeros((2, 4, 3)), state, config(backend), 6000)["samples"]
    assert abs(np.corrcoef(draws[:, 0, 0], draws[:, 1, 0])[0, 1]) < 0.06


def test_unusable_features_give_nan_there_and_only_there(backend, config):
    state = known_state(backend)
    X = np.random.default_rng(0).normal(size=(3, 4, 3))
    clean = models.predict(X, state, config(backend), 20)
    X[1, 2, 0] = np.nan
    got = models.predict(X, state, config(backend), 20)
    assert np.isnan(got["samples"][:, 1, 2]).all()
    assert np.isnan(got["mean"][1, 2])
    others = np.ones((3, 4), dtype=bool)
    others[1, 2] = False
    np.testing.assert_array_equal(got["samples"][:, others], clean["samples"][:, others])


def test_later_rows_do_not_change_earlier_draws(config):
    state = known_state("numpyro")
    X = np.random.default_rng(0).normal(size=(30, 4, 3))
    settings = config("numpyro")
    long, short = (models.predict(x, state, settings, 20)["samples"] for x in (X, X[:4]))
    np.testing.assert_allclose(long[:, :4], short, atol=1e-5)


def test_more_draws_extend_fewer(config):
    state = known_state("numpyro")
    X = np.zeros((1, 4, 3))
    few, many = (models.predict(X, state, config("numpyro"), n) for n in (300, 700))
    np.testing.assert_allclose(many["samples"][:300], few["samples"], atol=1e-5)
    assert len(np.unique(many["samples"][:, 0, 0])) == 700


def test_seeds(backend, config):
    state, X = known_state(backend), np.zeros((1, 4, 3))
    one, again, other = (
        models.predict(X, state, config(backend, seed=s), 10)["samples"] for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).all()


def test_refits_draw_afresh(backend, config):
    state, X = known_state(backend), np.zeros((1, 4, 3))
    later = FitState(**{**vars(state), "rows": (0, 11)})
    first, second = (models.predict(X, s, config(backend), 10)["samples"] for s in (state, later))
    assert (first != second).all()


def test_student_predictive_has_heavy_joint_tails(backend, config):
    state = known_state(backend)
    params = {k: v for k, v in state.params.items() if not k.startswith("loadings")}
    state = FitState(**{**vars(state), "model_name": "factor_student_t", "params": params})
    model = {
        "model_name": "factor_student_t",
        "params": {"num_factors": 0, "likelihood": {"df": 4.0}},
    }
    draws = models.predict(np.zeros((1, 4, 3)), state, config(backend, model=model), 8000)
    mean, _ = analytic(
        FitState(**{**vars(state), "params": known_state(backend).params}), np.zeros((1, 4, 3))
    )
    z = (draws["samples"][:, 0] - mean) / (state.scale * np.exp(params["sigma_loc"]))
    assert stats.kstest(z[:, 0], stats.t(4).cdf).pvalue > 1e-3
    assert stats.spearmanr(np.abs(z[:, 0]), np.abs(z[:, 1])).statistic > 0.05


def test_errors(backend, config):
    state, settings = known_state(backend), config(backend)
    with pytest.raises(ShapeError, match=r"\[T, 4, 3\]"):
        models.predict(np.zeros((1, 4, 2)), state, settings, 5)
    with pytest.raises(ShapeError, match="no rows"):
        models.predict(np.zeros((0, 4, 3)), state, settings, 5)
    with pytest.raises(ParameterError, match="num_samples is 0"):
        models.predict(np.zeros((1, 4, 3)), state, settings, 0)
    with pytest.raises(ModelError, match="does not fit"):
        models.predict(
            np.zeros((1, 4, 3)), state, config(backend, model={"guide_name": "mean_field"}), 5
        )
