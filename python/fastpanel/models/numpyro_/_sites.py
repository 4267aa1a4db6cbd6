"""Latent sites of the factor models in NumPyro."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from fastpanel.models._factor import Latent


def sample_prior(latents: Iterable[Latent]) -> dict[str, Any]:
    """Sample every latent site from its prior."""
    return {
        latent.name: numpyro.sample(
            latent.name, normal_site(latent, latent_loc(latent), latent.scale)
        )
        for latent in latents
    }


def normal_site(latent: Latent, loc: Any, scale: Any) -> Any:
    """Independent normal (log-normal where positive) over the site's shape."""
    family = dist.LogNormal if latent.positive else dist.Normal
    return family(
        jnp.broadcast_to(loc, latent.shape), jnp.broadcast_to(scale, latent.shape)
    ).to_event(len(latent.shape))


def latent_loc(latent: Latent) -> Any:
    """Location of the site's normal: the mean, or the log of the median."""
    return jnp.log(latent.center) if latent.positive else latent.center
