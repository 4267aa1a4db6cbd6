"""The example guide of the documentation, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import constraints

from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import register_guide


@register_guide("test_guide")
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
        loc = pyro.param("weights_loc", torch.zeros(n_features))
        start = torch.full((n_features,), self.init_scale)
        scale = pyro.param("weights_scale", start, constraint=positive)
        pyro.sample("weights", dist.Normal(loc, scale).to_event(1))
        sigma_loc = pyro.param("sigma_loc", torch.zeros(()))
        sigma_scale = pyro.param("sigma_scale", torch.tensor(self.init_scale), constraint=positive)
        pyro.sample("sigma", dist.LogNormal(sigma_loc, sigma_scale))
