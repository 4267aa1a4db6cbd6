"""The stochastic-volatility factor model's parameters and latent sites, for both back ends.

The linear factor model whose factors have the variance ``exp(h_t)`` and whose
noise has ``sigma^2 exp(exposure h_t)``. The log-variance ``h_t`` follows a
stationary AR(1) with autocorrelation ``p / (1 + p)`` and standard deviation
``vol_of_vol``; it lives on a grid of ``num_levels`` with exactly the AR(1)'s
moments (Rouwenhorst), so that it is summed out exactly. All three parameters
are log-normal, with the medians and spreads of the section ``volatility``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastpanel.models import _factor
from fastpanel.models._complexity import register_complexity
from fastpanel.models._factor import Latent, informed, linear_complexity
from fastpanel.models._markov import rouwenhorst

_VOLATILITY: dict[str, Any] = {
    "num_levels": 9,
    "volatility": {
        "size": 0.7,
        "size_spread": 0.5,
        "persistence": 15.0,
        "persistence_spread": 0.7,
        "exposure": 0.5,
        "exposure_spread": 0.5,
    },
}


def normalise(params: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check every value."""
    return _factor.normalise(params, extra=_VOLATILITY)


def latents(params: Mapping[str, Any], n_assets: int, n_features: int) -> tuple[Latent, ...]:
    """Latent sites of a model with normalised ``params``, in sampling order."""
    own = params["volatility"]
    return (
        *_factor.latents(params, n_assets, n_features),
        Latent("vol_of_vol", (), own["size"], own["size_spread"], positive=True),
        Latent("persistence", (), own["persistence"], own["persistence_spread"], positive=True),
        Latent("exposure", (), own["exposure"], own["exposure_spread"], positive=True),
    )


def states(
    xp: Any, site: Mapping[str, Any], size: int
) -> tuple[None, tuple[Any, Any], tuple[Any, Any]]:
    """No shift, scales of factors and noise ``[..., G]``, and the chain of levels."""
    edge = math.sqrt(size - 1.0)
    levels = [edge * (2.0 * g / (size - 1) - 1.0) for g in range(size)]
    half = xp.stack([0.5 * level * site["vol_of_vol"] for level in levels], -1)
    odds = site["persistence"]
    chain = rouwenhorst(xp, odds / (1.0 + odds), size)
    return None, (xp.exp(half), xp.exp(half * site["exposure"][..., None])), chain


@register_complexity("factor_stochastic_vol")
def complexity(params: Mapping[str, Any], n_assets: int, n_features: int) -> float:
    """The factor model's, plus the three of the volatility by what their priors leave open.

    Ten years of weekly rows are taken to hold thirty independent volatilities.
    """
    full = normalise(params)
    own = full["volatility"]
    spreads = (own["size_spread"], own["persistence_spread"], own["exposure_spread"])
    return linear_complexity(full, n_assets, n_features) + sum(informed(s, 30) for s in spreads)
