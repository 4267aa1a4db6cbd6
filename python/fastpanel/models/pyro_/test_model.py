"""The example model of the documentation: one shared linear regression, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch

from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import register_model


@register_model("test_model")
class TestModel:
    """``y ~ N(X weights, sigma)``, entry by entry."""

    __test__ = False

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.weight_scale = params.get("weight_scale", 0.1)

    def __call__(self, batch: ModelBatch) -> None:
        """Run the model on one batch."""
        n_rows, n_assets, n_features = batch.X.shape
        weights = pyro.sample(
            "weights", dist.Normal(torch.zeros(n_features), self.weight_scale).to_event(1)
        )
        sigma = pyro.sample("sigma", dist.LogNormal(0.0, 0.5))
        with pyro.plate("time", n_rows, dim=-2), pyro.plate("assets", n_assets, dim=-1):
            pyro.sample("obs", dist.Normal(batch.X @ weights, sigma), obs=batch.y)
