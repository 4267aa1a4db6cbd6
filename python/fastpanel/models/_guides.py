"""Parameters of the guides that need no hand: automatic ones and NUTS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastpanel.errors import ParameterError
from fastpanel.models._factor import MAX_INIT_SCALE, merge

INIT_LOCATIONS = ("median", "mean", "sample", "feasible", "uniform")

_NUTS: dict[str, Any] = {
    "num_warmup": 500,
    "num_samples": 500,
    "num_chains": 2,
    "max_tree_depth": 10,
    "target_accept": 0.8,
}


def auto_settings(
    params: Mapping[str, Any], *, scale: bool = True, rank: bool = False
) -> dict[str, Any]:
    """Check ``model.guide_params`` of an automatic guide and fill in defaults.

    ``init_loc`` says where it starts (median, mean or a draw of the prior, a
    feasible or a uniform point), ``init_scale`` how wide, ``rank`` how many
    directions a low-rank guide has (None: the root of the number of values).
    """
    given = dict(params)
    init_loc = given.pop("init_loc", "median")
    if init_loc not in INIT_LOCATIONS:
        raise ParameterError(
            f"model.guide_params.init_loc is {init_loc!r}; choose one of {list(INIT_LOCATIONS)}"
        )
    defaults: dict[str, Any] = {"init_scale": MAX_INIT_SCALE} if scale else {}
    if rank:
        defaults["rank"] = None
    if given.get("rank", 0) is None:
        given.pop("rank")
    return {"init_loc": init_loc, **merge(defaults, given, "model.guide_params")}


def nuts_settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """Check ``model.guide_params`` of guide ``nuts`` and fill in defaults."""
    merged = merge(_NUTS, params, "model.guide_params")
    accept = merged["target_accept"]
    if isinstance(accept, float) and not 0.0 < accept < 1.0:
        raise ParameterError(
            f"model.guide_params.target_accept is {accept}; give a number between 0 and 1"
        )
    return merged
