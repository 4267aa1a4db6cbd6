"""Hand-written mean-field guide of the factor models, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import torch
from pyro.distributions import constraints

from fastpanel.models._contract import ModelBatch
from fastpanel.models._factor import (
    MIN_GUIDE_SCALE,
    Latent,
    guide_settings,
    in_units,
    initial_scale,
)
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
        sites = self.model.latents(n_assets, n_features)
        locs = {latent.name: _location(latent) for latent in sites}
        noise = torch.exp(locs["sigma"]) if "sigma" in locs else None
        for latent in sites:
            width = initial_scale(latent.scale, self.init_scale)
            scale = pyro.param(
                f"{latent.name}_scale",
                lambda: _filled(width, latent.shape),  # noqa: B023
                constraint=self.positive,
            )
            scale = in_units(latent, scale, noise)
            pyro.sample(latent.name, normal_site(latent, locs[latent.name], scale))


def _location(latent: Latent) -> Any:
    start = latent_loc(latent) if latent.init_loc is None else latent.init_loc
    return pyro.param(f"{latent.name}_loc", lambda: _filled(start, latent.shape))


def _filled(value: Any, shape: tuple[int, ...]) -> Any:
    return torch.as_tensor(value, dtype=torch.get_default_dtype()).expand(shape).clone()
