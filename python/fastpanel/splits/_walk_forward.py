"""Purged walk-forward in scikit-learn's splitter protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastpanel._runtime import integer
from fastpanel.errors import ParameterError
from fastpanel.splits._fold import Fold
from fastpanel.splits._groups import check_label_end, reach
from fastpanel.splits._registry import register_cv
from fastpanel.splits._splitters import sample_count
from fastpanel.typing import ArrayLike, BoolArray, IntArray


class PurgedWalkForward:
    """Consecutive test blocks, each trained on earlier rows whose labels ended before it.

    Row ``i`` covers the closed interval ``[i, i + horizon]``; it trains for a
    test that starts at ``s`` when ``i + horizon < s``. The last test ends on
    the newest row. With ``horizon=0`` and ``n_splits`` alone this is
    scikit-learn's ``TimeSeriesSplit``.

    Parameters
    ----------
    n_splits : int, optional
        So many tests of equal size. Give this or ``test_size``.
    test_size : int, optional
        Rows per test; as many tests as fit.
    horizon : int, default 1
        Rows that a label spans; negative acts as 0.
    embargo_size : int, default 0
        Rows after a test block that leave training. A walk-forward fold trains
        only before its test, so this removes nothing; it is accepted so that
        one set of parameters serves every splitter.
    min_train_size : int, optional
        Rows that the first fold trains on at least. Without it, ``n_splits``
        gives the first fold about one test size, ``test_size`` one row.
    max_train_size : int, optional
        Keep the newest so many training rows.
    label_end : array-like of int, [T] or [T, A], optional
        Last row (inclusive) of each row's label; replaces ``horizon``.

    Raises
    ------
    ParameterError
        Not exactly one of ``n_splits`` and ``test_size``, or a value out of
        its domain.

    Examples
    --------
    >>> cv = PurgedWalkForward(n_splits=3, horizon=1)
    >>> for train, test in cv.split(range(8)):
    ...     print(train, test)
    [0] [2 3]
    [0 1 2] [4 5]
    [0 1 2 3 4] [6 7]
    """

    def __init__(
        self,
        *,
        n_splits: int | None = None,
        test_size: int | None = None,
        horizon: int = 1,
        embargo_size: int = 0,
        min_train_size: int | None = None,
        max_train_size: int | None = None,
        label_end: ArrayLike | None = None,
    ) -> None:
        if (n_splits is None) == (test_size is None):
            raise ParameterError(
                f"give exactly one of n_splits and test_size, got {n_splits} and {test_size}"
            )
        self.n_splits = None if n_splits is None else integer("n_splits", n_splits, 1)
        self.test_size = None if test_size is None else integer("test_size", test_size, 1)
        self.horizon = reach("horizon", horizon)
        self.embargo_size = reach("embargo_size", embargo_size)
        self.min_train_size = (
            None if min_train_size is None else integer("min_train_size", min_train_size, 1)
        )
        self.max_train_size = (
            None if max_train_size is None else integer("max_train_size", max_train_size, 1)
        )
        self.label_end = None if label_end is None else check_label_end(label_end)

    def split(
        self, X: Any = None, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield (train, test) rows, ``int64``, ascending; X and y give their length only.

        Raises
        ------
        ParameterError
            Too few rows for the folds that are asked for.
        """
        n_samples = sample_count(X, y)
        rows = np.arange(n_samples, dtype=np.int64)
        starts, size = self._tests(n_samples)
        return ((self._train(rows, start), rows[start : start + size].copy()) for start in starts)

    def folds(self, n_samples: int) -> list[Fold]:
        """Return the same splits as :class:`Fold`, with the purged rows."""
        n_samples = integer("n_samples", n_samples, 1)
        rows = np.arange(n_samples, dtype=np.int64)
        starts, size = self._tests(n_samples)
        return [
            Fold(
                _runs(self._train(rows, start)),
                [[start, start + size]],  # type: ignore[arg-type]
                _runs(np.flatnonzero(~self._ended(start))),
                test_groups=(k,),
            )
            for k, start in enumerate(starts)
        ]

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits; with ``test_size`` it needs X, y or ``label_end``."""
        if self.n_splits is not None:
            return self.n_splits
        if X is None and y is None and self.label_end is not None:
            return len(self._tests(len(self.label_end))[0])
        return len(self._tests(sample_count(X, y))[0])

    def __repr__(self) -> str:
        shown = {k: v for k, v in vars(self).items() if v is not None and k != "label_end"}
        if self.label_end is not None:
            shown["label_end"] = f"<{len(self.label_end)} rows>"
        return f"PurgedWalkForward({', '.join(f'{k}={v}' for k, v in shown.items())})"

    def _tests(self, n_samples: int) -> tuple[range, int]:
        """First rows of the tests, and their common length."""
        if self.label_end is not None and len(self.label_end) != n_samples:
            raise ParameterError(
                f"label_end has {len(self.label_end)} rows, but there are {n_samples}"
            )
        first = self._first_start(self.min_train_size or 1, n_samples)
        if self.n_splits is not None:
            if self.min_train_size is None:
                size = n_samples // (self.n_splits + 1)
            else:
                size = (n_samples - first) // self.n_splits
            count = self.n_splits
        else:
            size = self.test_size or 1
            count = (n_samples - first) // size
        start = n_samples - count * size
        if size < 1 or count < 1 or start < first:
            raise ParameterError(
                f"{n_samples} rows are too few for {self}: the first test cannot start before "
                f"row {first}, where {self.min_train_size or 1} training rows have ended labels"
            )
        return range(start, n_samples, size), size

    def _first_start(self, rows: int, n_samples: int) -> int:
        """First row before which ``rows`` labels have ended."""
        if self.label_end is None:
            return rows + self.horizon
        if rows > n_samples:
            return n_samples
        return int(np.partition(self.label_end, rows - 1)[rows - 1]) + 1

    def _ended(self, start: int) -> BoolArray:
        """Which of the rows before ``start`` have a label that ended before it."""
        if self.label_end is None:
            return np.arange(start) + self.horizon < start
        return self.label_end[:start] < start

    def _train(self, rows: IntArray, start: int) -> IntArray:
        if self.label_end is None:
            train = rows[: max(start - self.horizon, 0)]
        else:
            train = rows[:start][self._ended(start)]
        return (train if self.max_train_size is None else train[-self.max_train_size :]).copy()


@register_cv("walk_forward")
def _walk_forward(params: Mapping[str, Any]) -> PurgedWalkForward:
    return PurgedWalkForward(**params)


def _runs(rows: IntArray) -> IntArray:
    """Ascending rows as intervals."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    parts = np.split(rows, breaks) if len(rows) else []
    return np.array([[p[0], p[-1] + 1] for p in parts], dtype=np.int64).reshape(-1, 2)
