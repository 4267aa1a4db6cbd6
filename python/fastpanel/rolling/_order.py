"""Extremes, quantiles and ranks of a window: exact."""

from __future__ import annotations

from fastpanel import _core
from fastpanel._runtime import number
from fastpanel.errors import ParameterError
from fastpanel.rolling._window import down, window_of
from fastpanel.typing import ArrayLike, FloatArray


def min(x: ArrayLike, window: int, *, min_periods: int | None = None, axis: int = 0) -> FloatArray:
    """Smallest value of a rolling window.

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
    Cost per value does not depend on ``window``.
    Source: van Herk (1992), Pattern Recognition Letters 13.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.min([3.0, 1.0, 2.0, 5.0], 2)
    array([nan,  1.,  1.,  2.])
    """
    return down(x, axis, _core.rolling_min, *window_of(window, min_periods))


def max(x: ArrayLike, window: int, *, min_periods: int | None = None, axis: int = 0) -> FloatArray:
    """Largest value of a rolling window.

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
    Cost per value does not depend on ``window``.
    Source: van Herk (1992), Pattern Recognition Letters 13.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.max([3.0, 1.0, 2.0, 5.0], 2)
    array([nan,  3.,  2.,  5.])
    """
    return down(x, axis, _core.rolling_max, *window_of(window, min_periods))


def median(
    x: ArrayLike, window: int, *, min_periods: int | None = None, axis: int = 0
) -> FloatArray:
    """Median of a rolling window; the mean of the two middle values of an even number.

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
    Cost per value grows with ``window`` up to 100 rows and no further.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.median([3.0, 1.0, 2.0, 5.0], 3)
    array([nan, nan,  2.,  2.])
    """
    return down(x, axis, _core.rolling_median, *window_of(window, min_periods))


def mad(x: ArrayLike, window: int, *, min_periods: int | None = None, axis: int = 0) -> FloatArray:
    """Median absolute deviation, median(abs(x - median(x))), of a rolling window, unscaled.

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
        In the unit of ``x`` (times 1.4826 for the scale of a normal distribution); both medians
        are of the same window. NaN where a window holds fewer than ``min_periods`` values.

    Raises
    ------
    ParameterError
        ``window`` or ``min_periods`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Cost per value grows with ``window``: one sweep over the sorted window and a binary search.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.mad([1.0, 2.0, 4.0, 9.0], 3)
    array([nan, nan,  1.,  2.])
    """
    return down(x, axis, _core.rolling_mad, *window_of(window, min_periods))


def quantile(
    x: ArrayLike, window: int, q: float, *, min_periods: int | None = None, axis: int = 0
) -> FloatArray:
    """Quantile of a rolling window, linear between neighbours (type 7, NumPy's default).

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, time along ``axis``; computed in float64. NaN is missing.
    window : int
        Rows of a window, the current row included; at least 1.
    q : float
        Quantile, 0 to 1.
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
        ``window``, ``q`` or ``min_periods`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Cost: that of :func:`median`.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.quantile([1.0, 2.0, 4.0, 9.0], 3, 0.25)
    array([nan, nan, 1.5, 3. ])
    """
    level = number(q, "q")
    if not 0.0 <= level <= 1.0:
        raise ParameterError(f"q must lie between 0 and 1, got {q!r}")
    return down(x, axis, _core.rolling_quantile, *window_of(window, min_periods), level)


def rank(x: ArrayLike, window: int, *, min_periods: int | None = None, axis: int = 0) -> FloatArray:
    """Rank of the current value in its window, as a share: average rank divided by the count.

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
        In (0, 1], ties share their average rank (pandas ``rank(pct=True)``); NaN where the current
        value is missing or a window holds fewer than ``min_periods`` values.

    Raises
    ------
    ParameterError
        ``window`` or ``min_periods`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Cost per value grows with ``window``: it counts.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.rank([1.0, 3.0, 2.0, 2.0], 2)
    array([ nan, 1.  , 0.5 , 0.75])
    """
    return down(x, axis, _core.rolling_rank, *window_of(window, min_periods))
