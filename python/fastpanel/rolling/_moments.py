"""Sums and moments of a window."""

from __future__ import annotations

import math
from typing import Literal

from fastpanel import _core
from fastpanel.errors import ParameterError
from fastpanel.rolling._window import down, window_of
from fastpanel.typing import ArrayLike, FloatArray


def sum(x: ArrayLike, window: int, *, min_periods: int | None = None, axis: int = 0) -> FloatArray:
    """Sum over a rolling window.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, time along ``axis``; computed in float64. NaN is missing.
    window : int
        Rows of a window, the current row included; at least 1.
    min_periods : int, optional
        Values that a window needs, 1 to ``window``; by default all of them.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``x``
        NaN where a window holds fewer than ``min_periods`` values.

    Raises
    ------
    ParameterError
        ``window`` or ``min_periods`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Numerics: two-stack sums; nothing is subtracted, so a NaN, an infinity or an outlier leaves no
    trace once it has left. Cost per value does not depend on ``window``.
    Source: van Herk (1992), Pattern Recognition Letters 13.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.sum([1.0, 2.0, 4.0, 8.0], 2)
    array([nan,  3.,  6., 12.])
    """
    return down(x, axis, _core.rolling_sum, *window_of(window, min_periods))


def mean(x: ArrayLike, window: int, *, min_periods: int | None = None, axis: int = 0) -> FloatArray:
    """Mean of the values present in a rolling window.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, time along ``axis``; computed in float64. NaN is missing.
    window : int
        Rows of a window, the current row included; at least 1.
    min_periods : int, optional
        Values that a window needs, 1 to ``window``; by default all of them.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``x``
        In the unit of ``x``; NaN where a window holds fewer than ``min_periods`` values.

    Raises
    ------
    ParameterError
        ``window`` or ``min_periods`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Numerics: two-stack sums about a value of the window: exact for a constant window, no trace of
    what has left. Cost per value does not depend on ``window``.
    Source: van Herk (1992), Pattern Recognition Letters 13.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.mean([1.0, 2.0, 4.0, float("nan")], 2, min_periods=1)
    array([1. , 1.5, 3. , 4. ])
    """
    return down(x, axis, _core.rolling_mean, *window_of(window, min_periods))


def var(
    x: ArrayLike,
    window: int,
    *,
    min_periods: int | None = None,
    axis: int = 0,
    ddof: int = 1,
) -> FloatArray:
    """Variance of the values present in a rolling window.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, time along ``axis``; computed in float64. NaN is missing.
    window : int
        Rows of a window, the current row included; at least 1.
    min_periods : int, optional
        Values that a window needs, 1 to ``window``; by default all of them.
    axis : int
        Axis of time.
    ddof : int
        Degrees of freedom taken off the count; not negative.

    Returns
    -------
    ndarray, float64, shape of ``x``
        In the squared unit of ``x``; NaN where a window holds fewer than ``min_periods`` values or
        no more than ``ddof``. Exactly 0 for a constant window.

    Raises
    ------
    ParameterError
        ``window``, ``min_periods`` or ``ddof`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Numerics: two-stack sums of squares about a value of the window, which bounds cancellation for
    any level of the data; no trace of what has left. Cost per value does not depend on ``window``.
    Source: Chan, Golub and LeVeque (1983), The American Statistician 37 (shifted data).

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.var([1.0, 3.0, 3.0, 5.0], 2)
    array([nan,  2.,  0.,  2.])
    """
    return down(x, axis, _core.rolling_var, *window_of(window, min_periods), _ddof(ddof))


