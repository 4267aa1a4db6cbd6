"""Regime: one number per week for the whole market, the same in every asset's column."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastpanel import cross_section, rolling
from fastpanel.features._inputs import Inputs
from fastpanel.features._mean_reversion import NORMAL_MAD
from fastpanel.features._volatility import against_prior
from fastpanel.typing import FloatArray


def _to_all(x: Inputs, values: FloatArray) -> FloatArray:
    return np.repeat(values[:, None], x.weekly.close.shape[1], axis=1)


def _mean_over_assets(values: FloatArray) -> FloatArray:
    """Mean ``[T]`` over the assets that have a value; NaN if none has."""
    there = np.isfinite(values)
    number = there.sum(axis=1)
    total = np.where(there, values, 0.0).sum(axis=1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def glob_vol_cc_d(x: Inputs, days: int) -> FloatArray:
    """Mean volatility."""
    return _to_all(x, _mean_over_assets(x.volatility(days)))


def glob_vol_regime_cc(x: Inputs, days: int) -> FloatArray:
    """Mean volatility against its own past half year."""
    mean = _mean_over_assets(x.volatility(days))[:, None]
    return _to_all(x, against_prior(mean, x.eps)[:, 0])


def glob_corr_mean(x: Inputs, days: int) -> FloatArray:
    """Mean correlation over pairs of assets."""
    return _of_market(x, days, rolling.corr_mean)


def glob_pc1_share(x: Inputs, days: int) -> FloatArray:
    """Share of the leading eigenvalue in the covariance of daily returns."""
    return _of_market(x, days, rolling.pc1_share)


def _of_market(x: Inputs, days: int, statistic: Callable[..., FloatArray]) -> FloatArray:
    """A statistic of the last ``days`` market days at each week's last one, half of them there."""
    begin, end = x.day_range
    last = end - 2  # one for the half-open end, one for the first market day, which has no return
    weeks = np.flatnonzero((end > begin) & (last >= days - 1))
    returns = np.ascontiguousarray(x.on_calendar(x.daily_return)[1:])
    out = np.full(len(x.weekly.times), np.nan)
    out[weeks] = statistic(returns, days, min_periods=days // 2, rows=last[weeks])
    return _to_all(x, out)


def _spread(x: Inputs, values: FloatArray) -> FloatArray:
    return _to_all(x, NORMAL_MAD * cross_section.mad_dispersion(values))


def glob_disp_ret(x: Inputs) -> FloatArray:
    """Robust spread of weekly returns over the assets."""
    return _spread(x, x.log_return)


def glob_disp_of(x: Inputs, base: str) -> FloatArray:
    """Robust spread of a column over the assets."""
    return _spread(x, x.column(base))
