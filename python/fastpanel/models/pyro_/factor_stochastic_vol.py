"""Factor regression with stochastic volatility, the volatility summed out, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import torch

from fastpanel.models import _volatility
from fastpanel.models._contract import ModelBatch
from fastpanel.models._factor import Latent
from fastpanel.models._registries import register_model
from fastpanel.models.pyro_._chain import MarkovFactorNormal
from fastpanel.models.pyro_._latents import row_location, sample_prior


@register_model("factor_stochastic_vol")
class FactorStochasticVolModel:
    """``factor_model_v1`` whose factors have an AR(1) log-variance."""

    parallel_draws = True
    carries_state = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = _volatility.normalise(params)

    def latents(self, n_assets: int, n_features: int) -> tuple[Latent, ...]:
        """Latent sites for a panel of this width."""
        return _volatility.latents(self.params, n_assets, n_features)

    def __call__(self, batch: ModelBatch) -> None:
        """Run the model on one batch."""
        site = sample_prior(self.latents(*batch.X.shape[1:]))
        shift, scales, chain = _volatility.states(torch, site, self.params["num_levels"])
        pyro.sample(
            "obs",
            MarkovFactorNormal(
                row_location(site, batch.X),
                shift,
                site.get("loadings"),
                site["sigma"],
                scales,
                chain,
                None if batch.M is None else ~batch.M,
                batch.carry,
            ),
            obs=batch.y,
        )
