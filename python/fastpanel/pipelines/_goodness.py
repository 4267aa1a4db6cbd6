"""Data quality of features: how much of a feature's horizon was there."""

from __future__ import annotations

import numpy as np

from fastpanel.data import CleanBars, sessions
from fastpanel.features import FeatureColumn
from fastpanel.typing import FloatArray, IntArray

DAYS_PER_WEEK = 5
# its daily and weekly columns both count what is there
_VALID_GROUP = "regime"

Ratios = dict[str, dict[str, dict[str, float]]]


def goodness(clean: CleanBars, columns: tuple[FeatureColumn, ...]) -> Ratios:
    """Data-quality ratios ``{feature: {asset: {timestamp: ratio}}}``.

    Columns from daily bars, and all of the regime group, get valid / horizon:
    the share of the last horizon Mon-Fri days (weeks, for the two dispersions
    of weekly values) on which the asset has a bar. Columns from weekly bars
    get missing / horizon, so 0 is best there. Days before the first bar count
    as missing, weeks before the first row do not.
    """
    stamps = [f"{str(t).replace('T', '_')}+00:00" for t in clean.times.astype("datetime64[s]")]
    shares: dict[tuple[str, int], FloatArray] = {}
    ratios: Ratios = {}
    for column in columns:
        key = column.frequency, column.horizon
        if key not in shares:
            share = valid_days if column.frequency == "daily" else missing_weeks
            shares[key] = share(clean, column.horizon)
        values = shares[key]
        if column.group == _VALID_GROUP and column.frequency == "weekly":
            values = 1.0 - values
        ratios[column.name] = {
            asset: dict(zip(stamps, values[:, a].tolist(), strict=True))
            for a, asset in enumerate(clean.assets)
        }
    return ratios


def valid_days(clean: CleanBars, weeks: int) -> FloatArray:
    """Share ``[T, A]`` of the last ``5 * weeks`` Mon-Fri days, or sessions, with a daily bar."""
    daily = clean.daily_arrays
    days = clean.day_numbers(daily.times)
    count = np.zeros((len(days) + 1, len(clean.assets)))
    np.cumsum(np.isfinite(daily.close), axis=0, out=count[1:])
    last = clean.day_numbers(clean.times)
    first = _days_before(clean, last, DAYS_PER_WEEK * weeks - 1)
    begin = np.searchsorted(days, first)
    end = np.searchsorted(days, last, "right")
    share: FloatArray = (count[end] - count[begin]) / (DAYS_PER_WEEK * weeks)
    return share


def _days_before(clean: CleanBars, last: IntArray, count: int) -> IntArray:
    """Day numbers ``count`` Mon-Fri days, or sessions, before those of ``last``."""
    if clean.sessions is None:
        rolled = np.busday_offset(last.astype("datetime64[D]"), 0, roll="backward")
        return np.busday_offset(rolled, -count).astype(np.int64)
    known = sessions(
        clean.sessions.calendar,
        clean.times[0] - np.timedelta64(2 * count + 14, "D"),
        clean.times[-1],
    ).dates
    before: IntArray = known[np.searchsorted(known, last) - count]
    return before


def missing_weeks(clean: CleanBars, weeks: int) -> FloatArray:
    """Share ``[T, A]`` of the last ``weeks`` weekly rows without a bar."""
    absent = np.isnan(clean.weekly_arrays.close)
    count = np.zeros((len(absent) + 1, absent.shape[1]))
    np.cumsum(absent, axis=0, out=count[1:])
    end = np.arange(1, len(absent) + 1)
    share: FloatArray = (count[end] - count[np.maximum(end - weeks, 0)]) / weeks
    return share
