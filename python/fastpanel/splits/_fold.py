"""One fold: interval sets on the time axis, and the rows that they stand for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastpanel import _core
from fastpanel.errors import ParameterError
from fastpanel.typing import ArrayLike, IntArray

_SETS = ("train_intervals", "test_intervals", "purged_intervals", "embargoed_intervals")


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Fold:
    """Train, test, purged and embargoed rows of one split.

    Each set is an array ``int64 [n, 2]`` of half-open intervals ``[from, to)``
    of row positions, ascending and disjoint; the arrays are read-only.

    Parameters
    ----------
    train_intervals, test_intervals : array-like [n, 2]
        Rows to fit on, rows to score on.
    purged_intervals, embargoed_intervals : array-like [n, 2], optional
        Candidates that left training because their label meets a test block,
        and those that left it because of the embargo.
    test_groups : tuple of int, optional
        Ids of the test groups, ascending.
    causal : bool, default False
        The fold forecasts forward only: a training label that is known *at*
        the first test row is allowed (``i + h <= s``). Otherwise closed label
        intervals may not meet (``i + h < s``).

    Raises
    ------
    ParameterError
        A set is not ``[n, 2]``, not ascending, or holds a negative or empty interval.

    Examples
    --------
    >>> fold = Fold([[0, 3], [6, 8]], [[3, 5]], purged_intervals=[[5, 6]])
    >>> fold.train
    array([0, 1, 2, 6, 7])
    >>> fold.test
    array([3, 4])
    """

    train_intervals: IntArray
    test_intervals: IntArray
    purged_intervals: IntArray = ()  # type: ignore[assignment]
    embargoed_intervals: IntArray = ()  # type: ignore[assignment]
    test_groups: tuple[int, ...] = ()
    causal: bool = False

    def __post_init__(self) -> None:
        for name in _SETS:
            object.__setattr__(self, name, interval_set(getattr(self, name), name))
        object.__setattr__(self, "test_groups", tuple(int(g) for g in self.test_groups))

    @property
    def train(self) -> IntArray:
        """Training rows ``int64 [n_train]``, ascending; a new array at each access."""
        return _core.interval_rows(self.train_intervals)

    @property
    def test(self) -> IntArray:
        """Test rows ``int64 [n_test]``, ascending; a new array at each access."""
        return _core.interval_rows(self.test_intervals)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON; :meth:`from_dict` reads them back.

        Examples
        --------
        >>> Fold([[0, 2]], [[2, 3]]).to_dict()["train_intervals"]
        [[0, 2]]
        """
        sets: dict[str, Any] = {name: getattr(self, name).tolist() for name in _SETS}
        return {**sets, "test_groups": list(self.test_groups), "causal": self.causal}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fold:
        """Read what :meth:`to_dict` wrote; unknown or missing keys are a ParameterError."""
        known = {*_SETS, "test_groups", "causal"}
        if wrong := sorted(known ^ set(data)):
            raise ParameterError(f"Fold.from_dict: unknown or missing keys {wrong}")
        return cls(**data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fold):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{name.removesuffix('_intervals')}={_size(getattr(self, name))}" for name in _SETS
        )
        return f"Fold({sizes}, test_groups={self.test_groups})"

    def _key(self) -> tuple[Any, ...]:
        return (*(getattr(self, name).tobytes() for name in _SETS), self.test_groups, self.causal)


def plan_hash(folds: Iterable[Fold]) -> str:
    """SHA-256 of a fold plan, equal for equal plans on every machine.

    Parameters
    ----------
    folds : iterable of Fold
        Their order counts.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> plan_hash([Fold([[0, 2]], [[2, 3]])]) == plan_hash([Fold([[0, 2]], [[2, 3]])])
    True
    """
    text = json.dumps([fold.to_dict() for fold in folds], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def interval_set(value: ArrayLike, name: str) -> IntArray:
    """``value`` as a read-only ``int64 [n, 2]`` set: ascending, disjoint, no empty interval."""
    array = np.asarray(value)
    if array.size == 0:
        array = np.empty((0, 2), dtype=np.int64)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise ParameterError(
            f"{name} must be whole numbers of shape [n, 2], got {array.dtype} {array.shape}"
        )
    out = np.array(array, dtype=np.int64, order="C")
    flat = out.ravel()
    steps = np.diff(flat)
    # from < to inside an interval; the next one may start where the last one stopped.
    if (flat[:1] < 0).any() or (steps[::2] <= 0).any() or (steps[1::2] < 0).any():
        raise ParameterError(
            f"{name} must be ascending, disjoint, non-empty intervals of rows, got {out.tolist()}"
        )
    out.flags.writeable = False
    return out


def trusted_fold(
    train: IntArray,
    test: IntArray,
    purged: IntArray,
    embargoed: IntArray,
    test_groups: tuple[int, ...],
) -> Fold:
    """Build a fold from read-only sets that the core has made, without checking them again."""
    fold = object.__new__(Fold)
    put = object.__setattr__
    put(fold, "train_intervals", train)
    put(fold, "test_intervals", test)
    put(fold, "purged_intervals", purged)
    put(fold, "embargoed_intervals", embargoed)
    put(fold, "test_groups", test_groups)
    put(fold, "causal", False)
    return fold


def _size(intervals: IntArray) -> int:
    return int((intervals[:, 1] - intervals[:, 0]).sum())
