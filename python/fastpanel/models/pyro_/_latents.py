"""Latent sites of the factor models in Pyro."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pyro
import pyro.distributions as dist
import torch

from fastpanel.models._factor import Latent


def sample_prior(latents: Iterable[Latent]) -> dict[str, Any]:
    """Sample every latent site from its prior."""
    return {
        latent.name: pyro.sample(latent.name, normal_site(latent, latent_loc(latent), latent.scale))
        for latent in latents
    }


def normal_site(latent: Latent, loc: Any, scale: Any) -> Any:
    """Independent normal (log-normal where positive) over the site's shape."""
    family = dist.LogNormal if latent.positive else dist.Normal
    site = family(
        torch.as_tensor(loc).expand(latent.shape), torch.as_tensor(scale).expand(latent.shape)
    )
    return site.to_event(len(latent.shape))


def latent_loc(latent: Latent) -> float:
    """Location of the site's normal: the mean, or the log of the median."""
    center = float(latent.center)
    return math.log(center) if latent.positive else center


def location(site: dict[str, Any], X: Any) -> Any:
    """``alpha + X beta`` for one draw ``[T, A]`` or a plate of draws ``[S, T, A]``."""
    alpha, beta = site["alpha"], site["beta"]
    if beta.dim() == 1:
        return alpha + X @ beta
    return alpha + torch.einsum("taf,sf->sta", X, beta.reshape(-1, X.shape[-1]))


def row_location(site: dict[str, Any], X: Any) -> Any:
    """``alpha + X beta`` with the draws' plate kept left of the rows, ``[..., T, A]``."""
    return site["alpha"][..., None, :] + torch.einsum("taf,...f->...ta", X, site["beta"])
