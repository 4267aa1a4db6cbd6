"""Volatility: size, shape and change of daily returns, sampled weekly."""

from __future__ import annotations

import numpy as np

from fastpanel import rolling
from fastpanel.features._inputs import Inputs, lag
from fastpanel.typing import FloatArray

_NORMAL_5P = 1.645  # 5 % quantile of a normal law, in standard deviations
_PRIOR_WEEKS = 26
_SKEW_BOUND = 5.0
_JUMP_SIGMAS = 2.0


def vol_cc_d(x: Inputs, days: int) -> FloatArray:
    """Close-to-close volatility per day."""
    return x.volatility(days)


def atrp_d(x: Inputs, days: int) -> FloatArray:
    """Average true range over the close."""
    day = x.daily
    return x.sample(rolling.atr(day.high, day.low, day.close, days)) / x.sample(day.close)


def against_prior(values: FloatArray, eps: float) -> FloatArray:
    """Log ratio of weekly values to the median of the 26 weeks before."""
    prior = lag(rolling.median(values, _PRIOR_WEEKS), 1)
    return np.log((values + eps) / (prior + eps))


def vol_regime_cc(x: Inputs, days: int) -> FloatArray:
    """Volatility against its own past half year."""
    return against_prior(x.volatility(days), x.eps)


def vov_norm(x: Inputs, days: int) -> FloatArray:
    """Spread of absolute returns against its own past half year."""
    return against_prior(x.sample(rolling.std(np.abs(x.daily_return), days)), x.eps)


def _log_ratio(over: FloatArray, under: FloatArray, eps: float) -> FloatArray:
    return np.log((np.maximum(over, eps) + eps) / (np.maximum(under, eps) + eps))


def vol_ts_cc(x: Inputs, short: int, long: int) -> FloatArray:
    """Log ratio of a short-window to a long-window volatility."""
    return _log_ratio(x.volatility(short), x.volatility(long), x.eps)


def down_up_vol_ratio(x: Inputs, days: int) -> FloatArray:
    """Log ratio of the root mean squares of falling and of rising days."""
    sigma = x.volatility(days)
    down = x.sample(rolling.semideviation(x.daily_return, days, "down"))
    up = x.sample(rolling.semideviation(x.daily_return, days, "up"))
    # fewer than two such days: the volatility stands in
    down, up = (np.where(np.isnan(side), sigma, side) for side in (down, up))
    return _log_ratio(down, up, x.eps)


def realized_skew(x: Inputs, days: int) -> FloatArray:
    """Realised skewness without de-meaning, within [-5, 5]; 0 if nothing moved."""
    returns = x.daily_return
    square = returns * returns
    second = x.sample(rolling.sum(square, days))
    third = x.sample(rolling.sum(square * returns, days))
    still = second == 0
    size = np.where(still, 1.0, second)
    skew = np.sqrt(days) * third / (size * np.sqrt(size))
    return np.clip(np.where(still, 0.0, skew), -_SKEW_BOUND, _SKEW_BOUND)


def tail_5p_sigma_ratio(x: Inputs, days: int) -> FloatArray:
    """Log ratio of the empirical 5 % loss to that of a normal law."""
    loss = -x.sample(rolling.quantile(x.daily_return, days, 0.05))
    normal = _NORMAL_5P * x.volatility(days)
    return np.log((np.maximum(loss, x.eps) + x.eps) / (normal + x.eps))


def jump_freq(x: Inputs, days: int, reference: int) -> FloatArray:
    """Share of the last days beyond two standard deviations of the reference window."""
    bound = _JUMP_SIGMAS * x.volatility(reference)
    size = np.abs(x.daily_return)
    jumps = np.zeros(bound.shape)
    for back in range(days):
        # an asset too young for `back` rows has no bound either, so row 0 stands in
        jumps += x.at_last_day(size, back) > bound
    jumps[np.isnan(bound)] = np.nan
    jumps /= days
    return jumps
