"""Amortised guide: a network reads a week and gives the law of its factors, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine

from fastpanel.models._contract import ModelBatch
from fastpanel.models._encoder import encoder_settings, encoder_start
from fastpanel.models._registries import register_guide
from fastpanel.models.pyro_.factor_guide_v1 import FactorGuideV1


@register_guide("encoder_guide")
class EncoderGuide:
    """Mean field over the shared sites; ``factors`` from an encoder of the week's residuals.

    The encoder's parameters do not grow with the number of weeks. When there
    are no targets, as in prediction, the factors are left to the model.
    """

    local = True

    def __init__(self, params: Mapping[str, Any], model: Any) -> None:
        self.hidden, rest = encoder_settings(params, model)
        self.shared = FactorGuideV1(rest, model)
        self.model = model

    def __call__(self, batch: ModelBatch) -> None:
        """Sample every latent site of the model."""
        site = poutine.trace(self.shared).get_trace(batch).nodes
        if batch.y is None:
            return
        n_rows, n_assets, _ = batch.X.shape
        observed = torch.ones_like(batch.y) if batch.M is None else (~batch.M).to(batch.y.dtype)
        location = site["alpha"]["value"] + batch.X @ site["beta"]["value"]
        residual = observed * (batch.y - location)
        start = encoder_start(n_assets, self.model.params["num_factors"], self.hidden)
        dtype = batch.y.dtype
        net = {
            name: pyro.param(f"encoder_{name}", torch.as_tensor(value, dtype=dtype))
            for name, value in start.items()
        }
        hidden = torch.tanh(torch.cat((residual, observed), -1) @ net["read"] + net["bias"])
        loc = residual @ net["direct"] + hidden @ net["turn"]
        scale = torch.nn.functional.softplus(net["width"] + hidden @ net["widen"]) + 1e-3
        with pyro.plate("time", n_rows, dim=-1), poutine.mask(mask=observed.bool().any(-1)):
            pyro.sample("factors", dist.Normal(loc, scale).to_event(1))
