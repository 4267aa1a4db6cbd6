"""How far prices reached: Donchian channel, drawdown."""

from __future__ import annotations

import numpy as np

from fastpanel import _core
from fastpanel.rolling._window import from_table, to_table, to_tables, whole, window_of
from fastpanel.typing import ArrayLike, FloatArray


def donchian(
    high: ArrayLike,
    low: ArrayLike,
    window: int,
    *,
    min_periods: int | None = None,
    axis: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Donchian channel: the highest high and the lowest low of a rolling window.

    Parameters
    ----------
    high, low : array_like of one shape
        Prices, time along ``axis``; computed in float64. NaN is missing.
    window : int
        Rows of a window, the current row included; at least 1.
    min_periods : int, optional
        Values that a window needs, 1 to ``window``; by default all of them.
    axis : int
        Axis of time.

    Returns
    -------
    upper, lower : ndarray, float64, shape of ``high``
        In the unit of the prices. NaN where a window holds fewer than ``min_periods`` highs
        (lows).

    Raises
    ------
    ParameterError
        ``window`` or ``min_periods`` outside its domain, or an array without real numbers.
    ShapeError
        The shapes differ, or there is no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t, its own bar included; a breakout compares the
    close with the row before.
    Source: Donchian (1960), High finance in copper, Financial Analysts Journal 16(6).

    Examples
    --------
    >>> import fastpanel as fp
    >>> upper, lower = fp.rolling.donchian([3.0, 5.0, 4.0], [1.0, 2.0, 3.0], 2)
    >>> upper, lower
    (array([nan,  5.,  5.]), array([nan,  1.,  2.]))
    """
    (top, bottom), shape = to_tables(axis, high=high, low=low)
    sizes = window_of(window, min_periods)
    upper = from_table(_core.rolling_max(top, *sizes), shape, axis)
    return upper, from_table(_core.rolling_min(bottom, *sizes), shape, axis)


def drawdown(
    close: ArrayLike,
    window: int | None = None,
    *,
    min_periods: int | None = None,
    axis: int = 0,
) -> FloatArray:
    """Drop from the highest price so far, or of a rolling window: close / max - 1.

    Parameters
    ----------
    close : array_like, any shape
        Positive prices, time along ``axis``; computed in float64. NaN is missing.
    window : int, optional
        Rows to take the highest price from, the current row included; by default all rows so far.
    min_periods : int, optional
        Prices that a result needs, 1 to ``window``; by default all of the window, and one without
        a window.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``close``
        -1 to 0, a share of the highest price. NaN where the price is missing or there are fewer
        than ``min_periods``.

    Raises
    ------
    ParameterError
        ``window`` or ``min_periods`` outside its domain, or ``close`` not real numbers.
    ShapeError
        ``close`` has no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t, or all rows up to t.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.drawdown([100.0, 120.0, 90.0, 108.0])
    array([ 0.  ,  0.  , -0.25, -0.1 ])
    >>> fp.rolling.drawdown([100.0, 120.0, 90.0, 108.0], 2)
    array([  nan,  0.  , -0.25,  0.  ])
    """
    table, shape = to_table(close, axis, "close")
    if window is None:
        needed = 1 if min_periods is None else whole(min_periods, "min_periods", 1)
        sizes = max(len(table), needed), needed
    else:
        sizes = window_of(window, min_periods)
    top = _core.rolling_max(table, *sizes)
    np.divide(table, top, out=top)
    top -= 1.0
    return from_table(top, shape, axis)
