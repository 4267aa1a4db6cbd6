"""Breakout: a close beyond the extremes of the weeks before."""

from __future__ import annotations

import numpy as np

from fastpanel.features._inputs import Inputs, lag
from fastpanel.typing import BoolArray, FloatArray


def brk_up(x: Inputs, horizon: int) -> FloatArray:
    """1 if the close is above the highest high of the weeks before, else 0."""
    highest = lag(x.channel(horizon)[0], 1)
    return _flag(x.weekly.close > highest, x.weekly.close, highest)


def brk_dn(x: Inputs, horizon: int) -> FloatArray:
    """1 if the close is below the lowest low of the weeks before, else 0."""
    lowest = lag(x.channel(horizon)[1], 1)
    return _flag(x.weekly.close < lowest, x.weekly.close, lowest)


def _flag(condition: BoolArray, close: FloatArray, level: FloatArray) -> FloatArray:
    out = condition.astype(np.float64)
    out[np.isnan(close) | np.isnan(level)] = np.nan
    return out
