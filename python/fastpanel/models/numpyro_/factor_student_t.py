"""Linear factor regression with a joint Student-t likelihood, in NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpyro

from fastpanel.models import _factor
from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import register_model
from fastpanel.models.numpyro_._distributions import FactorStudentT
from fastpanel.models.numpyro_._sites import sample_prior


@register_model("factor_student_t", backend="numpyro")
class FactorStudentTModel:
    """``factor_model_v1`` with tails that are heavy jointly in a week."""

    independent_rows = True
    inert_zero_features = True
    normalise = staticmethod(partial(_factor.normalise, student=True))

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = self.normalise(params)

    def latents(self, n_assets: int, n_features: int) -> tuple[_factor.Latent, ...]:
        """Latent sites for a panel of this width."""
        return _factor.latents(self.params, n_assets, n_features)

    def __call__(self, batch: ModelBatch) -> None:
        """Run the model on one batch."""
        n_rows, n_assets, n_features = batch.X.shape
        site = sample_prior(self.latents(n_assets, n_features))
        given = self.params["likelihood"]["df"]
        df = 2.0 + site["df_excess"] if given is None else given
        loc = site["alpha"] + batch.X @ site["beta"]
        observed = None if batch.M is None else ~batch.M
        with numpyro.plate("time", n_rows):
            numpyro.sample(
                "obs",
                FactorStudentT(df, loc, site.get("loadings"), site["sigma"], observed),
                obs=batch.y,
            )
