"""A model and a guide that break the contract are refused before training."""

from __future__ import annotations

import numpy as np
import pytest

from fastpanel import models
from fastpanel.errors import ModelError

X, Y = np.zeros((10, 2, 3)), np.zeros((10, 2))


def library(backend):
    if backend == "pyro":
        import pyro as ppl
        import pyro.distributions as dist
        import torch as xp
    else:
        import jax.numpy as xp
        import numpyro as ppl
        import numpyro.distributions as dist
    return ppl, dist, xp


def fit(backend, model, guide, name, **svi):
    models.register_model(name, backend=backend)(lambda params: model)
    models.register_guide(name, backend=backend)(lambda params: guide)
    section = {"backend": backend, "model_name": name, "guide_name": name}
    return models.fit(X, Y, {"model": section, "training": {"svi": {"num_steps": 3} | svi}})


def regression(backend, site="obs", observe=True):
    ppl, dist, xp = library(backend)

    def model(batch):
        weights = ppl.sample("weights", dist.Normal(xp.zeros(3), 1.0).to_event(1))
        with ppl.plate("time", batch.X.shape[0], dim=-2), ppl.plate("assets", 2, dim=-1):
            law = dist.Normal(batch.X @ weights, 1.0)
            ppl.sample(site, law, obs=batch.y if observe else None)

    return model


def normal_guide(backend, site="weights", size=3, observed=False):
    ppl, dist, xp = library(backend)

    def guide(batch):
        loc = ppl.param("loc", xp.zeros(size))
        law = dist.Normal(loc, 0.1).to_event(1)
        ppl.sample(site, law, obs=xp.zeros(size) if observed else None)

    return guide


def test_a_plain_model_fits(backend):
    state = fit(backend, regression(backend), normal_guide(backend), f"plain_{backend}")
    assert state.params["loc"].shape == (3,)


def test_missing_obs_site_is_named(backend):
    with pytest.raises(ModelError, match=r"no observation site named 'obs'.*'target'"):
        fit(backend, regression(backend, "target"), normal_guide(backend), f"no_obs_{backend}")


def test_obs_that_ignores_the_targets_is_named(backend):
    with pytest.raises(ModelError, match="'obs' is not observed"):
        model = regression(backend, observe=False)
        fit(backend, model, normal_guide(backend), f"free_obs_{backend}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"site": "weight"}, "samples site 'weight'"),
        ({"size": 4}, r"site 'weights' has shape \(3,\).*\(4,\)"),
        ({"observed": True}, "observes site 'weights'"),
    ],
)
def test_wrong_guide_site_is_named(backend, settings, message):
    with pytest.raises(ModelError, match=message):
        guide = normal_guide(backend, **settings)
        fit(backend, regression(backend), guide, f"guide_{backend}_{sorted(settings)[0]}")


def test_missing_guide_site_is_named(backend):
    with pytest.raises(ModelError, match="lacks site 'weights'"):
        fit(backend, regression(backend), lambda batch: None, f"empty_{backend}")


def test_latent_per_week_is_refused(backend):
    ppl, dist, xp = library(backend)

    def model(batch):
        n = batch.X.shape[0]
        level = ppl.sample("level", dist.Normal(xp.zeros(n), 1.0).to_event(1))
        with ppl.plate("time", n, dim=-2), ppl.plate("assets", 2, dim=-1):
            ppl.sample("obs", dist.Normal(level[:, None] + xp.zeros(2), 1.0), obs=batch.y)

    def guide(batch):
        loc = ppl.param("level_loc", xp.zeros(batch.X.shape[0]))
        ppl.sample("level", dist.Normal(loc, 0.1).to_event(1))

    with pytest.raises(ModelError, match=r"'level_loc'.*number of weeks"):
        fit(backend, model, guide, f"weekly_{backend}")


def test_factor_guide_on_a_foreign_model_says_what_to_use(backend):
    with pytest.raises(ModelError, match="mean_field"):
        section = {"backend": backend, "model_name": "test_model", "guide_name": "factor_guide_v1"}
        models.fit(X, Y, {"model": section})


@pytest.mark.slow
def test_elementwise_model_need_not_look_at_the_mask(backend):
    # the trainer leaves NaN targets out even though the model ignores batch.M
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 2, 3))
    y = features @ np.array([0.5, 0.0, -0.5]) + 0.1 * rng.normal(size=(80, 2))
    y[::2] = np.nan
    name = f"unmasked_{backend}"
    models.register_model(name, backend=backend)(lambda params: regression(backend))
    models.register_guide(name, backend=backend)(lambda params: normal_guide(backend))
    svi = {"num_steps": 300, "learning_rate": 0.03, "lr_decay": 0.05}
    section = {"backend": backend, "model_name": name, "guide_name": name}
    config = {"model": section, "training": {"svi": svi, "standardize_targets": False}}
    state = models.fit(features, y, config)
    # prior N(0, 1), noise 1, 80 observed entries: shrunk by 80 / 81 only
    np.testing.assert_allclose(state.params["loc"], [0.5, 0.0, -0.5], atol=0.04)


def test_model_that_branches_on_a_float_parameter_still_fits():
    ppl, dist, xp = library("numpyro")

    class Branching:
        def __init__(self, params):
            self.scale = params["scale"]

        def __call__(self, batch):
            width = 1.0 if self.scale > 0.5 else 0.1
            weights = ppl.sample("weights", dist.Normal(xp.zeros(3), width).to_event(1))
            with ppl.plate("time", batch.X.shape[0], dim=-2), ppl.plate("assets", 2, dim=-1):
                ppl.sample("obs", dist.Normal(batch.X @ weights, 1.0), obs=batch.y)

    models.register_model("branching", backend="numpyro")(Branching)
    models.register_guide("branching", backend="numpyro")(lambda params: normal_guide("numpyro"))
    section = {"model_name": "branching", "guide_name": "branching", "params": {"scale": 0.7}}
    state = models.fit(X, Y, {"model": section, "training": {"svi": {"num_steps": 2}}})
    assert state.backend == "numpyro"
