"""Linear factor regression with its weekly factors kept as latent sites, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine

from fastpanel.models import _factor
from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import register_model
from fastpanel.models.pyro_._latents import sample_prior


@register_model("factor_latent")
class FactorLatentModel:
    """``factor_model_v1`` before its factors ``f_t`` are integrated out: a site per week."""

    independent_rows = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = _factor.normalise_latent(params)

    def latents(self, n_assets: int, n_features: int) -> tuple[_factor.Latent, ...]:
        """Sites that all weeks share."""
        return _factor.latents(self.params, n_assets, n_features)

    def __call__(self, batch: ModelBatch) -> None:
        """Run the model on one batch."""
        n_rows, n_assets, n_features = batch.X.shape
        site = sample_prior(self.latents(n_assets, n_features))
        observed = torch.ones(n_rows, n_assets, dtype=torch.bool) if batch.M is None else ~batch.M
        loc = site["alpha"] + batch.X @ site["beta"]
        with pyro.plate("time", n_rows, dim=-1):
            with poutine.mask(mask=observed.any(-1) if batch.y is not None else True):
                standard = dist.Normal(torch.zeros(n_rows, self.params["num_factors"]), 1.0)
                factors = pyro.sample("factors", standard.to_event(1))
            fn = dist.Normal(loc + factors @ site["loadings"].T, site["sigma"])
            pyro.sample("obs", fn.mask(observed).to_event(1), obs=batch.y)
