"""Linear factor regression with a joint Student-t likelihood, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro

from fastpanel.models import _factor
from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import register_model
from fastpanel.models.pyro_._distributions import FactorStudentT
from fastpanel.models.pyro_._latents import location, sample_prior


@register_model("factor_student_t")
class FactorStudentTModel:
    """``factor_model_v1`` with tails that are heavy jointly in a week."""

    independent_rows = True
    parallel_draws = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = _factor.normalise(params, student=True)

    def latents(self, n_assets: int, n_features: int) -> tuple[_factor.Latent, ...]:
        """Latent sites for a panel of this width."""
        return _factor.latents(self.params, n_assets, n_features)

    def __call__(self, batch: ModelBatch) -> None:
        """Run the model on one batch."""
        n_rows, n_assets, n_features = batch.X.shape
        site = sample_prior(self.latents(n_assets, n_features))
        given = self.params["likelihood"]["df"]
        df = 2.0 + site["df_excess"] if given is None else given
        observed = None if batch.M is None else ~batch.M
        loc = location(site, batch.X)
        with pyro.plate("time", n_rows, dim=-1):
            pyro.sample(
                "obs",
                FactorStudentT(df, loc, site.get("loadings"), site["sigma"], observed),
                obs=batch.y,
            )
