"""Cleaned bars built from the numbers that a test is about."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from fastpanel.data import CleanBars, WeeklyReturns, clean_bars

MONDAY = np.datetime64("2020-01-06")


def long_frame(times, **wide) -> pl.DataFrame:
    """Long OHLC frame of ``[T, A]`` arrays; rows with a NaN close are left out."""
    n_times, n_assets = wide["close"].shape
    columns = {
        "timestamp": pl.Series(np.repeat(times, n_assets).astype("datetime64[ns]")),
        "asset": [f"A{i}" for i in range(n_assets)] * n_times,
    }
    frame = pl.DataFrame(columns | {name: values.ravel() for name, values in wide.items()})
    frame = frame.with_columns(pl.col("timestamp").dt.replace_time_zone("UTC"))
    return frame.filter(pl.col("close").is_not_nan())


@pytest.fixture
def weekly_only() -> Callable[..., CleanBars]:
    """Build from weekly closes (and highs, lows) ``[T]`` or ``[T, A]``; there are no days."""

    def build(close, high=None, low=None) -> CleanBars:
        close = np.asarray(close, float).reshape(len(close), -1)
        high = close if high is None else np.asarray(high, float).reshape(close.shape)
        low = close if low is None else np.asarray(low, float).reshape(close.shape)
        friday = MONDAY + 4 + 7 * np.arange(len(close))
        weekly = long_frame(friday, open=close, high=high, low=low, close=close)
        names = tuple(f"A{i}" for i in range(close.shape[1]))
        returns = WeeklyReturns(close * 0, friday.astype("datetime64[ns]"), names, "simple")
        return CleanBars(weekly, None, returns, {})

    return build


@pytest.fixture
def from_days() -> Callable[..., CleanBars]:
    """Build from log returns of Monday-to-Friday bars ``[D]`` or ``[D, A]``.

    The first close is 100 and has no return, so row ``d`` of the returns
    belongs to day ``d + 1``.
    """

    def build(returns, high=1.0, low=1.0) -> CleanBars:
        returns = np.asarray(returns, float).reshape(len(returns), -1)
        path = np.vstack([np.zeros((1, returns.shape[1])), np.cumsum(returns, axis=0)])
        path = path[: len(path) // 5 * 5]
        close = 100 * np.exp(path)
        week, day = np.divmod(np.arange(len(close)), 5)
        times = MONDAY + 7 * week + day
        bars = long_frame(times, open=close, high=close * high, low=close * low, close=close)
        return clean_bars(bars)

    return build
