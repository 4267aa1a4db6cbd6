"""A user's reducer across every row: compiled by numba, parallel over rows."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastpanel._jit import Loop, Reducer, pieces, reducing, scratch, share_out, shares
from fastpanel.cross_section._table import to_rows
from fastpanel.typing import ArrayLike, FloatArray


def apply(x: ArrayLike, func: Reducer, *, axis: int = -1) -> FloatArray:
    """Reduce every cross-section with your own function.

    Parameters
    ----------
    x : array_like, any shape, such as [T, A]
        Real numbers of any dtype, assets along ``axis``; handed over as float64. NaN is missing.
    func : callable
        Takes the values of one row, returns one number. With ``@numba.njit`` it runs compiled,
        without the GIL, parallel over rows; a plain Python function works too, slowly, with a
        warning. The row it gets is 1-D, float64, contiguous and read-only, in the order of the
        assets, and holds only the **values present**: at least one.
    axis : int
        Axis of the assets.

    Returns
    -------
    ndarray, float64, shape of ``x`` without ``axis``
        NaN for a row without any value; ``func`` is not called there.

    Raises
    ------
    ParameterError
        ``x`` does not hold real numbers, or ``func`` does not compile (the message shows your
        line) or does not return a number.
    ShapeError
        ``x`` has no such axis.

    Warns
    -----
    UserWarning
        ``func`` is a plain Python function.

    Notes
    -----
    Known when: a row uses that row alone.

    Examples
    --------
    >>> import numba
    >>> import fastpanel as fp
    >>> @numba.njit
    ... def spread(row):
    ...     return row.max() - row.min()
    >>> fp.cross_section.apply([[1.0, 4.0, 2.0], [5.0, float("nan"), 6.0]], spread)
    array([3., 1.])
    """
    table, shape = to_rows(x, axis)
    loop = reducing(_reduce, func, "cross_section.apply", "row by row")
    result = np.empty(len(table))

    def run(piece: tuple[int, int]) -> None:
        loop(table, piece, *scratch(table.shape[1]), result)

    share_out([partial(run, piece) for piece in pieces(len(table), shares())])
    return result.reshape(shape[:-1])


def _reduce(func: Reducer) -> Loop:
    """Reduce the values present of some rows; Python as it stands, or compiled."""

    def loop(table: Any, piece: Any, room: Any, held: Any, out: Any) -> None:
        for row in range(piece[0], piece[1]):
            count = 0
            for column in range(table.shape[1]):
                value = table[row, column]
                if value == value:  # noqa: PLR0124  not NaN
                    room[count] = value
                    count += 1
            out[row] = func(held[:count]) if count > 0 else np.nan

    return loop
