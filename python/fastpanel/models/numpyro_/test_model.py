"""The example model of the documentation: one shared linear regression, in NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import register_model


@register_model("test_model", backend="numpyro")
class TestModel:
    """``y ~ N(X weights, sigma)``, entry by entry."""

    __test__ = False

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.weight_scale = params.get("weight_scale", 0.1)

    def __call__(self, batch: ModelBatch) -> None:
        """Run the model on one batch."""
        n_rows, n_assets, n_features = batch.X.shape
        weights = numpyro.sample(
            "weights", dist.Normal(jnp.zeros(n_features), self.weight_scale).to_event(1)
        )
        sigma = numpyro.sample("sigma", dist.LogNormal(0.0, 0.5))
        with numpyro.plate("time", n_rows, dim=-2), numpyro.plate("assets", n_assets, dim=-1):
            numpyro.sample("obs", dist.Normal(batch.X @ weights, sigma), obs=batch.y)
