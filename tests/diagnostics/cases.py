"""Forecast panels for the tests."""

from __future__ import annotations

import numpy as np

from fastpanel.diagnostics import Forecasts

WEEK = np.timedelta64(7, "D")


def weeks(count, start="2020-01-03"):
    return (np.datetime64(start) + np.arange(count) * WEEK).astype("datetime64[ns]")


def forecasts(*, spread=1.0, shift=0.0, n=150, a=4, s=199, seed=0):
    """Truth from N(0, 1), draws from N(shift, spread)."""
    rng = np.random.default_rng(seed)
    samples = shift + spread * rng.normal(size=(s, n, a))
    return Forecasts(samples, rng.normal(size=(n, a)), weeks(n), ("SPY", "QQQ", "TLT", "GLD")[:a])
