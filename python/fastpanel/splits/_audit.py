"""Proof by brute force that no fold lets training see its test."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastpanel.errors import LeakageError, ParameterError
from fastpanel.splits._fold import Fold
from fastpanel.splits._groups import check_label_end, reach
from fastpanel.typing import ArrayLike, BoolArray, IntArray

AnyFold = Fold | tuple[ArrayLike, ArrayLike]


def audit(
    folds: Iterable[AnyFold],
    *,
    horizon: int | None = None,
    embargo_len: int = 0,
    label_end: ArrayLike | None = None,
) -> None:
    """Check a fold plan row by row, without trusting how it was made.

    Parameters
    ----------
    folds : iterable of Fold or of (train, test) row arrays
        Any splitter's output will do, scikit-learn's included.
    horizon : int, optional
        Rows that a label spans. Without it (and without ``label_end``) labels
        are not checked.
    embargo_len : int, default 0
        Rows after the labels of each test block that may not be trained on.
    label_end : array-like of int, [T] or [T, A], optional
        Last row (inclusive) of each row's label; replaces ``horizon``.

    Raises
    ------
    LeakageError
        Names fold, row and reason: a row is in training and in the test, is
        repeated or negative, its label interval meets that of a test block, or
        it lies in an embargo. A causal fold (:func:`make_outer_folds`) may
        train on labels known at its first test row, and on nothing later.
    ParameterError
        There is no fold: a check of nothing proves nothing.

    Examples
    --------
    >>> from fastpanel.splits import make_cpcv_splits
    >>> folds = make_cpcv_splits([(0, 4), (4, 8), (8, 12)], q=1, horizon=1, embargo_len=0)
    >>> audit(folds, horizon=1)
    >>> audit([([0, 1, 2, 3], [4, 5])], horizon=1)
    Traceback (most recent call last):
        ...
    fastpanel.errors.LeakageError: fold 0, row 3: its label [3, 4] meets the test block \
[4, 5] with labels to 6
    """
    ends = None if label_end is None else check_label_end(label_end)
    span = None if horizon is None else reach("horizon", horizon)
    embargo = reach("embargo_len", embargo_len)
    count = 0
    for fold in folds:
        _Check(count, fold, span, embargo, ends).run()
        count += 1
    if not count:
        raise ParameterError("folds is empty (or an iterator used up before): nothing was checked")


class _Check:
    def __init__(
        self, k: int, fold: AnyFold, horizon: int | None, embargo: int, ends: IntArray | None
    ) -> None:
        self.k, self.embargo = k, embargo
        self.causal = isinstance(fold, Fold) and fold.causal
        train, test = _train_and_test(fold, k)
        self.train = self._rows(train, "training")
        self.test = self._rows(test, "test")
        self.removed = (
            {"purged": fold.purged_intervals, "embargoed": fold.embargoed_intervals}
            if isinstance(fold, Fold)
            else {}
        )
        self.labelled = horizon is not None or ends is not None
        last = max(self.train.max(initial=-1), self.test.max(initial=-1))
        if ends is not None and last >= len(ends):
            self._fail(int(last), f"label_end has {len(ends)} rows only")
        rows = np.arange(last + 1)
        self.ends = rows + (horizon or 0) if ends is None else ends[: last + 1]

    def run(self) -> None:
        both = np.intersect1d(self.train, self.test)
        self._refuse(both, "it is in the training set and in the test set")
        for name, intervals in self.removed.items():
            inside = _covered(self.train, intervals)
            self._refuse(self.train[inside], f"it is in the training set and marked as {name}")
        if not len(self.test):
            return
        if self.causal:
            self._check_causal()
        else:
            self._check_closed()

    def _check_causal(self) -> None:
        start = int(self.test.min())
        late = self.train[self.train >= start]
        self._refuse(late, f"it is trained on, but the test starts at row {start}")
        if self.labelled:
            unknown = self.train[self.ends[self.train] > start]
            self._refuse(unknown, f"its label is not known at the first test row {start}")

    def _check_closed(self) -> None:
        ordered = np.sort(self.test)
        for block in np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1):
            first, last = int(block[0]), int(block[-1])
            reach = int(self.ends[block].max())
            if self.labelled:
                meets = (self.train <= reach) & (self.ends[self.train] >= first)
                for row in self.train[meets][:1]:
                    self._fail(
                        int(row),
                        f"its label [{row}, {self.ends[row]}] meets the test block "
                        f"[{first}, {last}] with labels to {reach}",
                    )
            inside = (self.train > reach) & (self.train <= reach + self.embargo)
            self._refuse(
                self.train[inside],
                f"it lies in the embargo of {self.embargo} rows after row {reach}",
            )

    def _rows(self, value: ArrayLike, what: str) -> IntArray:
        rows = np.asarray(value)
        if rows.size and (rows.ndim != 1 or rows.dtype.kind not in "iu"):
            raise LeakageError(f"fold {self.k}: {what} rows must be one list of whole numbers")
        rows = rows.astype(np.int64).reshape(-1)
        self._refuse(rows[rows < 0], f"negative {what} row")
        unique, counts = np.unique(rows, return_counts=True)
        self._refuse(unique[counts > 1], f"repeated {what} row")
        return rows

    def _refuse(self, rows: IntArray, reason: str) -> None:
        if len(rows):
            self._fail(int(rows.min()), reason)

    def _fail(self, row: int, reason: str) -> None:
        raise LeakageError(f"fold {self.k}, row {row}: {reason}")


def _train_and_test(fold: AnyFold, k: int) -> tuple[ArrayLike, ArrayLike]:
    if isinstance(fold, Fold):
        return fold.train, fold.test
    if not isinstance(fold, tuple | list) or len(fold) != 2:
        raise ParameterError(
            f"fold {k} is {fold!r:.60}; give a Fold or a pair of row arrays (train, test)"
        )
    return fold[0], fold[1]


def _covered(rows: IntArray, intervals: IntArray) -> BoolArray:
    inside = np.zeros(len(rows), dtype=bool)
    for start, stop in intervals:
        inside |= (rows >= start) & (rows < stop)
    return inside
