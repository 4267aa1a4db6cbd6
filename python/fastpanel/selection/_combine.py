"""The global selection over the outer folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastpanel.errors import ParameterError, ShapeError
from fastpanel.selection._decide import band, check_band, decide
from fastpanel.selection._result import Selection
from fastpanel.typing import FloatArray


def combine(
    selections: Sequence[Selection],
    *,
    c: float = 1.0,
    min_keep: int = 1,
    max_keep: int = 10,
) -> Selection:
    """Select once from the medians over outer folds.

    Energy score and standard error of a candidate are the medians of its fold
    values, CRPS and quantile loss the medians over the folds it survived; then
    band, ranks and tie-break run once, as in :func:`select`.

    The result names the configuration to keep and the one to diagnose. It has
    seen the inner data of every fold: **an outer fold is evaluated with the
    pick of its own selection**, never with this one.

    Parameters
    ----------
    selections : sequence of Selection
        One per outer fold, all over the same M candidates.
    c, min_keep, max_keep
        As in :func:`select`.

    Returns
    -------
    Selection

    Raises
    ------
    ShapeError
        No selection, or different numbers of candidates.

    Notes
    -----
    A candidate that failed in one fold (NaN energy score) fails here. CRPS and
    quantile loss stay NaN for a candidate that survived in no fold; in the
    ranking it comes last and wins only if no survivor has both scores.

    Examples
    --------
    >>> from fastpanel.selection import select
    >>> folds = [select([[[x]], [[5.0]]], [[0]]) for x in (1.0, 2.0, 9.0)]
    >>> combine(folds).es_model.tolist()
    [2.0, 5.0]
    """
    check_band(c, min_keep, max_keep)
    if not selections:
        raise ParameterError("combine needs the selection of at least one outer fold")
    counts = [len(selection.es_model) for selection in selections]
    if len(set(counts)) > 1:
        raise ShapeError(f"the folds have different numbers of candidates: {counts}")
    es = np.median([selection.es_model for selection in selections], axis=0)
    se = np.median([selection.se_es for selection in selections], axis=0)
    survivors, threshold = band(es, se, c, min_keep, max_keep)
    return decide(
        es,
        se,
        _nan_median([selection.crps_model for selection in selections]),
        _nan_median([selection.ql_model for selection in selections]),
        complexity=_nan_median([selection.complexity for selection in selections]),
        survivors=survivors,
        threshold=threshold,
    )


def _nan_median(rows: list[FloatArray]) -> FloatArray:
    """Column medians over the numbers; NaN where a column has none."""
    values = np.stack(rows)
    result = np.full(values.shape[1], np.nan)
    known = ~np.isnan(values).all(axis=0)
    result[known] = np.nanmedian(values[:, known], axis=0)
    return result
