"""The example guide of the documentation, in NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints

from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import register_guide


@register_guide("test_guide", backend="numpyro")
class TestGuide:
    """Mean field over the two sites of ``test_model``."""

    __test__ = False
    mean_field = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.init_scale = params.get("init_scale", 0.05)

    def __call__(self, batch: ModelBatch) -> None:
        """Sample every latent site of the model."""
        n_features = batch.X.shape[-1]
        positive = constraints.greater_than(1e-3)
        loc = numpyro.param("weights_loc", jnp.zeros(n_features))
        start = jnp.full(n_features, self.init_scale)
        scale = numpyro.param("weights_scale", start, constraint=positive)
        numpyro.sample("weights", dist.Normal(loc, scale).to_event(1))
        sigma_loc = numpyro.param("sigma_loc", jnp.zeros(()))
        sigma_scale = numpyro.param(
            "sigma_scale", jnp.full((), self.init_scale), constraint=positive
        )
        numpyro.sample("sigma", dist.LogNormal(sigma_loc, sigma_scale))
