"""Linear factor regression with a Normal likelihood, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro

from fastpanel.models import _factor
from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import register_model
from fastpanel.models.pyro_._distributions import FactorNormal
from fastpanel.models.pyro_._latents import location, sample_prior


@register_model("factor_model_v1")
class FactorModelV1:
    """``y_t ~ N(alpha + X_t beta, B B' + diag(sigma^2))``; see ``docs/models.md``."""

    independent_rows = True
    parallel_draws = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = _factor.normalise(params)

    def latents(self, n_assets: int, n_features: int) -> tuple[_factor.Latent, ...]:
        """Latent sites for a panel of this width."""
        return _factor.latents(self.params, n_assets, n_features)

    def __call__(self, batch: ModelBatch) -> None:
        """Run the model on one batch."""
        n_rows, n_assets, n_features = batch.X.shape
        site = sample_prior(self.latents(n_assets, n_features))
        observed = None if batch.M is None else ~batch.M
        loc = location(site, batch.X)
        with pyro.plate("time", n_rows, dim=-1):
            pyro.sample(
                "obs",
                FactorNormal(loc, site.get("loadings"), site["sigma"], observed),
                obs=batch.y,
            )
