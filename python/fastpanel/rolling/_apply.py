"""A user's reducer over every window: compiled by numba, parallel over columns."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastpanel._jit import Loop, Reducer, pieces, reducing, scratch, share_out, shares
from fastpanel.rolling._window import from_table, to_table, window_of
from fastpanel.typing import ArrayLike, FloatArray


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
    table, shape = to_table(x, axis)
    loop = reducing(_reduce, func, "rolling.apply", "window by window")
    times, columns = table.shape
    result = np.empty_like(table)
    strips = pieces(columns, shares())
    chunks = pieces(times, -(-shares() // len(strips)))

    def run(strip: tuple[int, int], chunk: tuple[int, int]) -> None:
        ends = np.zeros(times + 1, dtype=np.int64)
        loop(table, (rows, needed), (*strip, *chunk), *scratch(times), ends, result)

    share_out([partial(run, strip, chunk) for strip in strips for chunk in chunks])
    return from_table(result, shape, axis)


def _reduce(func: Reducer) -> Loop:
    """Reduce the windows of a tile of columns and rows; Python as it stands, or compiled.

    The values present stand in ``room`` one after the other; ``held`` is the same, read-only.
    ``ends`` counts the values before every row of the tile.
    """

    def loop(table: Any, window: Any, tile: Any, room: Any, held: Any, ends: Any, out: Any) -> None:
        rows, needed = window
        left, right, top, bottom = tile
        begin = max(top + 1 - rows, 0)
        for c in range(left, right):
            stop = 0
            for t in range(begin, bottom):
                value = table[t, c]
                room[stop] = value
                stop += value == value  # noqa: PLR0124  not NaN
                ends[t + 1] = stop
            for t in range(top, bottom):
                start, stop = ends[max(t + 1 - rows, begin)], ends[t + 1]
                out[t, c] = func(held[start:stop]) if stop - start >= needed else np.nan

    return loop
