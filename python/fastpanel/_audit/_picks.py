"""The choice of every fold, made again from its inner forecasts alone."""

from __future__ import annotations

import numpy as np

from fastpanel import scoring
from fastpanel._audit._verdict import Check, Leak
from fastpanel._files import sha256
from fastpanel.simulation._board import aggregate_score
from fastpanel.simulation._payload import load_payload
from fastpanel.simulation._postprocess import compute_selection
from fastpanel.simulation._stored import StoredRun
from fastpanel.simulation._structure import OuterPlan

QUESTION = "Do the inner test weeks alone explain which candidate each outer fold used?"


def check_picks(run: StoredRun) -> Check:
    """Select again from the stored inner forecasts, whose scores are computed again too."""
    leaks: list[Leak] = []
    for plan in run.structure.outer:
        leaks += _scores(run, plan)
        chosen = _choose(run, plan)
        where = f"test group {plan.group}"
        stored = run.result.picks[plan.group]
        used = next(fold.candidate for fold in run.result.outer if fold.group == plan.group)
        for name, candidate in (("selected", stored), ("outer forecasts", used)):
            if candidate != chosen:
                leaks.append(
                    Leak(
                        name,
                        where,
                        f"candidate {candidate}, but the inner test weeks choose candidate "
                        f"{chosen}",
                    )
                )
    answer = (
        f"{len(run.structure.outer)} choices among {len(run.result.candidates)} candidates, made "
        "again from the inner forecasts"
    )
    return Check.of("selection", QUESTION, answer, leaks, _notes(run))


def _notes(run: StoredRun) -> list[str]:
    metric = run.config.scoring.spec.metric_name
    if run.config.model_selection.enable or metric == "energy_score":
        return []
    return [
        f"Selection is off, and scores of the metric '{metric}' cannot be made again from what is "
        "stored: the recorded ones were believed."
    ]


def _choose(run: StoredRun, plan: OuterPlan) -> str:
    records = run.result.records[plan.group]
    candidates = {name: v for name, v in run.result.candidates.items() if name in records}
    if not run.config.model_selection.enable:
        scores = {
            name: aggregate_score([unit.score for unit in records[name]], run.config)
            for name in candidates
        }
        return max(scores, key=lambda c: scores[c] if np.isfinite(scores[c]) else -np.inf)
    _, assets, features = run.result.dataset.X.shape
    folder = run.folder / "inner" / f"outer_{plan.group}"
    chosen = compute_selection(records, candidates, plan, folder, run.config, (assets, features))
    return list(candidates)[chosen.pick]


def _scores(run: StoredRun, plan: OuterPlan) -> list[Leak]:
    """Weekly energy scores against those of the stored draws and the run's own targets."""
    folder = run.folder / "inner" / f"outer_{plan.group}"
    leaks = []
    for candidate, records in run.result.records[plan.group].items():
        for record in records:
            if record.file is None:
                continue
            where = f"test group {plan.group}, inner split {record.split}, candidate {candidate}"
            if sha256(folder / record.file) != record.sha256:
                leaks.append(Leak("inner forecast", where, f"{record.file} was altered"))
                continue
            payload = load_payload(folder / record.file)
            y = run.result.dataset.y[payload.test_idx] / payload.scale
            truth = y[:, payload.assets] @ payload.whitener.T
            draws = payload.z_samples[:, :, payload.assets].astype(np.float64) @ payload.whitener.T
            estimator = run.config.scoring.spec.estimator
            again = scoring.energy_score(truth, draws, m_axis=0, estimator=estimator)
            if not np.allclose(again, payload.es, rtol=1e-9, atol=0.0, equal_nan=True):
                week = int(np.flatnonzero(~np.isclose(again, payload.es, equal_nan=True))[0])
                leaks.append(
                    Leak(
                        "energy score",
                        f"{where}, row {payload.test_idx[week]}",
                        f"{payload.es[week]!r} recorded, {again[week]!r} from its own draws",
                    )
                )
            if run.config.scoring.spec.metric_name == "energy_score":
                mean = -float(np.nanmean(again))
                if not np.isclose(record.score, mean, rtol=1e-4, atol=1e-12):
                    leaks.append(
                        Leak("score", where, f"{record.score!r} recorded, {mean!r} from its draws")
                    )
    return leaks
