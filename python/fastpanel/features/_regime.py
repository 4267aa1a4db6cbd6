"""Regime: one number per week for the whole market, the same in every asset's column."""

from __future__ import annotations

import numpy as np

from fastpanel import cross_section, rolling
from fastpanel.features._inputs import Inputs
from fastpanel.features._mean_reversion import NORMAL_MAD
from fastpanel.features._volatility import against_prior
from fastpanel.typing import FloatArray, IntArray


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
    returns, weeks, last = _market_windows(x, days)
    out = np.full(len(x.weekly.times), np.nan)
    if len(weeks):
        out[weeks] = rolling.corr_mean(returns, days, min_periods=days // 2)[last]
    return _to_all(x, out)


def glob_pc1_share(x: Inputs, days: int) -> FloatArray:
    """Share of the leading eigenvalue in the covariance of daily returns."""
    returns, weeks, last = _market_windows(x, days)
    out = np.full(len(x.weekly.times), np.nan)
    # an eigenvalue is dear, so it is taken at the sampled days only
    for week, day in zip(weeks, last, strict=True):
        window = returns[day - days + 1 : day + 1]
        there = np.isfinite(window)
        if not there.all():
            kept = there.sum(axis=0) >= days // 2
            window = window[there[:, kept].all(axis=1)][:, kept]
        if len(window) > 1 and window.shape[1] > 0:
            out[week] = rolling.pc1_share(window, len(window))[-1]
    return _to_all(x, out)


def _market_windows(x: Inputs, days: int) -> tuple[FloatArray, IntArray, IntArray]:
    """Returns on market days from the second one on, and where full windows end.

    The second and third are weekly rows, and the last market day of each.
    """
    begin, end = x.day_range
    last = end - 2  # one for the half-open end, one for the first market day
    weeks = np.flatnonzero((end > begin) & (last >= days - 1))
    returns = np.ascontiguousarray(x.on_calendar(x.daily_return)[1:])
    return returns, weeks, last[weeks]


def _spread(x: Inputs, values: FloatArray) -> FloatArray:
    return _to_all(x, NORMAL_MAD * cross_section.mad_dispersion(values))


def glob_disp_ret(x: Inputs) -> FloatArray:
    """Robust spread of weekly returns over the assets."""
    return _spread(x, x.log_return)


def glob_disp_of(x: Inputs, base: str) -> FloatArray:
    """Robust spread of a column over the assets."""
    return _spread(x, x.column(base))
