"""A user's reducer across every row: compiled by numba, parallel over rows."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np

from fastpanel._jit import (
    Reducer,
    compile_reducer,
    is_compiled,
    pieces,
    share_out,
    shares,
    takes_read_only,
    warn_plain,
)
from fastpanel.cross_section._table import to_rows
from fastpanel.errors import ParameterError
from fastpanel.typing import ArrayLike, FloatArray, IntArray


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
    if not callable(func):
        raise ParameterError(f"func must be a function of one 1-D array, got {func!r}")
    table, shape = to_rows(x, axis)
    values, counts = _values_first(table)
    result = np.full(len(table), np.nan)
    if is_compiled(func):
        compile_reducer(func, "cross_section.apply")
        values.flags.writeable = not takes_read_only(func)
        drive = _driver(func)
        cut = pieces(len(table), shares())
        share_out([partial(drive, values, counts, piece, result) for piece in cut])
    else:
        warn_plain(func, "cross_section.apply")
        values.flags.writeable = False
        for row in np.flatnonzero(counts):
            result[row] = func(values[row, : counts[row]])
    return result.reshape(shape[:-1])


def _values_first(table: FloatArray) -> tuple[FloatArray, IntArray]:
    """Per row its values in front, and how many there are."""
    present = ~np.isnan(table)
    counts = present.sum(axis=1)
    values = table.copy()
    for row in np.flatnonzero(counts < table.shape[1]):
        values[row, : counts[row]] = table[row, present[row]]
    return values, counts


@lru_cache(maxsize=256)
def _driver(func: Any) -> Any:
    """Compile the loop over rows of one reducer."""
    import numba

    def hand(row: Any) -> Any:
        return row

    def hand_copy(row: Any) -> Any:
        return row.copy()

    # A function with declared signatures gets a copy: it could write into its row.
    give = numba.njit(hand if takes_read_only(func) else hand_copy)

    def drive(values: Any, counts: Any, piece: Any, out: Any) -> None:
        for row in range(piece[0], piece[1]):
            if counts[row] > 0:
                out[row] = func(give(values[row][: counts[row]]))

    return numba.njit(nogil=True)(drive)
