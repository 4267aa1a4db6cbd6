"""Models with a hidden chain of states: the carried state, and what both share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastpanel.errors import ModelError, ParameterError, ShapeError
from fastpanel.models._lowrank import state_quadratic
from fastpanel.typing import FloatArray, IntArray

CONTINUE, CARRIED, STATIONARY = 0, 1, 2
CARRY_DRAWS = 32


class Carry(NamedTuple):
    """Where the hidden chain stands at each row that is to be forecast.

    Attributes
    ----------
    filtered
        ``[T, G]``: law of the state after the last training row that precedes
        the row; read where ``start`` is ``CARRIED``.
    start
        ``int [T]``: go on from the row before (0), from ``filtered`` (1), or from
        the stationary law (2).
    steps
        ``int [T]``: transitions since then.
    """

    filtered: Any
    start: Any
    steps: Any


def carried_rows(
    carry: Mapping[str, FloatArray], stop: int, n_rows: int, index: Any, model_name: str
) -> Carry:
    """Carried state of the rows to be forecast.

    Parameters
    ----------
    carry
        ``ends [n]``: last position of each contiguous stretch of training rows;
        ``filtered [n, G]``: law of the state there.
    stop
        One past the last training position.
    n_rows
        Rows to be forecast.
    index
        Their positions on the full time axis; None: they follow the training rows.

    Raises
    ------
    ModelError
        The fit carried no state.
    ShapeError, ParameterError
        ``index`` does not fit the rows or does not increase.
    """
    if not carry:
        raise ModelError(f"the state of model '{model_name}' carries no hidden state; fit again")
    rows = np.arange(stop, stop + n_rows) if index is None else np.asarray(index)
    if rows.shape != (n_rows,):
        raise ShapeError(f"predict_index has shape {rows.shape}, but there are {n_rows} rows")
    if not np.issubdtype(rows.dtype, np.integer) or (np.diff(rows) <= 0).any():
        raise ParameterError("predict_index must hold strictly increasing integer positions")
    ends = carry["ends"].astype(np.int64)
    stretch = np.searchsorted(ends, rows, side="left") - 1  # the last one that ended before
    same = np.r_[False, stretch[1:] == stretch[:-1]]
    before = np.where(same, np.r_[rows[0], rows[:-1]], ends[np.maximum(stretch, 0)])
    start = np.where(same, CONTINUE, np.where(stretch < 0, STATIONARY, CARRIED))
    steps = np.where(start == STATIONARY, 0, rows - before)
    filtered = carry["filtered"][np.maximum(stretch, 0)]
    return Carry(filtered, start.astype(np.int32), steps.astype(np.int32))


def fresh_rows(xp: Any, n_rows: int, initial: Any) -> Carry:
    """Rows that start from the stationary law and follow one another."""
    first = [STATIONARY] + [CONTINUE] * (n_rows - 1)
    steps = [0] + [1] * (n_rows - 1)
    filtered = xp.zeros((n_rows, initial.shape[-1]), dtype=initial.dtype)
    return Carry(filtered, np.array(first, np.int32), np.array(steps, np.int32))


def emission(
    xp: Any,
    log_density: Callable[[Any, Any, Any], Any],
    value: Any,
    loc: Any,
    shift: Any,
    loadings: Any,
    sigma: Any,
    scales: tuple[Any, Any],
    observed: Any,
) -> Any:
    """Log density of every row in every state, ``[..., T, G]``.

    Parameters
    ----------
    log_density
        ``(observed entries [T], log_det, distance [..., G, T])`` to log density.
    value, loc, observed
        ``[..., T, A]``, ``[..., T, A]`` and 1.0 / 0.0 ``[T, A]``.
    shift
        ``[..., G, A]`` added to ``loc`` in each state, or None.
    loadings, sigma
        ``[..., A, K]`` or None, and ``[..., A]``.
    scales
        Multipliers of the factors and of the noise in each state, ``[..., G]``.
    """
    residual = (observed * (value - loc))[..., None, :, :]
    if shift is not None:
        residual = residual - observed * shift[..., None, :]
    log_det, distance = state_quadratic(
        xp, residual, loadings, xp.log(sigma), observed, scales[0], scales[1]
    )
    return xp.swapaxes(log_density(observed.sum(-1), log_det, distance), -1, -2)


def stretch_ends(positions: IntArray, stretches: list[tuple[int, int]]) -> FloatArray:
    """Last position of each stretch, as a state stores it."""
    return np.array([positions[stop - 1] for _, stop in stretches], dtype=np.float64)
