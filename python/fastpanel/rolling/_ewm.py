"""Exponentially weighted mean and standard deviation, as pandas defines them."""

from __future__ import annotations

import math

from fastpanel import _core
from fastpanel._runtime import number
from fastpanel.errors import ParameterError
from fastpanel.rolling._window import down, whole
from fastpanel.typing import ArrayLike, FloatArray


def ewm_mean(
    x: ArrayLike,
    *,
    span: float | None = None,
    halflife: float | None = None,
    alpha: float | None = None,
    adjust: bool = True,
    min_periods: int = 0,
    axis: int = 0,
) -> FloatArray:
    """Exponentially weighted mean.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, time along ``axis``; computed in float64. NaN is missing, and
        so is an infinity, which would never leave the memory.
    span, halflife, alpha : float
        Exactly one: ``alpha = 2 / (span + 1)`` with span >= 1; ``alpha = 1 - 2 ** (-1 / halflife)``
        with halflife > 0, in rows; or alpha itself in (0, 1].
    adjust : bool
        Divide by the sum of the weights so far; else recurse from the first value.
    min_periods : int
        Values that a result needs; 0 acts as 1.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``x``
        NaN until there are ``min_periods`` values. A missing row repeats the last result, and
        weights decay over it by position (pandas' ``ignore_na=False``).

    Raises
    ------
    ParameterError
        Not exactly one of ``span``, ``halflife``, ``alpha``, or a value outside its domain.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses all rows up to t; the memory is infinite.
    Source: pandas ``DataFrame.ewm``.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.ewm_mean([1.0, 2.0, 4.0], alpha=0.5, adjust=False)
    array([1.  , 1.5 , 2.75])
    """
    weight, needed = _alpha(span, halflife, alpha), whole(min_periods, "min_periods", 0)
    return down(x, axis, _core.ewm_mean, weight, adjust, needed)


def ewm_std(
    x: ArrayLike,
    *,
    span: float | None = None,
    halflife: float | None = None,
    alpha: float | None = None,
    adjust: bool = True,
    min_periods: int = 0,
    bias: bool = False,
    axis: int = 0,
) -> FloatArray:
    """Exponentially weighted standard deviation.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, time along ``axis``; computed in float64. NaN is missing, and
        so is an infinity, which would never leave the memory.
    span, halflife, alpha : float
        Exactly one: ``alpha = 2 / (span + 1)`` with span >= 1; ``alpha = 1 - 2 ** (-1 / halflife)``
        with halflife > 0, in rows; or alpha itself in (0, 1].
    adjust : bool
        Divide by the sum of the weights so far; else recurse from the first value.
    min_periods : int
        Values that a result needs; 0 acts as 1.
    bias : bool
        Leave out the correction for the effective number of values.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``x``
        In the unit of ``x``. Without ``bias`` the first value has no deviation yet: NaN.

    Raises
    ------
    ParameterError
        Not exactly one of ``span``, ``halflife``, ``alpha``, or a value outside its domain.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: row t uses all rows up to t; the memory is infinite.
    Source: pandas ``DataFrame.ewm``.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.ewm_std([1.0, 3.0, 3.0], alpha=0.5).round(4)
    array([   nan, 1.4142, 0.9258])
    """
    weight, needed = _alpha(span, halflife, alpha), whole(min_periods, "min_periods", 0)
    return down(x, axis, _core.ewm_std, weight, adjust, needed, bias)


def _alpha(span: float | None, halflife: float | None, alpha: float | None) -> float:
    given = {"span": span, "halflife": halflife, "alpha": alpha}
    chosen = {name: number(value, name) for name, value in given.items() if value is not None}
    if len(chosen) != 1:
        raise ParameterError(
            f"give exactly one of span, halflife and alpha, got {chosen or 'none of them'}"
        )
    (name, value), *_ = chosen.items()
    if name == "span" and 1.0 <= value < math.inf:
        return 2.0 / (value + 1.0)
    if name == "halflife" and 0.0 < value < math.inf:
        return -math.expm1(-math.log(2.0) / value)
    if name == "alpha" and 0.0 < value <= 1.0:
        return value
    domain = {"span": "at least 1", "halflife": "above 0", "alpha": "in (0, 1]"}[name]
    raise ParameterError(f"{name} must be finite and {domain}, got {value!r}")
