"""Automatic point estimate (MAP) for any model, in NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpyro.infer.autoguide import AutoDelta

from fastpanel.models._guides import auto_settings
from fastpanel.models._registries import register_guide
from fastpanel.models.numpyro_._auto import AutoGuide, continuous, starts


@register_guide("AutoDelta", backend="numpyro")
class PointEstimate(AutoGuide):
    """``AutoDelta``: the posterior's mode on the sites' own scale."""

    def __init__(self, params: Mapping[str, Any], model: Any) -> None:
        settings = auto_settings(params, scale=False)
        self.guide = AutoDelta(continuous(model), **starts(settings))
