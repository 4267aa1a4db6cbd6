"""Rolling windows over panels: ``window`` counts rows, NaN is missing, no row sees a later one."""

from __future__ import annotations

from fastpanel.rolling._apply import apply
from fastpanel.rolling._ewm import ewm_mean, ewm_std
from fastpanel.rolling._market import corr_mean, pc1_share
from fastpanel.rolling._moments import kurt, mean, semideviation, skew, std, sum, var
from fastpanel.rolling._order import mad, max, median, min, quantile, rank
from fastpanel.rolling._reach import donchian, drawdown
from fastpanel.rolling._technical import atr, rsi, true_range

__all__ = [
    "apply",
    "atr",
    "corr_mean",
    "donchian",
    "drawdown",
    "ewm_mean",
    "ewm_std",
    "kurt",
    "mad",
    "max",
    "mean",
    "median",
    "min",
    "pc1_share",
    "quantile",
    "rank",
    "rsi",
    "semideviation",
    "skew",
    "std",
    "sum",
    "true_range",
    "var",
]
