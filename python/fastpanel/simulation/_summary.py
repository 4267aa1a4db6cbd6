"""The numbers of a run in one table: scores per fold and overall, PnL, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastpanel.portfolio import OuterRecord, SharpeReport, outer_metrics, sharpe_report
from fastpanel.selection import Selection
from fastpanel.simulation._compare import MODEL, WeeklyScores
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._outer import OuterResult
from fastpanel.simulation._result import SimulationResult


def pnl_report(result: SimulationResult, *, n_trials: int | None = None) -> SharpeReport:
    """Statistics of the outer PnL; every candidate tried counts as a trial, unless told."""
    pnl = np.concatenate([fold.pnl for fold in result.outer])
    weights = np.concatenate([fold.weights for fold in result.outer])
    trials = max(1, len(result.candidates)) if n_trials is None else n_trials
    return sharpe_report(pnl, n_trials=trials, weights=weights)


def summarise(
    result: SimulationResult,
    table: list[dict[str, Any]],
    overall: Selection | None,
    config: SimulationConfig,
) -> dict[str, Any]:
    """Content of ``cv/summary.json``."""
    folds = []
    names, first = config.outer.metrics, 0
    model = result.scores[MODEL]
    for fold in result.outer:
        weeks = slice(first, first + len(fold.rows))
        first = weeks.stop
        times = result.dataset.times[fold.rows]
        folds.append(
            {
                "group": fold.group,
                "first_week": str(times[0])[:10],
                "last_week": str(times[-1])[:10],
                "weeks": len(fold.rows),
                "candidate": fold.candidate,
                "values": result.candidates[fold.candidate],
                "pnl_total": float(np.prod(1.0 + fold.pnl) - 1.0),
                "metrics": outer_metrics(_record([fold], model, weeks), names),
            }
        )
    return {
        "panel": dict(zip(("weeks", "assets", "features"), result.dataset.X.shape, strict=True)),
        "candidates": len(result.candidates),
        "mode": config.flags.simulation_mode,
        "folds": folds,
        "metrics": outer_metrics(_record(result.outer, model, slice(None)), names),
        "scores": table,
        "pnl": pnl_report(result).to_dict(),
        "global_pick": None if overall is None else list(result.candidates)[overall.pick],
    }


def _record(folds: Sequence[OuterResult], scores: WeeklyScores, weeks: slice) -> OuterRecord:
    """What outer metrics are computed from; coverage is that of the 90 % interval."""
    return OuterRecord(
        pnl=np.concatenate([fold.pnl for fold in folds]),
        weights=np.concatenate([fold.weights for fold in folds]),
        es=scores.energy_score[weeks],
        inside=scores.inside[-1][weeks],
    )