def std(
    x: ArrayLike,
    window: int,
    *,
    min_periods: int | None = None,
    axis: int = 0,
    ddof: int = 1,
) -> FloatArray:
    """Square root of :func:`var`: the standard deviation over a rolling window.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, time along ``axis``; computed in float64. NaN is missing.
    window : int
        Rows of a window, the current row included; at least 1.
    min_periods : int, optional
        Values that a window needs, 1 to ``window``; by default all of them.
    axis : int
        Axis of time.
    ddof : int
        Degrees of freedom taken off the count; not negative.

    Returns
    -------
    ndarray, float64, shape of ``x``
        In the unit of ``x``; NaN where a window holds fewer than ``min_periods`` values or no more
        than ``ddof``. Exactly 0 for a constant window.

    Raises
    ------
    ParameterError
        ``window``, ``min_periods`` or ``ddof`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Numerics and source: as :func:`var`; 1e6 + N(0, 1e-3) keeps twelve digits.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.std([1.0, 3.0, 3.0, 5.0], 2, ddof=0)
    array([nan,  1.,  0.,  1.])
    """
    return down(x, axis, _core.rolling_std, *window_of(window, min_periods), _ddof(ddof))


def semideviation(
    x: ArrayLike,
    window: int,
    side: Literal["down", "up"] = "down",
    *,
    min_periods: int | None = None,
    axis: int = 0,
) -> FloatArray:
    """Root mean square of the values on one side of zero, over a rolling window.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, returns say, time along ``axis``; computed in float64. NaN is
        missing.
    window : int
        Rows of a window, the current row included; at least 1.
    side : {"down", "up"}
        The values below zero, or those above.
    min_periods : int, optional
        Values of either side that a window needs, 1 to ``window``; by default all of them.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``x``
        In the unit of ``x``. NaN where a window holds fewer than ``min_periods`` values, or fewer
        than two on that side.

    Raises
    ------
    ParameterError
        ``window``, ``side`` or ``min_periods`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    The mean is over the values of the side, so calm and frequent falls differ from rare and deep
    ones. The downside deviation of Sortino and Price (1994), whose mean is over all rows, is
    ``sqrt(mean(minimum(x, 0) ** 2))``.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.semideviation([-3.0, 1.0, -4.0, 2.0], 3).round(4)
    array([   nan,    nan, 3.5355,    nan])
    """
    if side not in ("down", "up"):
        raise ParameterError(f"side must be 'down' or 'up', got {side!r}")
    sizes = window_of(window, min_periods)
    return down(x, axis, _core.rolling_semideviation, *sizes, side == "up")


def skew(x: ArrayLike, window: int, *, min_periods: int | None = None, axis: int = 0) -> FloatArray:
    """Skewness over a rolling window, adjusted Fisher-Pearson as in pandas.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, time along ``axis``; computed in float64. NaN is missing.
    window : int
        Rows of a window, the current row included; at least 1.
    min_periods : int, optional
        Values that a window needs, 1 to ``window``; by default all of them.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``x``
        Without unit; NaN where a window holds fewer than ``min_periods`` or three values, and where
        it is constant.

    Raises
    ------
    ParameterError
        ``window`` or ``min_periods`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Numerics: as :func:`var`.
    Source: Joanes and Gill (1998), The Statistician 47, G1.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.skew([0.0, 0.0, 3.0, 3.0], 3).round(3)
    array([   nan,    nan,  1.732, -1.732])
    """
    return down(x, axis, _core.rolling_skew, *window_of(window, min_periods))


def kurt(x: ArrayLike, window: int, *, min_periods: int | None = None, axis: int = 0) -> FloatArray:
    """Excess kurtosis over a rolling window, bias-corrected as in pandas.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, time along ``axis``; computed in float64. NaN is missing.
    window : int
        Rows of a window, the current row included; at least 1.
    min_periods : int, optional
        Values that a window needs, 1 to ``window``; by default all of them.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``x``
        Without unit; NaN where a window holds fewer than ``min_periods`` or four values, and where
        it is constant.

    Raises
    ------
    ParameterError
        ``window`` or ``min_periods`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Numerics: as :func:`var`.
    Source: Joanes and Gill (1998), The Statistician 47, G2.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.kurt([1.0, 2.0, 3.0, 4.0, 9.0], 4).round(3)
    array([   nan,    nan,    nan, -1.2  ,  2.704])
    """
    return down(x, axis, _core.rolling_kurt, *window_of(window, min_periods))


def _ddof(ddof: float) -> float:
    number = float(ddof)
    if not math.isfinite(number) or number < 0:
        raise ParameterError(f"ddof must be a finite number of at least 0, got {ddof!r}")
    return number
