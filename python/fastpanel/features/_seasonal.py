"""Seasonal: mean return of each weekday over the last half year."""

from __future__ import annotations

import numpy as np

from fastpanel import rolling
from fastpanel.features._inputs import DAYS_PER_WEEK, Inputs
from fastpanel.typing import FloatArray


def _weekday_means(x: Inputs, weeks: int) -> FloatArray:
    return x.once(("weekday means", weeks), lambda: _compute_weekday_means(x, weeks))


def _compute_weekday_means(x: Inputs, weeks: int) -> FloatArray:
    """Mean return ``[T, 5, A]`` per weekday over ``weeks`` rows, at least half of them there."""
    n_weeks, n_assets = x.weekly.close.shape
    returns = np.full((n_weeks, DAYS_PER_WEEK, n_assets), np.nan)
    inside = x.week_row >= 0
    by_day = x.on_calendar(x.daily_return)
    returns[x.week_row[inside], x.weekday[inside]] = by_day[inside]
    flat = returns.reshape(n_weeks, -1)
    means = rolling.mean(flat, weeks, min_periods=weeks // 2).reshape(returns.shape)
    # an asset's first row is where its weekly bars begin, whatever the universe does
    first = np.where(np.isfinite(x.weekly.close), np.arange(n_weeks)[:, None], n_weeks).min(0)
    young = np.arange(n_weeks)[:, None] < first + weeks - 1
    hidden = young | ~x.has_day
    return np.where(hidden[:, None, :], np.nan, means)


def dow_alpha(x: Inputs, weekday: int, weeks: int) -> FloatArray:
    """Mean log return of one weekday, Monday = 0."""
    return _weekday_means(x, weeks)[:, weekday]


def dow_spread(x: Inputs, weeks: int) -> FloatArray:
    """Largest minus smallest weekday mean; all five are needed."""
    means = _weekday_means(x, weeks)
    spread: FloatArray = means.max(axis=1) - means.min(axis=1)
    return spread
