"""Automatic mean-field guide for any model, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyro.infer.autoguide import AutoNormal, init_to_median

from fastpanel.models._contract import ModelBatch
from fastpanel.models._factor import auto_settings
from fastpanel.models._registries import register_guide


@register_guide("mean_field")
class MeanField:
    """``AutoNormal``: an independent normal per unconstrained latent value."""

    mean_field = True

    def __init__(self, params: Mapping[str, Any], model: Any) -> None:
        init_scale = auto_settings(params)
        self.guide = AutoNormal(
            model, init_loc_fn=init_to_median(num_samples=5), init_scale=init_scale
        )

    def __call__(self, batch: ModelBatch) -> Any:
        """Sample every latent site of the model."""
        return self.guide(batch)

    @staticmethod
    def neutral_name(name: str) -> str:
        """Name of a parameter in the other back end's automatic guide."""
        _, kind, site = name.split(".", 2)
        return f"{site}_auto_{kind.removesuffix('s')}"
