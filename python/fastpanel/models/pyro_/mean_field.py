"""Automatic mean-field guide for any model, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyro.infer.autoguide import AutoNormal

from fastpanel.models._guides import auto_settings
from fastpanel.models._registries import register_guide
from fastpanel.models.pyro_._auto import AutoGuide, continuous, starts


@register_guide("AutoNormal")
@register_guide("mean_field")
class MeanField(AutoGuide):
    """``AutoNormal``: an independent normal per unconstrained latent value."""

    mean_field = True

    def __init__(self, params: Mapping[str, Any], model: Any) -> None:
        settings = auto_settings(params)
        self.guide = AutoNormal(continuous(model), **starts(settings))
