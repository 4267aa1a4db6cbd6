"""How much the assets of a panel move together."""

from __future__ import annotations

from fastpanel import _core
from fastpanel._runtime import canonical
from fastpanel.rolling._window import window_of
from fastpanel.typing import ArrayLike, FloatArray


def corr_mean(x: ArrayLike, window: int, *, min_periods: int | None = None) -> FloatArray:
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

    Returns
    -------
    ndarray, float64, shape [T]
        In [-1, 1]. Each pair is taken on the rows that both assets have in the window; a pair with
        fewer than ``min_periods`` of them, or constant on them, leaves. NaN where no pair is left.

    Raises
    ------
    ParameterError
        ``window`` or ``min_periods`` outside its domain, or ``x`` not real numbers.
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
    return _core.rolling_corr_mean(table, *window_of(window, min_periods))


def pc1_share(x: ArrayLike, window: int, *, min_periods: int | None = None) -> FloatArray:
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

    Returns
    -------
    ndarray, float64, shape [T]
        In (0, 1]: 1 where all assets move as one, 1 / A where they are unrelated and equally
        volatile. The covariance is over the rows that are complete for the assets kept. NaN with
        fewer than two such rows, or where nothing varies.

    Raises
    ------
    ParameterError
        ``window`` or ``min_periods`` outside its domain, or ``x`` not real numbers.
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
    return _core.rolling_pc1_share(table, *window_of(window, min_periods))
