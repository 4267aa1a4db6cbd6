"""Hand-written mean-field guide of the factor models, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import torch
from pyro.distributions import constraints

from fastpanel.models._contract import ModelBatch
from fastpanel.models._factor import MIN_GUIDE_SCALE, guide_settings, initial_scale
from fastpanel.models._registries import register_guide
from fastpanel.models.pyro_._latents import latent_loc, normal_site


@register_guide("factor_guide_v1")
class FactorGuideV1:
    """Independent normals (log-normals for positive sites), scales bounded from below."""

    mean_field = True

    def __init__(self, params: Mapping[str, Any], model: Any) -> None:
        self.init_scale = guide_settings(params, model, "factor_guide_v1")
        self.model = model
        self.positive = constraints.greater_than(MIN_GUIDE_SCALE)

    def __call__(self, batch: ModelBatch) -> None:
        """Sample every latent site of the model."""
        _, n_assets, n_features = batch.X.shape
        for latent in self.model.latents(n_assets, n_features):
            start = latent_loc(latent) if latent.init_loc is None else latent.init_loc
            width = initial_scale(latent.scale, self.init_scale)
            loc = pyro.param(f"{latent.name}_loc", lambda: _filled(start, latent.shape))  # noqa: B023
            scale = pyro.param(
                f"{latent.name}_scale",
                lambda: _filled(width, latent.shape),  # noqa: B023
                constraint=self.positive,
            )
            pyro.sample(latent.name, normal_site(latent, loc, scale))


def _filled(value: Any, shape: tuple[int, ...]) -> Any:
    return torch.as_tensor(value, dtype=torch.get_default_dtype()).expand(shape).clone()
