"""Hamiltonian Monte Carlo in place of a guide: draws of the posterior, in NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro import handlers

from fastpanel.models._contract import ModelBatch
from fastpanel.models._guides import nuts_settings
from fastpanel.models._registries import register_guide


@register_guide("nuts", backend="numpyro")
class Nuts:
    """The empirical posterior of a NUTS run: one of its draws at a time.

    Its parameters are ``<site>_draws [N, ...]``; a joint draw over all sites is
    picked, so that their dependence is kept.
    """

    sampler = True

    def __init__(self, params: Mapping[str, Any], model: Any) -> None:
        self.settings = nuts_settings(params)
        self.model = model

    def __call__(self, batch: ModelBatch) -> None:
        """Sample every latent site of the model."""
        with handlers.block():
            seeded = handlers.seed(self.model, jax.random.key(0))
            prototype = handlers.trace(seeded).get_trace(batch)
        count = self.settings["num_chains"] * self.settings["num_samples"]
        chosen = jax.random.randint(numpyro.prng_key(), (), 0, count)
        for name, site in prototype.items():
            if site["type"] != "sample" or site["is_observed"]:
                continue
            value = site["value"]
            start = jnp.broadcast_to(value, (count, *jnp.shape(value)))
            draws = numpyro.param(f"{name}_draws", start)
            numpyro.sample(name, dist.Delta(draws[chosen], event_dim=site["fn"].event_dim))
