"""Automatic full-rank Gaussian guide for any model, in NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpyro.infer.autoguide import AutoMultivariateNormal

from fastpanel.models._guides import auto_settings
from fastpanel.models._registries import register_guide
from fastpanel.models.numpyro_._auto import AutoGuide, continuous, starts


@register_guide("AutoMultivariateNormal", backend="numpyro")
class FullRank(AutoGuide):
    """``AutoMultivariateNormal``: a normal with any correlation over all latent values."""

    per_site = False
    portable = False

    def __init__(self, params: Mapping[str, Any], model: Any) -> None:
        settings = auto_settings(params)
        self.guide = AutoMultivariateNormal(continuous(model), **starts(settings))
