"""A user's reducer over every window: compiled by numba, parallel over columns."""

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
from fastpanel.errors import ParameterError
from fastpanel.rolling._window import from_table, to_table, window_of
from fastpanel.typing import ArrayLike, FloatArray, IntArray


def apply(
    x: ArrayLike,
    window: int,
    func: Reducer,
    *,
    min_periods: int | None = None,
    axis: int = 0,
) -> FloatArray:
    """Reduce every window with your own function.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers of any dtype, time along ``axis``; handed over as float64. NaN is missing.
    window : int
        Rows of a window, the current row included; at least 1.
    func : callable
        Takes one window, returns one number. With ``@numba.njit`` it runs compiled, without the
        GIL, parallel over columns; a plain Python function works too, slowly, with a warning.

        The window it gets is 1-D, float64, contiguous and read-only, oldest value first, and holds
        only the **values present**: missing ones are left out, so its length is between
        ``min_periods`` and ``window``.
    min_periods : int, optional
        Values that a window needs, 1 to ``window``; by default all of them.
    axis : int
        Axis of time.

    Returns
    -------
    ndarray, float64, shape of ``x``
        NaN where a window holds fewer than ``min_periods`` values; ``func`` is not called there.

    Raises
    ------
    ParameterError
        ``window`` or ``min_periods`` outside its domain, ``x`` not real numbers, or ``func`` does
        not compile (the message shows your line) or does not return a number.
    ShapeError
        ``x`` has no such axis.

    Warns
    -----
    UserWarning
        ``func`` is a plain Python function.

    Notes
    -----
    Known when: row t uses rows t - window + 1 to t; the first full row is ``window - 1``.
    Cost: one call of ``func`` per value, and the compilation once per function.

    Examples
    --------
    >>> import numba
    >>> import fastpanel as fp
    >>> @numba.njit
    ... def spread(window):
    ...     return window.max() - window.min()
    >>> fp.rolling.apply([1.0, 4.0, 2.0, 2.0], 2, spread)
    array([nan,  3.,  2.,  0.])
    """
    rows, needed = window_of(window, min_periods)
    if not callable(func):
        raise ParameterError(f"func must be a function of one 1-D array, got {func!r}")
    table, shape = to_table(x, axis)
    if is_compiled(func):
        compile_reducer(func, "rolling.apply")
        result = _run_compiled(func, table, rows, needed)
    else:
        warn_plain(func, "rolling.apply")
        result = _run_plain(func, table, rows, needed)
    return from_table(result, shape, axis)


def _values_first(table: FloatArray) -> tuple[FloatArray, IntArray]:
    """Per column its values in front, and how many there are above each row."""
    columns = table.T.copy()  # the table may be the user's own memory
    present = ~np.isnan(columns)
    above = np.zeros((columns.shape[0], columns.shape[1] + 1), dtype=np.int64)
    np.cumsum(present, axis=1, out=above[:, 1:])
    for c in np.flatnonzero(above[:, -1] < columns.shape[1]):
        columns[c, : above[c, -1]] = columns[c, present[c]]
    return columns, above


def _run_plain(func: Reducer, table: FloatArray, rows: int, needed: int) -> FloatArray:
    values, above = _values_first(table)
    values.flags.writeable = False
    result = np.full_like(table, np.nan)
    for c, t in np.ndindex(values.shape):
        start, stop = above[c, max(t + 1 - rows, 0)], above[c, t + 1]
        if stop - start >= needed:
            result[t, c] = func(values[c, start:stop])
    return result


def _run_compiled(func: Any, table: FloatArray, rows: int, needed: int) -> FloatArray:
    values, above = _values_first(table)
    values.flags.writeable = not takes_read_only(func)
    result = np.full_like(table, np.nan)
    drive = _driver(func)
    times, columns = table.shape
    strips = pieces(columns, shares())
    chunks = pieces(times, -(-shares() // len(strips)))
    share_out(
        [
            partial(drive, values, above, (rows, needed), (*strip, *chunk), result)
            for strip in strips
            for chunk in chunks
        ]
    )
    return result


@lru_cache(maxsize=256)
def _driver(func: Any) -> Any:
    """Compile the loop over windows of one reducer."""
    import numba

    def hand(window: Any) -> Any:
        return window

    def hand_copy(window: Any) -> Any:
        return window.copy()

    # A function with declared signatures gets a copy: it could write into its window.
    give = numba.njit(hand if takes_read_only(func) else hand_copy)

    def drive(values: Any, above: Any, window: Any, tile: Any, out: Any) -> None:
        rows, needed = window
        left, right, top, bottom = tile
        for c in range(left, right):
            column = values[c]
            for t in range(top, bottom):
                start = above[c, max(t + 1 - rows, 0)]
                stop = above[c, t + 1]
                if stop - start >= needed:
                    out[t, c] = func(give(column[start:stop]))

    return numba.njit(nogil=True)(drive)
