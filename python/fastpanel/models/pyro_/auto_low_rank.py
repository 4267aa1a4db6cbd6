"""Automatic low-rank Gaussian guide for any model, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyro.infer.autoguide import AutoLowRankMultivariateNormal

from fastpanel.models._guides import auto_settings
from fastpanel.models._registries import register_guide
from fastpanel.models.pyro_._auto import AutoGuide, continuous, starts


@register_guide("AutoLowRankMultivariateNormal")
class LowRank(AutoGuide):
    """A normal with a few directions of correlation over all latent values."""

    per_site = False

    def __init__(self, params: Mapping[str, Any], model: Any) -> None:
        settings = auto_settings(params, rank=True)
        self.guide = AutoLowRankMultivariateNormal(continuous(model), **starts(settings))
