"""Settings and starting weights of the encoder guide, shared by both back ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastpanel.errors import ModelError, ParameterError
from fastpanel.models._factor import initial_loadings
from fastpanel.typing import FloatArray


def encoder_settings(params: Mapping[str, Any], model: Any) -> tuple[int, dict[str, Any]]:
    """Hidden units, and what is left for the shared sites' guide."""
    if not hasattr(model, "latents") or "num_factors" not in getattr(model, "params", {}):
        raise ModelError(
            f"guide 'encoder_guide' is for model 'factor_latent', not {type(model).__name__}"
        )
    rest = dict(params)
    hidden = rest.pop("hidden", 8)
    if isinstance(hidden, bool) or not isinstance(hidden, int) or not 1 <= hidden <= 1024:
        raise ParameterError(f"model.guide_params.hidden is {hidden!r}; give an integer in 1..1024")
    return hidden, rest


def encoder_start(n_assets: int, n_factors: int, hidden: int) -> dict[str, FloatArray]:
    """Starting weights: along the starting loadings, the network's own part at zero."""
    loadings = initial_loadings(n_assets, n_factors)
    unit = (np.arange(2 * n_assets)[:, None] + 0.5) * (np.arange(hidden) + 1)
    return {
        "direct": loadings / (1.0 + (loadings**2).sum(0)),
        "read": 0.3 * np.cos(unit),
        "bias": np.zeros(hidden),
        "turn": np.zeros((hidden, n_factors)),
        "width": np.zeros(n_factors),
        "widen": np.zeros((hidden, n_factors)),
    }
