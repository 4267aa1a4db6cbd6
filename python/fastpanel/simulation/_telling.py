"""What a run, a fold and a result have to say to those who track them."""

from __future__ import annotations

import math
from typing import Any

from fastpanel.simulation._board import aggregate_score
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import Dataset
from fastpanel.simulation._ledger import UnitRecord
from fastpanel.simulation._manifest import changes_results
from fastpanel.simulation._outer import OuterResult
from fastpanel.simulation._result import SimulationResult
from fastpanel.simulation.tracking import Fact
from fastpanel.simulation.tracking._facts import flat, numbers

_OF_A_FOLD = ("best_config.json", "postprocessing/metrics.json", "postprocessing/selection.json")
_OF_A_RUN = (
    "report.html",
    "outer/diagnostics",
    "outer/best_config.json",
    "outer/selection.json",
    "outer/metrics.json",
    "cv/summary.json",
    "cv/cv_structure.json",
    "cv/candidates.json",
)


def run_fact(config: SimulationConfig, dataset: Dataset) -> Fact:
    """Configuration and data of a run."""
    settings = flat(config.model_dump(mode="json"))
    weeks, assets, features = dataset.X.shape
    return Fact(
        "run",
        params={
            **{key: value for key, value in settings.items() if changes_results(key)},
            "panel.digest": dataset.digest,
            "panel.weeks": weeks,
            "panel.assets": assets,
            "panel.features": features,
        },
    )


def fold_fact(
    group: int,
    pick: str,
    records: dict[str, list[UnitRecord]],
    outer: OuterResult | None,
    config: SimulationConfig,
) -> Fact:
    """What one outer fold chose, and what came of it."""
    scores = {
        name: aggregate_score([unit.score for unit in units], config)
        for name, units in records.items()
    }
    metrics = {
        "candidates": float(len(records)),
        "failed_candidates": float(sum(math.isnan(score) for score in scores.values())),
        "inner_score_of_pick": scores[pick],
    }
    artifacts = [f"inner/outer_{group}/{name}" for name in _OF_A_FOLD]
    if outer is not None:
        metrics["weeks"] = float(len(outer.rows))
        metrics["pnl_total"] = float((1.0 + outer.pnl).prod() - 1.0)
        artifacts += [f"outer/outer_{group}/{name}.csv" for name in ("weights", "pnl")]
    return Fact("fold", group, params={"pick": pick}, metrics=metrics, artifacts=tuple(artifacts))


def result_fact(done: SimulationResult) -> Fact:
    """Scores against the baselines, PnL, and the files for people."""
    metrics: dict[str, float] = {}
    for row in done.summary["scores"]:
        own: dict[str, Any] = {k: v for k, v in row.items() if k != "forecaster"}
        metrics |= {f"{row['forecaster']}.{k}": v for k, v in numbers(own).items()}
    metrics |= {f"pnl.{key}": value for key, value in numbers(done.summary["pnl"]).items()}
    return Fact("result", metrics=metrics, artifacts=_OF_A_RUN)
