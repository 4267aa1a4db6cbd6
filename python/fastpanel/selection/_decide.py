"""The three decisions: band, secondary ranks, complexity tie-break."""

from __future__ import annotations

import numpy as np

from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.selection._aggregate import average_ranks
from fastpanel.selection._result import Selection
from fastpanel.typing import ArrayLike, BoolArray, FloatArray, IntArray


def check_band(c: float, min_keep: int, max_keep: int) -> None:
    """Reject a band that no selection could follow."""
    if not np.isfinite(c):
        raise ParameterError(f"c must be finite, got {c}")
    if not 1 <= min_keep <= max_keep:
        raise ParameterError(
            f"1 <= min_keep <= max_keep is needed, got min_keep={min_keep}, max_keep={max_keep}"
        )


def check_complexity(complexity: ArrayLike | None, count: int) -> FloatArray:
    """Return complexity [M], NaN throughout where none is given."""
    if complexity is None:
        return np.full(count, np.nan)
    values = np.asarray(complexity, dtype=np.float64)
    if values.shape != (count,):
        raise ShapeError(f"complexity must be [M] = ({count},), got {values.shape}")
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(f"complexity of candidate {bad} is {values[bad]}; it must be finite")
    return values


def band(
    es: FloatArray, se: FloatArray, c: float, min_keep: int, max_keep: int
) -> tuple[BoolArray, float]:
    """Return survivors [M] (bool) and the largest admitted energy score."""
    usable = np.flatnonzero(~np.isnan(es))
    if not usable.size:
        raise DataError(
            f"all {len(es)} candidates failed: each has a NaN energy score where another "
            "candidate has one; look at the failed fits before selecting"
        )
    order = usable[np.lexsort((usable, es[usable]))]
    best = order[0]
    threshold = float(es[best] + c * se[best])
    inside = order[es[order] <= threshold]
    if not inside.size:
        inside = order[:min_keep]
    survivors = np.zeros(len(es), dtype=np.bool_)
    survivors[inside[:max_keep]] = True
    return survivors, threshold


def decide(
    es: FloatArray,
    se: FloatArray,
    crps: FloatArray,
    ql: FloatArray,
    *,
    complexity: FloatArray,
    survivors: BoolArray,
    threshold: float,
    counts: tuple[int, int] = (0, 0),
) -> Selection:
    """Rank the survivors and break ties; ``crps`` and ``ql`` [M] may be NaN throughout."""
    kept = np.flatnonzero(survivors)
    ranks = [_ranks(values, kept) for values in (crps, ql)]
    total = np.full(len(es), np.nan)
    total[kept] = np.nansum([rank[kept] for rank in ranks], axis=0)
    finalists = _finalists((crps, ql), total, kept)
    # NaN complexity (none given) is a tie, so the energy score decides
    size = np.nan_to_num(complexity[finalists], nan=0.0)
    pick = finalists[np.lexsort((finalists, es[finalists], size))[0]]
    return Selection(
        es_model=es,
        se_es=se,
        crps_model=crps,
        ql_model=ql,
        crps_rank=ranks[0],
        ql_rank=ranks[1],
        secondary_score=total if np.isfinite(ranks).any() else np.full(len(es), np.nan),
        complexity=complexity,
        survivors=_ids(kept),
        finalists=_ids(finalists),
        failed=_ids(np.flatnonzero(np.isnan(es))),
        pick=int(pick),
        threshold=threshold,
        n_weeks=counts[0],
        n_missing=counts[1],
    )


def _ranks(values: FloatArray, kept: IntArray) -> FloatArray:
    """Ranks among the survivors; NaN throughout where the score was not computed at all."""
    ranks = np.full(len(values), np.nan)
    if not np.isnan(values[kept]).all():
        ranks[kept] = average_ranks(values[kept])
    return ranks


def _finalists(scores: tuple[FloatArray, ...], total: FloatArray, kept: IntArray) -> IntArray:
    """Smallest rank sum; a survivor with a failed score comes in only if all have one."""
    computed = [values for values in scores if not np.isnan(values[kept]).all()]
    complete = kept
    if computed:
        complete = kept[~np.isnan(np.stack(computed)[:, kept]).any(axis=0)]
    pool = complete if complete.size else kept
    best: IntArray = pool[total[pool] == total[pool].min()]
    return best


def _ids(positions: IntArray) -> tuple[int, ...]:
    return tuple(int(x) for x in positions)
