"""Linear factor regression with a Normal likelihood, in NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpyro

from fastpanel.models import _factor
from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import register_model
from fastpanel.models.numpyro_._distributions import FactorNormal
from fastpanel.models.numpyro_._sites import sample_prior


@register_model("factor_model_v1", backend="numpyro")
class FactorModelV1:
    """``y_t ~ N(alpha + X_t beta, B B' + diag(sigma^2))``; see ``docs/models.md``."""

    independent_rows = True
    inert_zero_features = True
    normalise = staticmethod(_factor.normalise)

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = self.normalise(params)

    def latents(self, n_assets: int, n_features: int) -> tuple[_factor.Latent, ...]:
        """Latent sites for a panel of this width."""
        return _factor.latents(self.params, n_assets, n_features)

    def __call__(self, batch: ModelBatch) -> None:
        """Run the model on one batch."""
        n_rows, n_assets, n_features = batch.X.shape
        site = sample_prior(self.latents(n_assets, n_features))
        loc = site["alpha"] + batch.X @ site["beta"]
        observed = None if batch.M is None else ~batch.M
        with numpyro.plate("time", n_rows):
            numpyro.sample(
                "obs",
                FactorNormal(loc, site.get("loadings"), site["sigma"], observed),
                obs=batch.y,
            )
