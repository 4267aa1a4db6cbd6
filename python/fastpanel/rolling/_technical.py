"""True range, average true range, relative strength index."""

from __future__ import annotations

from typing import Literal

from fastpanel import _core
from fastpanel.errors import ParameterError
from fastpanel.rolling._window import Kernel, down, from_table, to_tables, whole
from fastpanel.typing import ArrayLike, FloatArray

Method = Literal["simple", "wilder"]


def true_range(high: ArrayLike, low: ArrayLike, close: ArrayLike, *, axis: int = 0) -> FloatArray:
    """Range of every bar with the previous close: max(high, close) - min(low, close).

    Parameters
    ----------
    high, low, close : array_like of one shape
        Prices, time along ``axis``; computed in float64. NaN is missing.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``high``
        In the unit of the prices; high - low where the previous close is missing, so at the first
        bar of an asset. NaN where high or low is.

    Raises
    ------
    ParameterError
        An array does not hold real numbers.
    ShapeError
        The shapes differ, or there is no such axis.

    Notes
    -----
    Known when: row t uses rows t - 1 and t.
    Source: Wilder (1978), New Concepts in Technical Trading Systems.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.true_range([12.0, 13.0], [10.0, 12.5], [11.0, 13.0])
    array([2., 2.])
    """
    return _on_bars(_core.true_range, high, low, close, axis)


def atr(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    window: int,
    method: Method = "simple",
    *,
    axis: int = 0,
) -> FloatArray:
    """Average true range.

    Parameters
    ----------
    high, low, close : array_like of one shape
        Prices, time along ``axis``; computed in float64. NaN is missing.
    window : int
        Bars to average over; at least 1.
    method : {"simple", "wilder"}
        Mean of the last ``window`` true ranges, or Wilder's recursion with weight 1 / window that
        starts from the mean of the first ``window``.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``high``
        In the unit of the prices. Simple: NaN while one of the ``window`` true ranges is missing.
        Wilder: NaN before ``window`` values and at a missing bar, which changes nothing.

    Raises
    ------
    ParameterError
        ``window`` or ``method`` outside its domain, or an array without real numbers.
    ShapeError
        The shapes differ, or there is no such axis.

    Notes
    -----
    Known when: simple uses rows t - window to t, Wilder all rows up to t. The first bar has a true
    range (high - low), so the first result is at row ``window - 1``.
    Source: Wilder (1978), New Concepts in Technical Trading Systems.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.atr([12.0, 13.0, 13.0], [10.0, 12.5, 12.0], [11.0, 13.0, 12.5], 2)
    array([nan, 2. , 1.5])
    """
    rows = whole(window, "window", 1)
    return _on_bars(_core.atr, high, low, close, axis, rows, _is_wilder(method))


def rsi(close: ArrayLike, window: int, method: Method = "simple", *, axis: int = 0) -> FloatArray:
    """Relative strength index: 100 * gains / (gains + losses).

    Parameters
    ----------
    close : array_like, any shape
        Prices, time along ``axis``; computed in float64. NaN is missing.
    window : int
        Changes to look back on; at least 1.
    method : {"simple", "wilder"}
        Sums of the last ``window`` changes (Cutler), or Wilder's recursion with weight 1 / window
        that starts from the mean of the first ``window``.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``close``
        0 to 100: 100 without losses, 0 without gains, 50 without any change. A change needs both
        its rows. Simple: NaN while one of the ``window`` changes is missing. Wilder: NaN before
        ``window`` changes and where the change is missing.

    Raises
    ------
    ParameterError
        ``window`` or ``method`` outside its domain, or ``close`` without real numbers.
    ShapeError
        ``close`` has no such axis.

    Notes
    -----
    Known when: simple uses rows t - window to t, Wilder all rows up to t; the first result is at
    row ``window``.
    Source: Wilder (1978), New Concepts in Technical Trading Systems.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.rsi([100.0, 102.0, 101.0, 103.0, 102.0], 4).round(4)
    array([    nan,     nan,     nan,     nan, 66.6667])
    """
    return down(close, axis, _core.rsi, whole(window, "window", 1), _is_wilder(method))


def _is_wilder(method: str) -> bool:
    if method not in ("simple", "wilder"):
        raise ParameterError(f"method must be 'simple' or 'wilder', got {method!r}")
    return method == "wilder"


def _on_bars(
    kernel: Kernel,
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    axis: int,
    *arguments: object,
) -> FloatArray:
    tables, shape = to_tables(axis, high=high, low=low, close=close)
    return from_table(kernel(*tables, *arguments), shape, axis)
