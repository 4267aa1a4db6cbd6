"""Selection among the candidates of one outer fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.selection._aggregate import (
    bootstrap_se,
    group_means,
    median_over_assets,
    median_over_groups,
)
from fastpanel.selection._decide import band, check_band, check_complexity, decide
from fastpanel.selection._result import Selection
from fastpanel.typing import ArrayLike, BoolArray, FloatArray, IntArray


def select(
    es: ArrayLike,
    groups: ArrayLike,
    *,
    crps: ArrayLike | None = None,
    ql: ArrayLike | None = None,
    complexity: ArrayLike | None = None,
    c: float = 1.0,
    min_keep: int = 1,
    max_keep: int = 10,
    num_samples: int = 1000,
    seed: int | Sequence[int] = 123,
) -> Selection:
    """Choose one of M candidates by energy score, then CRPS and quantile loss, then size.

    1. The energy score is averaged over the weeks of a group within a split,
       over the splits that contain the group, and is the median over groups.
       Its standard error comes from a bootstrap over groups.
    2. Survivors lie within ``c`` standard errors of the best; at most
       ``max_keep``. An empty band (possible only with a negative ``c``) keeps
       the best ``min_keep``.
    3. Survivors are ranked by CRPS and by tail quantile loss (median over
       assets of the mean over groups); the smallest rank sum stays.
    4. Ties go to the smallest complexity, then energy score, then id.

    Parameters
    ----------
    es : float [M, K, T]
        Energy score of candidate m in split k on its t-th test week, lower is
        better, any unit.
    groups : int [K, T]
        Group of each test week; -1 = no test week there (padding).
    crps, ql : float [M, K, T, A], optional
        Secondary scores. Only those of survivors are read; others may be NaN.
    complexity : float [M], optional
        Effective number of free parameters.
    c, min_keep, max_keep
        Width of the band in standard errors; floor and ceiling of survivors.
    num_samples, seed
        Bootstrap draws and the seed of their ``numpy`` Generator (an integer
        or several, as in ``(seed, fold)``).

    Returns
    -------
    Selection

    Raises
    ------
    ShapeError
        Arrays that do not fit together.
    ParameterError
        A setting outside its domain, or a group id below -1.
    DataError
        No scored week, or every candidate failed.

    Notes
    -----
    A week (for CRPS and quantile loss: a week and asset) that is NaN for every
    candidate is a missing target and is left out. A score that is NaN or
    infinite for some candidates only is their failure: their aggregate is NaN,
    they are outside the band, or last in the ranking, and cannot win while a
    candidate without failure is there. Cost: one pass over the scores plus
    ``M * num_samples`` medians of G numbers.

    Examples
    --------
    >>> import numpy as np
    >>> es = np.array([[[1.0, 1.2, 0.9]], [[2.0, 2.1, 1.9]]])  # 2 candidates, 1 split, 3 weeks
    >>> selection = select(es, [[0, 1, 2]])
    >>> selection.pick, selection.survivors
    (0, (0,))
    >>> selection.es_model.tolist()
    [1.0, 2.0]
    """
    check_band(c, min_keep, max_keep)
    if num_samples < 2:
        raise ParameterError(f"num_samples must be at least 2, got {num_samples}")
    scores = _es(es)
    labels = _groups(groups, scores.shape[1:])
    size = check_complexity(complexity, len(scores))
    means, present, _ = group_means(scores[..., None], labels)
    seen = present[:, 0]
    if not seen.any():
        raise DataError("no test week has an energy score: es is NaN for all candidates")
    es_group = means[:, seen, 0]
    es_model = median_over_groups(es_group)
    se = bootstrap_se(es_group, num_samples, seed)
    survivors, threshold = band(es_model, se, c, min_keep, max_keep)
    return decide(
        es_model,
        se,
        _secondary("crps", crps, scores.shape, labels, survivors),
        _secondary("ql", ql, scores.shape, labels, survivors),
        complexity=size,
        survivors=survivors,
        threshold=threshold,
        counts=_counts(scores, labels),
    )


def _es(es: ArrayLike) -> FloatArray:
    scores = np.asarray(es, dtype=np.float64)
    if scores.ndim != 3 or not scores.size:
        raise ShapeError(f"es must be a non-empty [M, K, T] array, got shape {scores.shape}")
    return scores


def _groups(groups: ArrayLike, shape: tuple[int, ...]) -> IntArray:
    labels = np.asarray(groups)
    if labels.dtype.kind not in "iu":
        raise ParameterError(f"groups must be integers, got dtype {labels.dtype}")
    if labels.shape != shape:
        raise ShapeError(f"groups must be [K, T] = {shape} as es has it, got {labels.shape}")
    labels = labels.astype(np.int64)
    if labels.min() < -1:
        split, week = np.argwhere(labels < -1)[0]
        raise ParameterError(
            f"groups[{split}, {week}] is {labels[split, week]}; ids are >= 0, and -1 = no test week"
        )
    if labels.max() < 0:
        raise DataError("groups is -1 throughout: there is no test week to score")
    return labels


def _secondary(
    name: str,
    values: ArrayLike | None,
    shape: tuple[int, ...],
    groups: IntArray,
    survivors: BoolArray,
) -> FloatArray:
    """Aggregate [M] of the survivors, NaN for the others or where no score is given."""
    result = np.full(shape[0], np.nan)
    if values is None:
        return result
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 4 or scores.shape[:3] != shape:
        raise ShapeError(f"{name} must be [M, K, T, A] with es {shape}, got {scores.shape}")
    means, present, _ = group_means(scores[survivors], groups)
    result[survivors] = median_over_assets(means, present)
    return result


def _counts(scores: FloatArray, groups: IntArray) -> tuple[int, int]:
    missing: BoolArray = np.all(np.isnan(scores), axis=0)[groups >= 0]
    return int((~missing).sum()), int(missing.sum())
