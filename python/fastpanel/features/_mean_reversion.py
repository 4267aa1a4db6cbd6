"""Mean reversion: how far the price has strayed from where it was."""

from __future__ import annotations

from fastpanel import rolling
from fastpanel.features._inputs import Inputs, lag
from fastpanel.typing import FloatArray

NORMAL_MAD = 1.4826  # MAD to standard deviation under a normal law


def z_price_ema(x: Inputs, halflife: int) -> FloatArray:
    """Log close against its exponentially weighted mean and standard deviation."""
    price = x.log_close
    mean = rolling.ewm_mean(price, halflife=halflife, min_periods=halflife)
    std = rolling.ewm_std(price, halflife=halflife, min_periods=halflife)
    return (price - mean) / (std + x.eps)


def z_price_med(x: Inputs, horizon: int) -> FloatArray:
    """Log close against its rolling median and MAD."""
    price = x.log_close
    deviation = price - rolling.median(price, horizon)
    return deviation / (NORMAL_MAD * rolling.mad(price, horizon) + x.eps)


def donch_pos(x: Inputs, horizon: int) -> FloatArray:
    """Place of the close in the range of the last weeks, this one included."""
    high, low = x.channel(horizon)
    place: FloatArray = (x.weekly.close - low) / (high - low + x.eps)
    return place


def rsi_centered(x: Inputs, horizon: int) -> FloatArray:
    """Relative strength index around 0."""
    return rolling.rsi(x.weekly.close, horizon) - 50.0


def rev(x: Inputs) -> FloatArray:
    """Minus the return of the week before."""
    return -lag(x.log_return, 1)


def shock(x: Inputs, horizon: int) -> FloatArray:
    """Return of the week before over the spread of the returns up to it."""
    before = lag(x.log_return, 1)
    return before / (rolling.std(before, horizon) + x.eps)


def range_pos(x: Inputs) -> FloatArray:
    """Place of the close in the week's own range, from -1 to 1."""
    high, low = x.weekly.high, x.weekly.low
    return (x.weekly.close - (high + low) / 2) / (0.5 * (high - low) + x.eps)


def range_z(x: Inputs, horizon: int) -> FloatArray:
    """Z-score of the week's range among those of the last weeks."""
    width = x.weekly.high - x.weekly.low
    return (width - rolling.mean(width, horizon)) / (rolling.std(width, horizon) + x.eps)
