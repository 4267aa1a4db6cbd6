"""The report of a run: pictures under ``outer/diagnostics`` and ``report.html``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel import diagnostics
from fastpanel.diagnostics import Folded, Forecasts, Report, Section, Table, Text
from fastpanel.selection import Selection
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._postprocess import payloads_of
from fastpanel.simulation._report_parts import regime_section, search_text
from fastpanel.simulation._report_pnl import SAME_BAR, percent, pnl_section
from fastpanel.simulation._result import SimulationResult
from fastpanel.simulation._summary import pnl_report

_GAIN_NOTE = (
    "Energy score and CRPS: lower is better. The gain is the baseline's energy score minus the "
    "model's, week by week, with its Newey-West standard error: above two standard errors the "
    "model is better, below minus two it is worse, in between the data cannot tell. Coverage is "
    "the share of returns inside the central 50 % and 90 % intervals."
)
_FAN_NOTE = (
    "Forecasts of the global pick on the inner test weeks, pooled over the splits that test a "
    "week, in units of each asset's training MAD. They show the shape of the forecasts; the "
    "scores above come from the outer weeks only."
)
_CALIBRATION_NOTE = "Outer weeks only: each forecast was issued before its week."


def write_run_report(
    result: SimulationResult, overall: Selection | None, config: SimulationConfig
) -> Path:
    """Draw what the configuration asks for and write ``report.html``."""
    sections = [
        _score_section(result),
        pnl_section(result, config, pnl_report(result), _folder(result)),
    ]
    if config.diagnostics.fan_charts.enable:
        pictures = diagnostics.write_calibration(
            _folder(result) / "calibration", _outer_forecasts(result), config.diagnostics.fan_charts
        )
        sections.append(Section("Calibration", (Text(_CALIBRATION_NOTE), *pictures)))
    sections.append(regime_section(result, config, _outer_forecasts(result), _folder(result)))
    sections.append(_candidate_section(result, overall, config))
    if config.diagnostics.fan_charts.enable and overall is not None:
        charts = diagnostics.write_fan_charts(
            _folder(result) / "fan_charts",
            _inner_forecasts(result, overall),
            config.diagnostics.fan_charts,
        )
        rest = (Folded(f"{len(charts) - 2} more assets", tuple(charts[2:])),)
        shown = (*charts[:2], *(rest if len(charts) > 2 else ()))
        sections.append(Section("Fan charts", (Text(_FAN_NOTE), *shown)))
    sections.append(_plan_section(result))
    weeks, assets, features = result.dataset.X.shape
    first, last = (str(result.dataset.times[i])[:10] for i in (0, -1))
    report = Report(
        title=f"Nested cross-validation: {result.folder.name}",
        subtitle=f"{weeks} weeks, {first} to {last}; {assets} assets; {features} features",
        facts=_facts(result),
        warnings=_warnings(result, config),
        sections=tuple(sections),
    )
    return diagnostics.write_report(result.folder / "report.html", report)


def _facts(result: SimulationResult) -> tuple[tuple[str, Any], ...]:
    rows = {row["forecaster"]: row for row in result.summary["scores"]}
    sharpe = pnl_report(result)
    return (
        ("Outer weeks", int(sum(len(fold.rows) for fold in result.outer))),
        ("Energy score", rows["model"]["energy_score"]),
        ("90 % interval covers", percent(rows["model"]["coverage_90"])),
        ("Sharpe ratio a year", sharpe.sharpe_annual),
        ("Candidates", len(result.candidates)),
    )


def _warnings(result: SimulationResult, config: SimulationConfig) -> tuple[str, ...]:
    out = []
    if config.flags.simulation_mode != "full":
        out.append(
            "Stub mode: draws from the training targets stand in for a model; the numbers show "
            "that the run works, and nothing else."
        )
    if config.allocation.execution == "same_bar":
        out.append(SAME_BAR)
    beaten_by = [
        row["forecaster"]
        for row in result.summary["scores"]
        if row["es_gain"] < -2 * row["es_gain_se"]
    ]
    if beaten_by:
        names = " and ".join(name.replace("_", " ") for name in beaten_by)
        out.append(f"Worse than {names} by more than two standard errors.")
    failed = [
        f"candidate {unit.candidate}: {unit.error}"
        for units in result.records.values()
        for records in units.values()
        for unit in records
        if unit.error is not None
    ]
    if failed:
        out.append(
            f"{len(failed)} fits failed; their candidates could not be chosen in that fold. "
            f"The first is {failed[0]}."
        )
    return tuple(out)


def _score_section(result: SimulationResult) -> Section:
    rows = tuple(
        (
            row["forecaster"].replace("_", " "),
            row["energy_score"],
            None if row["forecaster"] == "model" else row["es_gain"],
            None if row["forecaster"] == "model" else row["es_gain_se"],
            row["crps"],
            percent(row["coverage_50"]),
            percent(row["coverage_90"]),
            row["weeks"],
        )
        for row in result.summary["scores"]
    )
    columns = (
        "forecaster",
        "energy score",
        "gain of the model",
        "standard error",
        "CRPS",
        "50 % covers",
        "90 % covers",
        "weeks",
    )
    return Section("Forecasts", (Table(columns, rows, highlight=(0,)), Text(_GAIN_NOTE)))


def _candidate_section(
    result: SimulationResult, overall: Selection | None, config: SimulationConfig
) -> Section:
    if overall is None:
        return Section("Candidates", (Text("Selection is off: the best inner score wins."),))
    items: list[Any] = []
    if config.diagnostics.fan_charts.enable:
        items.append(diagnostics.write_candidates(_folder(result), overall, result.candidates))
    items.append(diagnostics.candidate_table(overall, result.candidates))
    items.append(search_text(result))
    items.append(
        Text(
            "Medians over the outer folds. Each fold was forecast with its own pick, chosen on "
            "earlier weeks; the global pick is for the next fold."
        )
    )
    return Section("Candidates", tuple(items))


def _plan_section(result: SimulationResult) -> Section:
    rows = tuple(
        (
            fold["group"],
            fold["first_week"],
            fold["last_week"],
            fold["weeks"],
            fold["candidate"],
            percent(fold["pnl_total"]),
        )
        for fold in result.summary["folds"]
    )
    columns = ("test group", "first week", "last week", "weeks", "candidate", "return")
    return Section("Outer folds", (Table(columns, rows),))


def _outer_forecasts(result: SimulationResult) -> Forecasts:
    dataset = result.dataset
    rows = np.concatenate([fold.rows for fold in result.outer])
    return Forecasts(
        samples=dataset.to_returns(np.concatenate([fold.samples for fold in result.outer], axis=1)),
        truth=dataset.to_returns(dataset.y[rows]),
        times=dataset.times[rows],
        assets=dataset.assets,
    )


def _inner_forecasts(result: SimulationResult, overall: Selection) -> Forecasts:
    """Inner test forecasts of the global pick in the newest fold, which has the most weeks."""
    assert result.structure is not None
    group = result.structure.outer[-1].group
    candidate = list(result.candidates)[overall.pick]
    folder = result.folder / "inner" / f"outer_{group}"
    payloads: Mapping[int, Any] = payloads_of(result.records[group][candidate], folder)
    return diagnostics.pool_splits(
        [payload.z_samples for payload in payloads.values()],
        [payload.test_idx for payload in payloads.values()],
        np.stack([payload.scale for payload in payloads.values()]),
        truth=result.dataset.y,
        times=result.dataset.times,
        assets=result.dataset.assets,
    )


def _folder(result: SimulationResult) -> Path:
    return result.folder / "outer" / "diagnostics"
