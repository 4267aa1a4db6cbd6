"""How an array becomes a table of cross-sections and back."""

from __future__ import annotations

from math import prod

import numpy as np

from fastpanel._runtime import as_array, canonical, has_axis
from fastpanel.errors import ShapeError
from fastpanel.typing import ArrayLike, FloatArray


def to_rows(x: ArrayLike, axis: int) -> tuple[FloatArray, tuple[int, ...]]:
    """``x`` as ``[N, A]`` with the cross-section last, and its shape with that axis last."""
    array = as_array(x, "x")
    if not has_axis(axis, array.ndim):
        raise ShapeError(f"x of shape {array.shape} has no axis {axis}")
    last = canonical(np.moveaxis(array, axis, -1), "x")
    return last.reshape(prod(last.shape[:-1]), last.shape[-1]), last.shape


def from_rows(table: FloatArray, shape: tuple[int, ...], axis: int) -> FloatArray:
    """Undo :func:`to_rows`."""
    return np.ascontiguousarray(np.moveaxis(table.reshape(shape), -1, axis))
