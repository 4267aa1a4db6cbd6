"""Which features stay: missingness, then variance, then duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpanel import _core
from fastpanel.errors import DataError
from fastpanel.preprocess._input import Cube, raise_non_finite
from fastpanel.preprocess._sets import Jobs, TrainingSets
from fastpanel.preprocess._spec import PreprocessingSpec
from fastpanel.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Cleaning:
    """Positions of kept features, and the reason of every dropped one, in order of the stages."""

    kept: IntArray
    dropped: dict[str, str]


def clean(
    cube: Cube, names: Sequence[str], sets: TrainingSets, spec: PreprocessingSpec
) -> list[Cleaning]:
    """Decide for every training set, from its rows alone, pooled over assets on raw values.

    Raises
    ------
    DataError
        An observed training value is infinite, or a set keeps no feature.
    """
    pairs = spec.max_abs_corr < 1
    sampled = [_subsample(rows, spec.corr_subsample) for rows in sets.rows]
    whole = all(len(a) == len(b) for a, b in zip(sampled, sets.rows, strict=True))
    count, variance, corr = pooled_moments(cube, names, sets, pairs=pairs and whole)
    if pairs and not whole:
        jobs = Jobs.of(sampled, len(cube.values))
        corr = _core.pooled_moments(cube.values, cube.mask, **vars(jobs), pairs=True)[2]
    return [
        _decide(
            names,
            count[k] / max(1, cube.entries(rows)),
            variance[k],
            None if corr is None else np.abs(corr[k]),
            spec,
        )
        for k, rows in enumerate(sets.rows)
    ]


def pooled_moments(
    cube: Cube, names: Sequence[str], sets: TrainingSets, *, pairs: bool
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Return counts and variances ``[K, F]``, correlations ``[K, F, F]``; refuse infinities."""
    jobs = Jobs.of(sets.rows, len(cube.values))
    count, variance, corr = _core.pooled_moments(cube.values, cube.mask, **vars(jobs), pairs=pairs)
    wrong = ((count > 0) & ~np.isfinite(variance)).any(axis=1)
    if wrong.any():
        raise_non_finite(cube, names, sets.rows[int(np.argmax(wrong))])
    return count, variance, corr


def _subsample(rows: IntArray, limit: int | None) -> IntArray:
    """At most ``limit`` rows, evenly spaced: the same ones every time."""
    if limit is None or len(rows) <= limit:
        return rows
    return rows[np.linspace(0, len(rows) - 1, limit).round().astype(np.int64)]


def _decide(
    names: Sequence[str],
    usable: FloatArray,
    variance: FloatArray,
    corr: FloatArray | None,
    spec: PreprocessingSpec,
) -> Cleaning:
    dropped: dict[int, str] = {}
    for f in np.flatnonzero((usable < spec.min_usable_ratio) | (usable == 0)):
        dropped[int(f)] = (
            f"missingness: usable ratio {usable[f]:.6g} is below "
            f"min_usable_ratio {spec.min_usable_ratio:g}"
        )
    for f in np.flatnonzero(variance < spec.min_variance):
        if int(f) not in dropped:
            dropped[int(f)] = (
                f"variance: {variance[f]:.6g} is below min_variance {spec.min_variance:g}"
            )
    if corr is not None:
        _drop_duplicates(names, usable, corr, spec.max_abs_corr, dropped)
    kept = np.array([f for f in range(len(names)) if f not in dropped], dtype=np.int64)
    reasons = {names[f]: reason for f, reason in dropped.items()}
    if not len(kept):
        first = next(iter(reasons.items()))
        raise DataError(
            f"cleaning drops all {len(names)} features; the first one, '{first[0]}': {first[1]}. "
            "Lower that limit, train on later rows, or say where assets are absent (absent=)"
        )
    return Cleaning(kept, reasons)


def _drop_duplicates(
    names: Sequence[str],
    usable: FloatArray,
    corr: FloatArray,
    limit: float,
    dropped: dict[int, str],
) -> None:
    """Visit the pairs in column order; the less usable (else the later) of a pair goes."""
    gone = np.zeros(len(names), dtype=bool)
    gone[list(dropped)] = True
    above = np.triu(corr > limit, k=1)
    for i in range(len(names)):
        if gone[i]:
            continue
        for j in map(int, np.flatnonzero(above[i] & ~gone)):
            loser, winner = (i, j) if usable[i] < usable[j] else (j, i)
            gone[loser] = True
            dropped[loser] = (
                f"duplicate: abs(corr) {corr[i, j]:.6g} with '{names[winner]}' is above "
                f"max_abs_corr {limit:g}"
            )
            if gone[i]:
                break
