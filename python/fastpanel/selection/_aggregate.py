"""From weekly scores to one number per candidate.

Weeks are averaged inside each (split, group) occurrence, occurrences over the
splits that contain the group, groups by median (energy score) or mean
(CRPS, quantile loss).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastpanel._runtime import checked_seed
from fastpanel.typing import AnyArray, BoolArray, FloatArray, IntArray


def group_means(scores: FloatArray, groups: IntArray) -> tuple[FloatArray, BoolArray, IntArray]:
    """Score of every candidate in every group.

    Parameters
    ----------
    scores : float64 [M, K, T, A]
        A cell (split, week, asset) that is NaN for all M candidates is a
        missing target and leaves no trace; one that is not finite for some
        candidates only makes their group score NaN.
    groups : int64 [K, T]
        Group of each test week, negative where there is none.

    Returns
    -------
    means : float64 [M, G, A]
    present : bool [G, A]
        False where a group has no target of that asset (its mean is 0).
    ids : int64 [G]
        Group ids, ascending.
    """
    split, week = np.nonzero(groups >= 0)
    ids, group = np.unique(groups[split, week], return_inverse=True)
    cells = scores[:, split, week]  # [M, N, A]
    present: BoolArray = ~np.all(np.isnan(cells), axis=0)
    occurrence, label = np.unique(split * len(ids) + group, return_inverse=True)
    means, present = _segment_mean(cells, present, label)
    means, present = _segment_mean(means, present, occurrence % len(ids))
    return means, present, ids


def _segment_mean(
    values: FloatArray, present: BoolArray, labels: AnyArray
) -> tuple[FloatArray, BoolArray]:
    """Mean over equal labels of the present entries: [M, N, A] -> [M, L, A]."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    kept = present[order]
    # an infinite score is a failure too: as NaN it cannot vanish in a median
    finite = np.where(np.isfinite(values), values, np.nan)[:, order]
    totals = np.add.reduceat(np.where(kept, finite, 0.0), starts, axis=1)
    counts = np.add.reduceat(kept, starts, axis=0, dtype=np.int64)
    return totals / np.maximum(counts, 1), counts > 0


def median_over_groups(es_group: FloatArray) -> FloatArray:
    """ES_model[m] = median over groups of ``es_group`` [M, G]; NaN stays NaN."""
    return _median(es_group)


def bootstrap_se(es_group: FloatArray, num_samples: int, seed: int | Sequence[int]) -> FloatArray:
    """Bootstrap the groups: standard error [M] of the median over them.

    Groups are drawn with replacement, the same draws for all candidates.
    One group gives 0. NaN stays NaN.
    """
    count, width = es_group.shape
    draws = np.random.default_rng(checked_seed(seed)).integers(0, width, size=(num_samples, width))
    errors = np.full(count, np.nan)
    block = max(1, (1 << 22) // draws.size)  # bounds the gather at 32 MiB
    usable = np.flatnonzero(np.isfinite(es_group).all(axis=1))
    for first in range(0, len(usable), block):
        rows = usable[first : first + block]
        medians = _median(es_group[rows][:, draws])
        # equal medians give exactly 0: no rounding of their mean comes in
        errors[rows] = np.std(medians - medians[:, :1], axis=1, ddof=1)
    return errors


def median_over_assets(means: FloatArray, present: BoolArray) -> FloatArray:
    """Median over assets of the mean over groups: [M, G, A], [G, A] -> [M].

    An asset without any target is left out; no target at all gives NaN.
    """
    seen = present.any(axis=0)
    if not seen.any():
        return np.full(len(means), np.nan)
    totals = np.where(present, means, 0.0).sum(axis=1)[:, seen]
    return _median(totals / present.sum(axis=0)[seen])


def average_ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1 = smallest; ties share their average rank; NaN come last, as ties."""
    keys = np.where(np.isnan(values), np.inf, values)
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: FloatArray = (last - (counts - 1) / 2.0)[inverse]
    return ranks


def _median(values: FloatArray) -> FloatArray:
    """Median over the last axis; a NaN makes it NaN."""
    result: FloatArray = np.asarray(np.median(values, axis=-1), dtype=np.float64)
    return result
