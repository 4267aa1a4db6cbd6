"""Arrays, names and positions along the axes of a panel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastpanel.errors import ParameterError, ShapeError, UnknownNameError
from fastpanel.typing import AnyArray, ArrayLike, TimeArray


def frozen(values: ArrayLike, dtype: Any, name: str) -> Any:
    """C-ordered array nobody can write to through us; copies what is writable."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{name} is not an array: {error}") from None
    if array.dtype != dtype and array.dtype.kind not in "fiub":
        raise ParameterError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if array.flags.writeable or array.dtype != dtype or not array.flags.c_contiguous:
        array = np.array(array, dtype=dtype, order="C")
    return read_only(array)


def read_only(array: AnyArray) -> AnyArray:
    """A view that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def unique_names(names: Sequence[str], axis: str) -> tuple[str, ...]:
    """Names of one axis as a tuple; a name that occurs twice is an error."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ParameterError(f"{axis} must be a sequence of names, got {names!r}")
    found = tuple(str(name) for name in names)
    if len(set(found)) != len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ParameterError(f"{axis}: '{twice}' occurs twice")
    return found


def check_increasing(times: TimeArray) -> None:
    """Refuse times that stand still or go back."""
    wrong = times[1:] <= times[:-1]
    if wrong.any():
        row = int(np.argmax(wrong)) + 1
        raise ParameterError(
            f"times must increase strictly: row {row} ({times[row]}) follows {times[row - 1]}"
        )


def row_index(rows: Any, length: int) -> AnyArray:
    """Positions of rows from an integer or bool array; negative ones count from the end."""
    index = np.asarray(rows)
    if index.dtype == np.bool_:
        if index.shape != (length,):
            raise ShapeError(f"a bool row index has shape {index.shape}, expected ({length},)")
        return np.flatnonzero(index)
    if index.size == 0:
        return np.zeros(0, np.int64)
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise ParameterError("rows must be an integer, a slice, or a 1-D integer or bool array")
    return np.where(index < 0, index + length, index)


def positions(names: tuple[str, ...], wanted: str | Sequence[str], kind: str) -> list[int]:
    """Where the wanted names stand."""
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in wanted:
        if name not in names:
            raise UnknownNameError(f"unknown {kind} '{name}'; the panel has {list(names)}")
    return [names.index(name) for name in wanted]
