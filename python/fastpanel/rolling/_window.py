"""What every rolling function checks and how its array becomes a table of columns."""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import prod

import numpy as np

from fastpanel._runtime import as_array, canonical, has_axis
from fastpanel.errors import ParameterError, ShapeError
from fastpanel.typing import ArrayLike, FloatArray

Kernel = Callable[..., FloatArray]


def whole(value: object, name: str, low: int) -> int:
    """``value`` as an int of at least ``low``."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < low:
        raise ParameterError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return number


def window_of(window: int, min_periods: int | None) -> tuple[int, int]:
    """Rows of the window and the values that a result needs."""
    rows = whole(window, "window", 1)
    if min_periods is None:
        return rows, rows
    needed = whole(min_periods, "min_periods", 1)
    if needed > rows:
        raise ParameterError(
            f"min_periods must be at most window = {rows}, got {needed}: "
            "no window could ever hold that many values"
        )
    return rows, needed


def to_table(x: ArrayLike, axis: int, name: str = "x") -> tuple[FloatArray, tuple[int, ...]]:
    """``x`` as ``[T, C]`` with time first, and its shape with time first."""
    array = as_array(x, name)
    if not has_axis(axis, array.ndim):
        raise ShapeError(f"{name} of shape {array.shape} has no axis {axis}")
    first = canonical(np.moveaxis(array, axis, 0), name)
    return first.reshape(first.shape[0], prod(first.shape[1:])), first.shape


def to_tables(axis: int, **named: ArrayLike) -> tuple[list[FloatArray], tuple[int, ...]]:
    """Arrays of one shape as by :func:`to_table`."""
    tables = {name: to_table(values, axis, name) for name, values in named.items()}
    shapes = {name: shape for name, (_, shape) in tables.items()}
    if len(set(shapes.values())) > 1:
        *some, last = named
        names = f"{', '.join(some)} and {last}"
        raise ShapeError(f"{names} must have one shape, got (time first) {shapes}")
    return [table for table, _ in tables.values()], shapes[next(iter(named))]


def from_table(table: FloatArray, shape: tuple[int, ...], axis: int) -> FloatArray:
    """Undo :func:`to_table`."""
    return np.ascontiguousarray(np.moveaxis(table.reshape(shape), 0, axis))


def down(x: ArrayLike, axis: int, kernel: Kernel, *arguments: object) -> FloatArray:
    """Run ``kernel`` down ``axis`` of ``x``."""
    table, shape = to_table(x, axis)
    return from_table(kernel(table, *arguments), shape, axis)
