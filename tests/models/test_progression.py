"""Automatic guides in turn, each placed where the one before ended."""

from __future__ import annotations

import numpy as np
import pytest

from fastpanel import models
from fastpanel.errors import ParameterError

NAMES = ["AutoDelta", "AutoNormal", "AutoLowRankMultivariateNormal"]


@pytest.fixture(scope="module")
def panel():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 3, 2))
    return X, X @ np.array([0.5, -0.4]) + rng.normal(size=(64, 3))


def given(config, backend, steps=80, lr=0.03, **guide_params):
    model = {"guide_params": guide_params}
    return config(backend, steps=steps, lr=lr, model=model, svi={"num_elbo_particles": 4})


def test_the_three_guides_run_in_turn_and_report_their_losses(panel, config):
    X, y = panel
    # rank and width reach the guides that know them
    settings = given(config, "pyro", init_scale=0.02, rank=1)
    states = models.fit_progression(X, y, settings)
    assert list(states) == NAMES
    for name, state in states.items():
        assert state.guide_name == name
        assert len(state.losses) == 80
        assert np.isfinite(state.report.loss)
    assert states[NAMES[2]].params["auto_cov_factor"].shape == (11, 1)
    # all of them find the coefficients
    want = X[:4] @ np.array([0.5, -0.4])
    for name, state in states.items():
        own = {**settings, "model": {**settings["model"], "guide_name": name, "guide_params": {}}}
        if name == NAMES[2]:
            own["model"]["guide_params"] = {"rank": 1}
        got = models.predict(X[:4], state, own, 100)["mean"]
        np.testing.assert_allclose(got, want, atol=0.6)


@pytest.mark.parametrize(
    "backend", ["pyro", pytest.param("numpyro", marks=pytest.mark.slow)], indirect=True
)
def test_each_guide_starts_where_the_one_before_ended(panel, config, backend):
    still = {**given(config, backend, init_scale=0.02), "seed": 3}
    still["training"]["svi"]["learning_rate"] = 1e-9
    point, normal, lowrank = models.fit_progression(*panel, still).values()
    for site in ("alpha", "beta", "loadings", "sigma"):
        value = point.params[f"{site}_auto_loc"]
        free = np.log(value) if site == "sigma" else value
        np.testing.assert_allclose(normal.params[f"{site}_auto_loc"], free, atol=1e-4)
        np.testing.assert_allclose(normal.params[f"{site}_auto_scale"], 0.02, rtol=1e-3)
    parts = [normal.params[f"{s}_auto_loc"].ravel() for s in ("alpha", "beta", "loadings", "sigma")]
    np.testing.assert_allclose(
        np.sort(lowrank.params["auto_loc"]), np.sort(np.concatenate(parts)), atol=1e-4
    )


def test_a_warm_guide_begins_far_below_a_cold_one(panel, config):
    settings = given(config, "pyro", init_scale=0.02)
    warm = models.fit_progression(*panel, settings, guides=NAMES[:2])["AutoNormal"]
    settings["model"]["guide_name"] = "AutoNormal"
    cold = models.fit(*panel, settings)
    assert warm.losses[:5].mean() < cold.losses[:5].mean() - 0.05


def test_other_guides_are_refused(panel, config):
    with pytest.raises(ParameterError, match=r"'nuts'.*AutoDelta"):
        models.fit_progression(*panel, given(config, "pyro"), guides=["AutoDelta", "nuts"])
