"""The regime-switching factor model's parameters and latent sites, shared by both back ends.

The linear factor model whose covariance is multiplied by ``c_r^2`` and whose
location is moved by ``shift_r`` in regime r, where r follows a Markov chain.
Regime 0 is the calm one: ``c_0 = 1``, ``shift_0 = 0``, and
``c_r = c_{r-1} (1 + jump_r)`` orders the regimes, so that their labels are
fixed. ``jump_r ~ LogNormal(log jump, jump_spread)``, ``shift_ra ~ N(0,
regimes.shift)``, ``stay_r ~ LogNormal(log stay, stay_spread)`` are the odds of
staying; a chain that leaves goes to each other regime alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastpanel.models import _factor
from fastpanel.models._complexity import register_complexity
from fastpanel.models._factor import Latent, informed, linear_complexity
from fastpanel.models._markov import uniform_moves

_REGIMES: dict[str, Any] = {
    "num_regimes": 2,
    "regimes": {"jump": 1.0, "jump_spread": 0.5, "shift": 0.1, "stay": 19.0, "stay_spread": 0.7},
}


def normalise(params: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check every value."""
    return _factor.normalise(params, extra=_REGIMES)


def latents(params: Mapping[str, Any], n_assets: int, n_features: int) -> tuple[Latent, ...]:
    """Latent sites of a model with normalised ``params``, in sampling order."""
    own, moved = params["regimes"], params["num_regimes"] - 1
    return (
        *_factor.latents(params, n_assets, n_features),
        Latent("jump", (moved,), own["jump"], own["jump_spread"], positive=True),
        Latent("shift", (moved, n_assets), 0.0, own["shift"]),
        Latent("stay", (moved + 1,), own["stay"], own["stay_spread"], positive=True),
    )


def states(xp: Any, site: Mapping[str, Any]) -> tuple[Any, tuple[Any, Any], tuple[Any, Any]]:
    """Shift of the location ``[..., G, A]``, scales of factors and noise, and the chain."""
    jump, shift = site["jump"], site["shift"]
    calm = xp.ones_like(jump[..., :1])
    scale = xp.concatenate((calm, xp.cumprod(1.0 + jump, -1)), -1)
    moved = xp.concatenate((xp.zeros_like(shift[..., :1, :]), shift), -2)
    return moved, (scale, scale), uniform_moves(xp, site["stay"])


@register_complexity("factor_regime")
def complexity(params: Mapping[str, Any], n_assets: int, n_features: int) -> float:
    """The factor model's, plus jumps, shifts and odds by what their priors leave open.

    A regime is taken to hold a quarter of ten years of weekly rows, and ten
    moves of the chain to tell of its odds.
    """
    full = normalise(params)
    own, moved = full["regimes"], full["num_regimes"] - 1
    return float(
        linear_complexity(full, n_assets, n_features)
        + moved * informed(own["jump_spread"], 130 * n_assets)
        + moved * n_assets * informed(own["shift"], 130)
        + (moved + 1) * informed(own["stay_spread"], 10)
    )
