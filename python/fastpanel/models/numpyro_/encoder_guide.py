"""Amortised guide: a network reads a week and gives the law of its factors, in NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro import handlers

from fastpanel.models._contract import ModelBatch
from fastpanel.models._encoder import encoder_settings, encoder_start
from fastpanel.models._registries import register_guide
from fastpanel.models.numpyro_.factor_guide_v1 import FactorGuideV1


@register_guide("encoder_guide", backend="numpyro")
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
        site = handlers.trace(self.shared).get_trace(batch)
        if batch.y is None:
            return
        n_rows, n_assets, _ = batch.X.shape
        observed = jnp.ones_like(batch.y) if batch.M is None else (~batch.M).astype(batch.y.dtype)
        location = site["alpha"]["value"] + batch.X @ site["beta"]["value"]
        residual = observed * (batch.y - location)
        start = encoder_start(n_assets, self.model.params["num_factors"], self.hidden)
        net = {name: numpyro.param(f"encoder_{name}", jnp.asarray(v)) for name, v in start.items()}
        hidden = jnp.tanh(jnp.concatenate((residual, observed), -1) @ net["read"] + net["bias"])
        loc = residual @ net["direct"] + hidden @ net["turn"]
        scale = jax.nn.softplus(net["width"] + hidden @ net["widen"]) + 1e-3
        with (
            numpyro.plate("time", n_rows),
            handlers.mask(mask=observed.any(-1)),
        ):
            numpyro.sample("factors", dist.Normal(loc, scale).to_event(1))
