"""Combinatorial purged cross-validation in scikit-learn's splitter protocol."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastpanel import _core
from fastpanel._runtime import integer
from fastpanel.errors import ParameterError
from fastpanel.splits._cpcv import SplitPlan, choose_combinations, make_plan, pieces
from fastpanel.splits._fold import Fold
from fastpanel.splits._groups import check_label_end, reach
from fastpanel.splits._registry import register_cv
from fastpanel.typing import ArrayLike, IntArray


class CombinatorialPurgedCV:
    """Purged, embargoed combinatorial cross-validation on equal blocks of rows.

    The rows are cut into ``n_blocks`` contiguous blocks (the first ones take
    the remainder); every choice of ``n_test_blocks`` is a test set. Around a
    test block ``[s, b]`` the rows ``s - purge_window .. b + purge_window +
    embargo_size`` leave the training set. ``n_test_blocks=1`` is standard
    purged K-fold.

    Parameters
    ----------
    n_blocks, n_test_blocks : int
        Blocks in all, and blocks per test set.
    purge_window : int, default 0
        Rows that a label spans: row ``i`` covers ``[i, i + purge_window]``.
        Negative acts as 0.
    embargo_size : int, default 0
        Rows that leave after the purge that follows every test block.
    label_end : array-like of int, [T] or [T, A], optional
        Last row (inclusive) of each row's label; replaces ``purge_window``.
    max_splits : int, optional
        At most so many splits: the first ones, or a random sample.
    shuffle_splits : bool, default False
        Sample (with ``max_splits``) or order the splits at random.
    random_state : int, optional
        Seed of ``random.Random``, at least 0.
    min_train_size : int, default 1
        A split that trains on fewer rows is an error.

    Raises
    ------
    ParameterError
        A parameter is out of its domain; an unknown keyword is a TypeError.

    Examples
    --------
    >>> cv = CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2, purge_window=1, embargo_size=2)
    >>> cv.get_n_splits()
    10
    >>> train, test = list(cv.split(range(20)))[5]
    >>> train, test
    (array([ 0,  1,  2, 19]), array([ 4,  5,  6,  7, 12, 13, 14, 15]))
    """

    def __init__(
        self,
        *,
        n_blocks: int,
        n_test_blocks: int,
        purge_window: int = 0,
        embargo_size: int = 0,
        label_end: ArrayLike | None = None,
        max_splits: int | None = None,
        shuffle_splits: bool = False,
        random_state: int | None = None,
        min_train_size: int = 1,
    ) -> None:
        self.n_blocks = reach("n_blocks", n_blocks)
        self.n_test_blocks = reach("n_test_blocks", n_test_blocks)
        if self.n_blocks == 0:
            raise ParameterError("n_blocks must be positive.")
        if not 1 <= self.n_test_blocks <= self.n_blocks:
            raise ParameterError("n_test_blocks must be in [1, n_blocks].")
        self.purge_window = reach("purge_window", purge_window)
        self.embargo_size = reach("embargo_size", embargo_size)
        self.label_end = None if label_end is None else check_label_end(label_end)
        self.max_splits = None if max_splits is None else integer("max_splits", max_splits, 1)
        self.shuffle_splits = bool(shuffle_splits)
        seed = None if random_state is None else integer("random_state", random_state, 0)
        self.random_state = seed
        self.min_train_size = integer("min_train_size", min_train_size, 1)

    def split(
        self, X: Any = None, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield (train, test) rows, ``int64``, ascending, one pair per combination.

        Parameters
        ----------
        X, y : sized
            Used for their length only; rows are taken as ordered in time. A
            panel counts its times.
        groups : ignored

        Raises
        ------
        ParameterError
            Neither X nor y is given, there are fewer rows than blocks, or a
            combination leaves too few training rows (it is named).
        """
        plan = self._plan(sample_count(X, y), reasons=False)
        return _rows_of(plan)

    def folds(self, n_samples: int) -> list[Fold]:
        """Return the same splits as :class:`Fold`, with what was purged and embargoed."""
        return self._plan(integer("n_samples", n_samples, 1), reasons=True).folds()

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits; needs no data."""
        total = math.comb(self.n_blocks, self.n_test_blocks)
        return total if self.max_splits is None else min(self.max_splits, total)

    def get_path_ids(self) -> IntArray:
        """Back-test path of each test block: int ``[n_splits, n_test_blocks]``, from 0.

        The p-th split that tests a block belongs to path p, so with all splits
        each of the C(n_blocks - 1, n_test_blocks - 1) paths holds every block
        once. Limited splits leave the later paths incomplete.

        Examples
        --------
        >>> CombinatorialPurgedCV(n_blocks=3, n_test_blocks=2).get_path_ids().tolist()
        [[0, 0], [1, 0], [1, 1]]
        """
        combos = self._combinations()
        seen = np.zeros(self.n_blocks, dtype=np.int64)
        paths = np.empty_like(combos)
        for k, combo in enumerate(combos):
            paths[k] = seen[combo]
            seen[combo] += 1
        return paths

    def __repr__(self) -> str:
        shown = {k: v for k, v in vars(self).items() if k != "label_end"}
        if self.label_end is not None:
            shown["label_end"] = f"<{len(self.label_end)} rows>"
        return f"CombinatorialPurgedCV({', '.join(f'{k}={v}' for k, v in shown.items())})"

    def _plan(self, n_samples: int, *, reasons: bool) -> SplitPlan:
        if n_samples < self.n_blocks:
            raise ParameterError(
                "Number of samples (n) must be >= n_blocks (m). "
                f"Got n={n_samples}, m={self.n_blocks}."
            )
        size, rest = divmod(n_samples, self.n_blocks)
        k = np.arange(self.n_blocks + 1)
        edges = k * size + np.minimum(k, rest)
        plan = make_plan(
            np.ascontiguousarray(np.stack([edges[:-1], edges[1:]], axis=1), dtype=np.int64),
            np.array([[0, n_samples]], dtype=np.int64),
            self._combinations(),
            n_samples=n_samples,
            purge=self.purge_window,
            embargo=self.embargo_size,
            label_end=self.label_end,
            reasons=reasons,
        )
        plan.require_training_rows(self.min_train_size)
        return plan

    def _combinations(self) -> IntArray:
        n, q, count = self.n_blocks, self.n_test_blocks, self.get_n_splits()
        total = math.comb(n, q)
        if not self.shuffle_splits:
            if count < total:
                return _core.combinations(n, q, count)
            return choose_combinations(n, q, None)
        rng = random.Random(self.random_state)
        if count < total:
            ranks = rng.sample(range(total), count)
            return np.array([_combination_at(r, n, q) for r in ranks], dtype=np.int64)
        order = list(range(total))
        rng.shuffle(order)
        return choose_combinations(n, q, None)[order]


@register_cv("cpcv")
def _cpcv(params: Mapping[str, Any]) -> CombinatorialPurgedCV:
    return CombinatorialPurgedCV(**params)


def sample_count(X: Any, y: Any) -> int:
    """Rows of X, or of y where X is None."""
    data = y if X is None else X
    if data is None:
        raise ParameterError("split needs X or y: their length is the number of rows")
    shape = getattr(data, "shape", None)
    return int(shape[0]) if shape else len(data)


def _rows_of(plan: SplitPlan) -> Iterator[tuple[IntArray, IntArray]]:
    for train, test in zip(pieces(plan.train), pieces(plan.test), strict=True):
        yield _core.interval_rows(train), _core.interval_rows(test)


def _combination_at(rank: int, n: int, q: int) -> list[int]:
    """Return the combination at ``rank`` of the lexicographic order."""
    combo: list[int] = []
    item = 0
    for left in range(q, 0, -1):
        for item in itertools.count(item):  # noqa: B020
            behind = math.comb(n - item - 1, left - 1)
            if rank < behind:
                break
            rank -= behind
        combo.append(item)
        item += 1
    return combo
