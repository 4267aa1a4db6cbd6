"""How much the assets of a panel move together."""

from __future__ import annotations

import numpy as np

from fastpanel import _core
from fastpanel._runtime import canonical
from fastpanel.errors import ParameterError
from fastpanel.rolling._window import window_of
from fastpanel.typing import ArrayLike, FloatArray, IntArray


def corr_mean(
    x: ArrayLike,
    window: int,
    *,
    min_periods: int | None = None,
    rows: ArrayLike | None = None,
) -> FloatArray:
    """Mean over all pairs of assets of their correlation in the window.

    Parameters
    ----------
    x : array_like, shape [T, A]
        Returns, say; real numbers of any dtype, computed in float64. NaN is missing, and so is an
        infinity.
    window : int
        Rows of a window, the current row included; at least 1.
    min_periods : int, optional
        Common rows that a pair needs, 1 to ``window``; by default all of them.
    rows : array_like of int, optional
        Rising row numbers at which windows end; by default all of them. A row gets the same bits
        either way.

    Returns
    -------
    ndarray, float64, shape [T], or one value per entry of ``rows``
        In [-1, 1]. Each pair is taken on the rows that both assets have in the window; a pair with
        fewer than ``min_periods`` of them, or constant on them, leaves. NaN where no pair is left.

    Raises
    ------
    ParameterError
        ``window``, ``min_periods`` or ``rows`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` does not have two axes.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Cost per row: ``window * A`` while assets are complete in the window, ``window * A**2`` for
    those that have gaps.

    Examples
    --------
    >>> import fastpanel as fp
    >>> x = [[1.0, 2.0, -1.0], [2.0, 4.0, -2.0], [3.0, 6.0, -3.0]]
    >>> fp.rolling.corr_mean(x, 3).round(6)
    array([      nan,       nan, -0.333333])
    """
    table = canonical(x, "x", ndim=2)
    return _core.rolling_corr_mean(table, *window_of(window, min_periods), _rows(rows, len(table)))


def pc1_share(
    x: ArrayLike,
    window: int,
    *,
    min_periods: int | None = None,
    rows: ArrayLike | None = None,
) -> FloatArray:
    """Share of the leading eigenvalue in the trace of the window covariance.

    Parameters
    ----------
    x : array_like, shape [T, A]
        Returns, say; real numbers of any dtype, computed in float64. NaN is missing, and so is an
        infinity.
    window : int
        Rows of a window, the current row included; at least 1.
    min_periods : int, optional
        Values that an asset needs in the window, 1 to ``window``, or it leaves; by default all of
        them.
    rows : array_like of int, optional
        Rising row numbers at which windows end; by default all of them. A row gets the same bits
        either way.

    Returns
    -------
    ndarray, float64, shape [T], or one value per entry of ``rows``
        In (0, 1]: 1 where all assets move as one, 1 / A where they are unrelated and equally
        volatile. The covariance is over the rows that are complete for the assets kept. NaN with
        fewer than two such rows, or where nothing varies.

    Raises
    ------
    ParameterError
        ``window``, ``min_periods`` or ``rows`` outside its domain, or ``x`` not real numbers.
    ShapeError
        ``x`` does not have two axes.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Numerics: Lanczos on the centred window from a fixed start; a row depends on its window alone.
    Source: Golub and Van Loan, Matrix Computations, section 10.1.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.rolling.pc1_share([[1.0, -1.0], [2.0, -2.0], [4.0, -4.0]], 3)
    array([nan, nan,  1.])
    """
    table = canonical(x, "x", ndim=2)
    return _core.rolling_pc1_share(table, *window_of(window, min_periods), _rows(rows, len(table)))


def _rows(rows: ArrayLike | None, count: int) -> IntArray | None:
    if rows is None:
        return None
    wanted = np.asarray(rows)
    if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
        raise ParameterError(f"rows must be one axis of row numbers, got {rows!r}")
    wanted = np.ascontiguousarray(wanted, dtype=np.int64)
    outside = wanted[(wanted < 0) | (wanted >= count)]
    if outside.size:
        raise ParameterError(f"rows must lie between 0 and {count - 1}, got {outside[0]}")
    falls = np.flatnonzero(np.diff(wanted) <= 0)
    if falls.size:
        place = falls[0]
        raise ParameterError(f"rows must rise, got {wanted[place]} before {wanted[place + 1]}")
    return wanted
