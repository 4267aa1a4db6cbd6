"""Scores to weights inside the limits."""

from __future__ import annotations

import numpy as np

from fastpanel.portfolio._spec import AllocationSpec
from fastpanel.typing import FloatArray


def fit_limits(scores: FloatArray, spec: AllocationSpec) -> FloatArray:
    """Scale signed ``scores`` [n] to weights: their signs, their proportions, the limits.

    Without ``net`` long and short side share the gross as the scores do; with
    ``net`` they hold (gross + net) / 2 and (gross - net) / 2. What a capped
    asset cannot take goes to the others of its side in proportion.
    """
    longs = np.maximum(scores, 0.0)
    shorts = np.zeros_like(scores) if spec.long_only else np.maximum(-scores, 0.0)
    if spec.net is not None:
        long_total, short_total = _books(longs, shorts, spec.gross, spec.net, spec.max_weight)
        return _fill(longs, long_total, spec.max_weight) - _fill(
            shorts, short_total, spec.max_weight
        )
    filled = _fill(longs + shorts, spec.gross, spec.max_weight)
    return np.where(longs > 0, filled, -filled)


def _books(
    longs: FloatArray, shorts: FloatArray, gross: float, net: float, cap: float | None
) -> tuple[float, float]:
    """Sizes of both sides: difference as near to ``net`` as possible, then as large as allowed."""
    width = np.inf if cap is None else cap
    long_room, short_room = (
        min(share, np.count_nonzero(side) * width) if side.any() else 0.0
        for share, side in (((gross + net) / 2, longs), ((gross - net) / 2, shorts))
    )
    if not shorts.any():  # one side only: the net bounds it
        return min(max(net, 0.0), _room(longs, width)), 0.0
    if not longs.any():
        return 0.0, min(max(-net, 0.0), _room(shorts, width))
    long_total = max(min(long_room, short_room + net), 0.0)
    short_total = min(max(long_total - net, 0.0), short_room)
    return long_total, short_total


def _room(side: FloatArray, width: float) -> float:
    return float(np.count_nonzero(side) * width) if side.any() else 0.0


def _fill(scores: FloatArray, total: float, cap: float | None) -> FloatArray:
    """Weights proportional to ``scores`` >= 0 that sum to ``total``, none above ``cap``."""
    weights = np.zeros_like(scores)
    largest = scores.max(initial=0.0)
    if largest <= 0.0 or total <= 0.0:
        return weights
    scores = scores / largest  # tiny scores must not overflow their share
    free = scores > 0.0
    left = total
    while free.any():
        share = left * scores[free] / scores[free].sum()
        if cap is None or (share <= cap).all():
            weights[free] = share
            break
        full = np.zeros_like(free)
        full[free] = share > cap
        weights[full] = cap
        free &= ~full
        left = max(left - cap * np.count_nonzero(full), 0.0)
    return weights


def inside(weights: FloatArray, spec: AllocationSpec) -> FloatArray:
    """Take off what exceeds a limit: clip each weight, then scale the book to the gross."""
    cap = min(spec.max_weight or spec.gross, spec.gross)
    weights = np.clip(weights, 0.0 if spec.long_only else -cap, cap)
    used = float(np.abs(weights).sum())
    return weights * (spec.gross / used) if used > spec.gross * (1.0 + 1e-12) else weights
