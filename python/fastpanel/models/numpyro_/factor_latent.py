"""Linear factor regression with its weekly factors kept as latent sites, in NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro import handlers

from fastpanel.models import _factor
from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import register_model
from fastpanel.models.numpyro_._sites import sample_prior


@register_model("factor_latent", backend="numpyro")
class FactorLatentModel:
    """``factor_model_v1`` before its factors ``f_t`` are integrated out: a site per week."""

    independent_rows = True
    inert_zero_features = True
    normalise = staticmethod(_factor.normalise_latent)

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = self.normalise(params)

    def latents(self, n_assets: int, n_features: int) -> tuple[_factor.Latent, ...]:
        """Sites that all weeks share."""
        return _factor.latents(self.params, n_assets, n_features)

    def __call__(self, batch: ModelBatch) -> None:
        """Run the model on one batch."""
        n_rows, n_assets, n_features = batch.X.shape
        site = sample_prior(self.latents(n_assets, n_features))
        observed = jnp.ones((n_rows, n_assets), bool) if batch.M is None else ~batch.M
        loc = site["alpha"] + batch.X @ site["beta"]
        with numpyro.plate("time", n_rows):
            with handlers.mask(mask=observed.any(-1) if batch.y is not None else True):
                standard = dist.Normal(jnp.zeros((n_rows, self.params["num_factors"])), 1.0)
                factors = numpyro.sample("factors", standard.to_event(1))
            fn = dist.Normal(loc + factors @ site["loadings"].T, site["sigma"])
            numpyro.sample("obs", fn.mask(observed).to_event(1), obs=batch.y)
