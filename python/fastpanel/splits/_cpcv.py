"""Combinatorial purged splits over given groups."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from fastpanel import _core
from fastpanel._runtime import integer
from fastpanel.errors import ParameterError
from fastpanel.splits._fold import Fold, trusted_fold
from fastpanel.splits._groups import (
    Groups,
    check_groups,
    check_label_end,
    reach,
    training_pool,
)
from fastpanel.typing import ArrayLike, IntArray

_MOST_COMBINATIONS = 1 << 22


def make_cpcv_splits(
    groups: Groups,
    *,
    q: int,
    horizon: int,
    embargo_len: int,
    n_samples: int | None = None,
    warmup_len: int = 0,
    exclude_warmup: bool = False,
    max_inner_combos: int | None = None,
    label_end: ArrayLike | None = None,
) -> list[Fold]:
    """Every choice of ``q`` test groups, purged on both sides and embargoed.

    Row ``i`` carries the closed label interval ``[i, i + horizon]``, a test
    block ``[s, b]`` (adjacent test groups are one block) covers
    ``[s, b + horizon]``. Rows ``s - horizon .. b + horizon + embargo_len``
    leave the training set around every block.

    Parameters
    ----------
    groups : list of (start, stop)
        Ordered, disjoint; all other groups are trained on.
    q : int
        Test groups per split.
    horizon, embargo_len : int
        In rows; negative values act as 0.
    n_samples : int, optional
        Rows in all; the length of ``label_end``, or the end of the last group.
    warmup_len : int, default 0
        First rows, trained on unless ``exclude_warmup``, never tested.
    exclude_warmup : bool, default False
        Leave the warm-up out of training.
    max_inner_combos : int, optional
        At most so many splits, chosen greedily so that every group is tested
        about equally often (smallest spread of counts, then smallest sum of
        squares, then lexicographic): no randomness.
    label_end : array-like of int, [T] or [T, A], optional
        Last row (inclusive) of each row's label, per asset if wished; replaces
        ``horizon``. A row leaves training if the label of any asset reaches in.

    Returns
    -------
    list of Fold
        In the order of the combinations: lexicographic, or as chosen greedily.

    Raises
    ------
    ParameterError
        A combination leaves no training row (it is named); ``q`` or the groups
        are out of their domain.

    Notes
    -----
    Cost: O(intervals) per split; rows are made only when a fold is asked for
    them. Source: de Prado, *Advances in Financial Machine Learning*, ch. 7, 12.

    Examples
    --------
    >>> groups = [(0, 4), (4, 8), (8, 12), (12, 16), (16, 20)]
    >>> folds = make_cpcv_splits(groups, q=2, horizon=1, embargo_len=2)
    >>> fold = next(f for f in folds if f.test_groups == (1, 3))
    >>> fold.train
    array([ 0,  1,  2, 19])
    """
    warmup_len = integer("warmup_len", warmup_len, 0)
    checked = check_groups(groups, warmup_len)
    q = integer("q", q, 1)
    if q > len(checked):
        raise ParameterError(f"q={q} test groups cannot be chosen from {len(checked)} groups")
    combos = choose_combinations(len(checked), q, max_inner_combos)
    plan = make_plan(
        checked,
        training_pool(checked, 0 if exclude_warmup else warmup_len),
        combos,
        n_samples=n_samples,
        purge=reach("horizon", horizon),
        embargo=reach("embargo_len", embargo_len),
        label_end=None if label_end is None else check_label_end(label_end),
        reasons=True,
    )
    plan.require_training_rows(1)
    return plan.folds()


def choose_combinations(n: int, q: int, limit: int | None) -> IntArray:
    """All combinations ``int64 [K, q]``, or ``limit`` balanced ones."""
    total = math.comb(n, q)
    if total > _MOST_COMBINATIONS:
        raise ParameterError(
            f"choosing {q} of {n} gives {total:,} splits, more than {_MOST_COMBINATIONS:,}; "
            "use fewer groups or a smaller number of test groups"
        )
    if limit is None or integer("max_inner_combos", limit, 1) >= total:
        return _core.combinations(n, q, total)
    return _core.balanced_combinations(n, q, limit)


@dataclass(frozen=True)
class SplitPlan:
    """Interval sets of many splits in compressed rows: ``(offsets, intervals)`` per kind."""

    combos: IntArray
    train: tuple[IntArray, IntArray]
    test: tuple[IntArray, IntArray]
    purged: tuple[IntArray, IntArray]
    embargoed: tuple[IntArray, IntArray]
    settings: str

    def __len__(self) -> int:
        return len(self.combos)

    def require_training_rows(self, minimum: int) -> None:
        """Raise for the first split that trains on fewer than ``minimum`` rows."""
        offsets, bounds = self.train
        rows = np.concatenate(([0], np.cumsum(bounds[:, 1] - bounds[:, 0])))
        counts = np.diff(rows[offsets])
        if (short := np.flatnonzero(counts < minimum)).size:
            k = int(short[0])
            raise ParameterError(
                f"combination {tuple(self.combos[k].tolist())} leaves {counts[k]} training rows, "
                f"at least {minimum} are needed; {self.settings} is too much"
            )

    def folds(self) -> list[Fold]:
        """Return the splits as folds that share this plan's memory."""
        kinds = (self.train, self.test, self.purged, self.embargoed)
        return list(map(trusted_fold, *map(pieces, kinds), map(tuple, self.combos.tolist())))


def make_plan(
    groups: IntArray,
    pool: IntArray,
    combos: IntArray,
    *,
    n_samples: int | None,
    purge: int,
    embargo: int,
    label_end: IntArray | None,
    reasons: bool,
) -> SplitPlan:
    """Plan the given combinations in the compiled core."""
    rows = _row_count(int(groups[-1, 1]), n_samples, label_end)
    sets = _core.split_plan(groups, pool, combos, rows, purge, label_end, embargo, reasons)
    for offsets, bounds in sets:
        offsets.flags.writeable = bounds.flags.writeable = False
    label = f"purge (horizon) {purge}" if label_end is None else "purge by label_end"
    return SplitPlan(combos, *sets, settings=f"{label} with embargo {embargo}")


def _row_count(last: int, n_samples: int | None, label_end: IntArray | None) -> int:
    rows = n_samples
    if label_end is not None:
        if n_samples is not None and n_samples != len(label_end):
            raise ParameterError(
                f"label_end has {len(label_end)} rows, but n_samples is {n_samples}"
            )
        rows = len(label_end)
    if rows is None:
        return last
    if rows < last:
        raise ParameterError(f"the last group ends at row {last}, but there are {rows} rows")
    return int(rows)


def pieces(sets: tuple[IntArray, IntArray]) -> list[IntArray]:
    """Cut compressed rows into one interval set per split (views)."""
    offsets, bounds = sets
    at = offsets.tolist()
    return [bounds[i:j] for i, j in itertools.pairwise(at)]
