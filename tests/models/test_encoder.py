from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from fastpanel import models
from fastpanel.errors import ConfigError, ModelError, ParameterError

OWN = {"model_name": "factor_latent", "guide_name": "encoder_guide"}


def settings(config, backend, model, steps=400, svi=None):
    raw = {"standardize_targets": False}
    return config(backend, steps=steps, lr=0.03, model=model, training=raw, svi=svi or {})


@pytest.fixture(scope="module")
def fitted(simulate, config):
    """One panel with gaps, fitted by a back end and model when first asked for."""
    truth = simulate(T=300, A=5, F=2)
    truth.y[40:60, 1] = np.nan
    truth.y[100] = np.nan

    @cache
    def fit(backend, exact=False):
        model = {} if exact else OWN
        return models.fit(truth.X, truth.y, settings(config, backend, model))

    return truth, fit


@pytest.mark.slow
def test_the_encoder_comes_close_to_the_exact_marginal(fitted, backend):
    # given the parameters a week's factors are normal with a mean linear in its residuals, so
    # that the bound can nearly be reached: factor_model_v1 integrates them out exactly
    truth, fit = fitted
    exact, state = fit("pyro", exact=True), fit(backend)
    gap = state.losses[-50:].mean() - exact.losses[-50:].mean()
    assert -0.01 < gap < 0.03
    np.testing.assert_allclose(state.params["beta_loc"], truth.beta, atol=0.08)
    sigma2 = np.exp(2 * state.params["sigma_loc"])
    loadings = state.params["loadings_loc"]
    np.testing.assert_allclose(loadings @ loadings.T + np.diag(sigma2), truth.covariance, atol=0.2)


@pytest.mark.slow
def test_forecasts_draw_new_factors(fitted, config, backend):
    truth, fit = fitted
    got = models.predict(truth.X[:1], fit(backend), settings(config, backend, OWN), 1500)
    cov = np.cov(got["samples"][:, 0].T)
    np.testing.assert_allclose(cov, truth.covariance, atol=0.25)


def test_parameters_do_not_grow_with_the_weeks(simulate, config):
    sizes = []
    for weeks in (30, 60):
        truth = simulate(T=weeks, A=3, F=1)
        state = models.fit(truth.X, truth.y, settings(config, "pyro", OWN, steps=1))
        sizes.append({name: value.shape for name, value in state.params.items()})
    assert sizes[0] == sizes[1]
    assert sizes[0]["encoder_direct"] == (3, 1)


def test_masked_entries_do_not_reach_the_encoder(simulate, config):
    truth = simulate(T=40, A=3, F=1)
    y = truth.y.copy()
    y[5, 1] = y[7] = np.nan
    given = settings(config, "pyro", OWN, steps=4)
    base = models.fit(truth.X, y, given)
    X = truth.X.copy()
    X[5, 1], X[7] = 9.0, 1e6
    np.testing.assert_array_equal(models.fit(X, y, given).losses, base.losses)


def test_what_does_not_fit_is_named(simulate, config, backend):
    truth = simulate(T=40, A=3, F=1)
    with pytest.raises(ConfigError, match="tbptt_window_len"):
        given = settings(config, backend, OWN, steps=1, svi={"tbptt_window_len": 20})
        models.fit(truth.X, truth.y, given)
    with pytest.raises(ParameterError, match="hidden is 0"):
        given = settings(config, backend, OWN | {"guide_params": {"hidden": 0}}, steps=1)
        models.fit(truth.X, truth.y, given)
    with pytest.raises(ModelError, match="'factor_latent', not TestModel"):
        model = {"model_name": "test_model", "guide_name": "encoder_guide"}
        given = settings(config, backend, model, steps=1)
        given["model"]["params"] = {}
        models.fit(truth.X, truth.y, given)
