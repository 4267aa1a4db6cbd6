"""What a series of period returns does to the capital."""

from __future__ import annotations

import numpy as np

from fastpanel._runtime import real
from fastpanel.errors import DataError, ShapeError
from fastpanel.typing import ArrayLike, FloatArray


def as_pnl(pnl: ArrayLike) -> FloatArray:
    """Check a series of returns [T]: one axis, no infinity."""
    values = real(pnl, "pnl")
    if values.ndim != 1:
        raise ShapeError(f"pnl must be [T], got shape {values.shape}")
    if np.isinf(values).any():
        raise DataError(f"pnl[{int(np.flatnonzero(np.isinf(values))[0])}] is infinite")
    return values


def equity_curve(pnl: ArrayLike) -> FloatArray:
    """Capital after each period, from 1 before the first, gains reinvested.

    A NaN period leaves the capital as it is, a loss of everything ends at 0.

    Parameters
    ----------
    pnl : float [T]
        Simple return per period.

    Returns
    -------
    float64 [T]

    Raises
    ------
    ShapeError, DataError
        More than one axis, or an infinite return.

    Examples
    --------
    >>> equity_curve([0.5, -0.5]).tolist()
    [1.5, 0.75]
    """
    steps = 1.0 + np.maximum(np.nan_to_num(as_pnl(pnl), nan=0.0), -1.0)
    return np.asarray(np.cumprod(steps), dtype=np.float64)


def drawdown(pnl: ArrayLike) -> FloatArray:
    """Loss against the highest capital so far, [T], in [-1, 0].

    Parameters
    ----------
    pnl : float [T]
        Simple return per period; NaN leaves the capital as it is.

    Returns
    -------
    float64 [T]

    Raises
    ------
    ShapeError, DataError
        More than one axis, or an infinite return.

    Examples
    --------
    >>> drawdown([0.5, -0.5, 0.1]).round(3).tolist()
    [0.0, -0.5, -0.45]
    """
    equity = equity_curve(pnl)
    peak = np.maximum(np.maximum.accumulate(equity), 1.0)
    return np.asarray(equity / peak - 1.0, dtype=np.float64)


def turnover(weights: ArrayLike) -> float:
    """Mean traded value per period, ``mean_t(sum(|w_t - w_(t-1)|))``, from cash at the start.

    Parameters
    ----------
    weights : float [T, A]
        Shares of the capital held in each period; finite.

    Returns
    -------
    float

    Raises
    ------
    ShapeError, DataError
        Another shape, or a weight that is not finite.

    Examples
    --------
    >>> turnover([[0.5, 0.5], [1.0, 0.0]])
    1.0
    """
    held = np.asarray(weights, dtype=np.float64)
    if held.ndim != 2 or not held.size:
        raise ShapeError(f"weights must be a non-empty [T, A] array, got shape {held.shape}")
    if not np.isfinite(held).all():
        row, asset = np.argwhere(~np.isfinite(held))[0]
        raise DataError(f"weights[{row}, {asset}] is {held[row, asset]}")
    start = np.zeros((1, held.shape[1]))
    return float(np.abs(np.diff(held, axis=0, prepend=start)).sum(axis=1).mean())
