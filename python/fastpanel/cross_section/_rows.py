"""Rank, z-score, deviation from the mean and dispersion across a row."""

from __future__ import annotations

from fastpanel import _core
from fastpanel.cross_section._table import from_rows, to_rows
from fastpanel.typing import ArrayLike, FloatArray


def rank(x: ArrayLike, axis: int = -1) -> FloatArray:
    """Rank across assets as a share: (average rank - 0.5) / number of values.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, assets along ``axis``; computed in float64. NaN is missing.
    axis : int
        Axis of the assets.

    Returns
    -------
    ndarray, float64, shape of ``x``
        In (0, 1), the largest value highest; ties share their average rank, a lone value has 0.5,
        a missing value NaN.

    Raises
    ------
    ParameterError
        ``x`` does not hold real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: a row uses that row alone. Cost: one sort per row.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.cross_section.rank([1.0, 2.0, 2.0, 4.0, float("nan")])
    array([0.125, 0.5  , 0.5  , 0.875,   nan])
    """
    table, shape = to_rows(x, axis)
    return from_rows(_core.cross_section_rank(table), shape, axis)


def zscore(x: ArrayLike, axis: int = -1) -> FloatArray:
    """Deviation from the mean across assets in standard deviations (ddof 1).

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, assets along ``axis``; computed in float64. NaN is missing.
    axis : int
        Axis of the assets.

    Returns
    -------
    ndarray, float64, shape of ``x``
        Without unit; NaN where the value is missing, and in a row that is constant or has fewer
        than two values.

    Raises
    ------
    ParameterError
        ``x`` does not hold real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: a row uses that row alone. Numerics: two passes about a value of the row.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.cross_section.zscore([1.0, 2.0, 3.0])
    array([-1.,  0.,  1.])
    """
    table, shape = to_rows(x, axis)
    return from_rows(_core.cross_section_zscore(table), shape, axis)


def demean(x: ArrayLike, axis: int = -1) -> FloatArray:
    """Deviation from the mean across assets.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, assets along ``axis``; computed in float64. NaN is missing.
    axis : int
        Axis of the assets.

    Returns
    -------
    ndarray, float64, shape of ``x``
        In the unit of ``x``; NaN where the value is missing, exactly 0 in a constant row.

    Raises
    ------
    ParameterError
        ``x`` does not hold real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: a row uses that row alone.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.cross_section.demean([1.0, float("nan"), 3.0])
    array([-1., nan,  1.])
    """
    table, shape = to_rows(x, axis)
    return from_rows(_core.cross_section_demean(table), shape, axis)


def mad_dispersion(x: ArrayLike, axis: int = -1) -> FloatArray:
    """Dispersion across assets: median(abs(x - median(x))) of every row, unscaled.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, assets along ``axis``; computed in float64. NaN is missing.
    axis : int
        Axis of the assets.

    Returns
    -------
    ndarray, float64, shape of ``x`` without ``axis``
        In the unit of ``x`` (times 1.4826 for the scale of a normal distribution); 0 for a lone
        value, NaN without any.

    Raises
    ------
    ParameterError
        ``x`` does not hold real numbers.
    ShapeError
        ``x`` has no such axis.

    Notes
    -----
    Known when: a row uses that row alone.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.cross_section.mad_dispersion([[0.01, 0.02, 0.03, 0.10]]).round(6)
    array([0.01])
    """
    table, shape = to_rows(x, axis)
    return _core.cross_section_mad_dispersion(table).reshape(shape[:-1])
