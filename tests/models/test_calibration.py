from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fastpanel import models


def pit_of(truth, settings, fit_rows, draws=400):
    state = models.fit(truth.X[:fit_rows], truth.y[:fit_rows], settings)
    samples = models.predict(truth.X[fit_rows:], state, settings, draws)["samples"]
    return state, samples, (samples < truth.y[fit_rows:]).mean(0)


@pytest.mark.slow
@pytest.mark.parametrize("df", [None, 4.0])
def test_predictive_intervals_cover(simulate, config, backend, df):
    truth = simulate(T=1120, A=5, F=4, df=df, unit=0.02, seed=11)
    model = {} if df is None else {"model_name": "factor_student_t"}
    _, samples, pit = pit_of(truth, config(backend, model=model), 320)
    for level in (0.5, 0.8, 0.95):
        inside = (np.abs(pit - 0.5) < level / 2).mean()
        assert inside == pytest.approx(level, abs=0.03)
    # joint: the equal-weight portfolio covers too, which independent assets would not
    book = (samples.mean(2) < truth.y[320:].mean(1)).mean(0)
    assert stats.kstest(book, "uniform").pvalue > 1e-3


@pytest.mark.slow
def test_default_prior_is_not_over_confident_on_noise(config):
    # 45 useless features: forecasts hardly move, intervals cover out of sample
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(600, 8, 45)), 0.03 * rng.normal(size=(600, 8))
    svi = {"num_steps": 600, "learning_rate": 0.01, "lr_decay": 0.05}
    settings = {"model": {"backend": "numpyro"}, "training": {"svi": svi}}
    state = models.fit(X[:200], y[:200], settings)
    forecast = models.predict(X[200:], state, settings, 300)
    assert forecast["mean"].std() < 0.2 * y.std()
    pit = (forecast["samples"] < y[200:]).mean(0)
    assert (np.abs(pit - 0.5) < 0.45).mean() == pytest.approx(0.9, abs=0.02)


@pytest.mark.slow
def test_heavy_tails_are_learned(simulate, config, backend):
    truth = simulate(T=800, df=4.0, seed=3)
    model = {"model_name": "factor_student_t"}
    state = models.fit(truth.X, truth.y, config(backend, model=model))
    assert 2.8 < 2 + np.exp(state.params["df_excess_loc"]) < 6.0
