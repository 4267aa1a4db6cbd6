"""Hand-written mean-field guide of the factor models, in NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpyro
from numpyro.distributions import constraints

from fastpanel.models._contract import ModelBatch
from fastpanel.models._factor import MIN_GUIDE_SCALE, Latent, guide_settings, initial_scale
from fastpanel.models._registries import register_guide
from fastpanel.models.numpyro_._sites import latent_loc, normal_site


@register_guide("factor_guide_v1", backend="numpyro")
class FactorGuideV1:
    """Independent normals (log-normals for positive sites), scales bounded from below."""

    mean_field = True

    def __init__(self, params: Mapping[str, Any], model: Any) -> None:
        self.init_scale = guide_settings(params, model, "factor_guide_v1")
        self.model = model

    def __call__(self, batch: ModelBatch) -> None:
        """Sample every latent site of the model."""
        _, n_assets, n_features = batch.X.shape
        for latent in self.model.latents(n_assets, n_features):
            start = latent_loc(latent) if latent.init_loc is None else latent.init_loc
            loc = numpyro.param(f"{latent.name}_loc", jnp.broadcast_to(start, latent.shape) + 0.0)
            scale = numpyro.param(
                f"{latent.name}_scale",
                self._initial_scale(latent, batch),
                constraint=constraints.greater_than(MIN_GUIDE_SCALE),
            )
            numpyro.sample(latent.name, normal_site(latent, loc, scale))

    def _initial_scale(self, latent: Latent, batch: ModelBatch) -> Any:
        start = initial_scale(latent.scale, self.init_scale, jnp.minimum)
        if latent.per_feature:
            # a padding column starts at the prior, where its KL is zero and stays so
            start = jnp.where((batch.X != 0).any((0, 1)), start, latent.scale)
        return jnp.broadcast_to(start, latent.shape)
