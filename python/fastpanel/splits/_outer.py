"""Outer walk-forward folds: each group tested once, trained on what was known before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from fastpanel._runtime import integer
from fastpanel.errors import ParameterError
from fastpanel.splits._fold import Fold
from fastpanel.splits._groups import Groups, check_groups, reach, training_pool
from fastpanel.typing import IntArray

TestGroups = Literal["all", "last"] | Sequence[int]


def make_outer_folds(
    groups: Groups,
    *,
    warmup_len: int,
    horizon: int = 1,
    exclude_warmup: bool = False,
    test_groups: TestGroups = "all",
    q: int = 2,
) -> list[Fold]:
    """One causal fold per test group: train on everything known before it.

    Row ``i`` is trained on when its label is known at the first test row ``s``:
    ``i + horizon <= s`` (and ``i < s``). Nothing after the test group is used.

    Parameters
    ----------
    groups : list of (start, stop)
        Ordered, disjoint; usually from :func:`build_equal_groups`.
    warmup_len : int
        First rows, never tested.
    horizon : int, default 1
        Rows until a label is known; below 0 acts as 0.
    exclude_warmup : bool, default False
        Leave the warm-up out of training too.
    test_groups : {"all", "last"} or list of int, default "all"
        Groups to test, ascending in the result.
    q : int, default 2
        Test groups of the inner CPCV splits. A fold needs ``q + 1`` earlier
        groups (``q`` if the warm-up is trained on); 0 asks for none.

    Returns
    -------
    list of Fold
        ``"all"`` leaves out the groups that :func:`skipped_outer_groups` lists,
        which may be all of them.

    Raises
    ------
    ParameterError
        A group that is asked for by id (or ``"last"``) has too few earlier
        groups or no training row; an id is unknown or repeated; groups overlap.

    Examples
    --------
    >>> from fastpanel.splits import build_equal_groups
    >>> groups = build_equal_groups(260, 52, 52)
    >>> folds = make_outer_folds(groups, warmup_len=52)
    >>> [(f.test_groups, f.train_intervals.tolist()) for f in folds]
    [((2,), [[0, 156]]), ((3,), [[0, 208]])]
    """
    plan = _OuterPlan(groups, warmup_len, horizon, exclude_warmup, q)
    chosen = plan.choose(test_groups)
    problems = {k: why for k in chosen if (why := plan.problem(k))}
    if problems and test_groups != "all":
        k, why = next(iter(problems.items()))
        raise ParameterError(f"outer test group {k} cannot be tested: {why}")
    return [plan.fold(k) for k in chosen if k not in problems]


def skipped_outer_groups(
    groups: Groups,
    *,
    warmup_len: int,
    horizon: int = 1,
    exclude_warmup: bool = False,
    q: int = 2,
) -> dict[int, str]:
    """Name the groups that ``make_outer_folds(..., test_groups="all")`` leaves out.

    Parameters
    ----------
    groups, warmup_len, horizon, exclude_warmup, q
        As in :func:`make_outer_folds`.

    Returns
    -------
    dict
        Group id to reason, ascending.

    Examples
    --------
    >>> from fastpanel.splits import build_equal_groups
    >>> groups = build_equal_groups(260, 52, 52)
    >>> sorted(skipped_outer_groups(groups, warmup_len=52))
    [0, 1]
    """
    plan = _OuterPlan(groups, warmup_len, horizon, exclude_warmup, q)
    return {k: why for k in plan.choose("all") if (why := plan.problem(k))}


class _OuterPlan:
    def __init__(
        self, groups: Groups, warmup_len: int, horizon: int, exclude_warmup: bool, q: int
    ) -> None:
        warmup_len = integer("warmup_len", warmup_len, 0)
        self.groups = check_groups(groups, warmup_len)
        self.warmup = 0 if exclude_warmup else warmup_len
        self.horizon = reach("horizon", horizon)
        self.q = integer("q", q, 0)

    def choose(self, test_groups: TestGroups) -> list[int]:
        count = len(self.groups)
        if isinstance(test_groups, str):
            if test_groups not in ("all", "last"):
                raise ParameterError(
                    f'test_groups must be "all", "last" or a list of ids, got {test_groups!r}'
                )
            return list(range(count)) if test_groups == "all" else [count - 1]
        chosen = [integer("test_groups", k, 0) for k in test_groups]
        if not chosen or len(set(chosen)) != len(chosen) or max(chosen) >= count:
            raise ParameterError(
                f"test_groups must be distinct ids of 0..{count - 1}, got {list(test_groups)}"
            )
        return sorted(chosen)

    def problem(self, k: int) -> str | None:
        needed = self.q if self.warmup else self.q + 1
        if k < needed:
            return f"it has {k} earlier groups, but q={self.q} needs {needed}"
        if not len(self._cut(k)[0]):
            return f"no training row has its label (horizon={self.horizon}) before the test"
        return None

    def fold(self, k: int) -> Fold:
        train, purged = self._cut(k)
        return Fold(train, self.groups[k : k + 1], purged, test_groups=(k,), causal=True)

    def _cut(self, k: int) -> tuple[IntArray, IntArray]:
        """Earlier rows whose label is known at the first test row, and the others."""
        start = int(self.groups[k, 0])
        pool = training_pool(self.groups[:k], self.warmup)
        limit = max(start - max(self.horizon, 1) + 1, 0)
        known, unknown = np.minimum(pool, limit), np.maximum(pool, limit)
        return known[known[:, 0] < known[:, 1]], unknown[unknown[:, 0] < unknown[:, 1]]
