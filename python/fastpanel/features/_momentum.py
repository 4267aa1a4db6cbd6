"""Momentum: trend over weeks in units of its own noise."""

from __future__ import annotations

import numpy as np

from fastpanel import rolling
from fastpanel.features._inputs import Inputs, lag
from fastpanel.typing import FloatArray


def z_mom(x: Inputs, horizon: int, reference: int = 26) -> FloatArray:
    """Return over ``horizon`` weeks over its standard deviation under a random walk."""
    sigma = rolling.std(x.log_return, reference)
    change = x.log_close - lag(x.log_close, horizon)
    score: FloatArray = change / (sigma * np.sqrt(horizon) + x.eps)
    return score


def ema_spread(x: Inputs, fast: int, slow: int) -> FloatArray:
    """Fast minus slow span EMA of the close, in average true ranges of the slow horizon."""
    week = x.weekly
    fast_mean = rolling.ewm_mean(week.close, span=fast, min_periods=slow)
    slow_mean = rolling.ewm_mean(week.close, span=slow, min_periods=slow)
    return (fast_mean - slow_mean) / (rolling.atr(week.high, week.low, week.close, slow) + x.eps)
