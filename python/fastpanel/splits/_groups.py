"""Groups of rows, and the checks that all splitters share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastpanel._runtime import integer
from fastpanel.errors import ParameterError
from fastpanel.typing import ArrayLike, IntArray

Groups = Sequence[tuple[int, int]]


def build_equal_groups(n_samples: int, warmup_len: int, group_len: int) -> list[tuple[int, int]]:
    """Cut the rows after the warm-up into equal groups that end on the newest row.

    Parameters
    ----------
    n_samples : int
        Rows in all.
    warmup_len : int
        First rows that are never tested.
    group_len : int
        Rows per group.

    Returns
    -------
    list of (start, stop)
        Half-open, ascending. Where the length does not divide, the leading
        remainder after the warm-up belongs to no group (and to no training set).

    Raises
    ------
    ParameterError
        A length is out of its domain, or not one group fits.

    Examples
    --------
    >>> build_equal_groups(300, 52, 52)
    [(92, 144), (144, 196), (196, 248), (248, 300)]
    """
    n_samples = integer("n_samples", n_samples, 1)
    warmup_len = integer("warmup_len", warmup_len, 0)
    group_len = integer("group_len", group_len, 1)
    count = (n_samples - warmup_len) // group_len
    if count < 1:
        raise ParameterError(
            f"no group of group_len={group_len} rows fits into the "
            f"{max(n_samples - warmup_len, 0)} rows after warmup_len={warmup_len} "
            f"(n_samples={n_samples}); shorten the warm-up or the groups"
        )
    first = n_samples - count * group_len
    return [(start, start + group_len) for start in range(first, n_samples, group_len)]


def reach(name: str, value: Any) -> int:
    """``value`` as a number of rows; a negative one acts as 0, a broken one is an error."""
    whole = hasattr(value, "__index__") or (isinstance(value, float) and value.is_integer())
    if whole and not isinstance(value, (bool, np.bool_)):
        return max(int(value), 0)
    raise ParameterError(f"{name} must be a whole number of rows, got {value!r}")


def check_groups(groups: Groups, warmup_len: int) -> IntArray:
    """Return groups as ``int64 [G, 2]``: not empty, ascending, disjoint, after the warm-up."""
    array = np.asarray(groups)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise ParameterError(f"groups must be a list of (start, stop) row pairs, got {groups!r}")
    array = np.ascontiguousarray(array, dtype=np.int64)
    before = warmup_len
    for k, (start, stop) in enumerate(array.tolist()):
        if start < 0 or stop <= start:
            raise ParameterError(f"group {k} = ({start}, {stop}) is negative or empty")
        if start < before:
            what = "the warm-up" if k == 0 else f"group {k - 1}"
            raise ParameterError(
                f"group {k} = ({start}, {stop}) starts before row {before}, where {what} ends; "
                "groups must be ordered and must not overlap"
            )
        before = stop
    return array


def training_pool(groups: IntArray, warmup_len: int) -> IntArray:
    """Return the candidates for training: warm-up rows and groups, adjacent ones merged."""
    pool: list[list[int]] = [[0, warmup_len]] if warmup_len else []
    for start, stop in groups.tolist():
        if pool and pool[-1][1] == start:
            pool[-1][1] = stop
        else:
            pool.append([start, stop])
    return np.array(pool, dtype=np.int64).reshape(-1, 2)


def check_label_end(label_end: ArrayLike) -> IntArray:
    """Return the last label row of each row, over assets: ``[T]`` or ``[T, A]`` to ``[T]``."""
    array = np.asarray(label_end)
    if array.ndim not in (1, 2) or array.dtype.kind not in "iu" or array.size == 0:
        raise ParameterError(
            "label_end must hold whole row positions of shape [T] or [T, A], "
            f"got {array.dtype} {array.shape}"
        )
    latest = array.max(axis=1) if array.ndim == 2 else array
    first = array.min(axis=1) if array.ndim == 2 else array
    if (early := np.flatnonzero(first < np.arange(len(first)))).size:
        row = int(early[0])
        raise ParameterError(f"label_end[{row}] = {first[row]} lies before its own row {row}")
    return np.ascontiguousarray(latest, dtype=np.int64)
