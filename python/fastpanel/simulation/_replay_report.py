"""The report of a replayed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastpanel import diagnostics
from fastpanel.diagnostics import Report, Section, Table, Text
from fastpanel.portfolio import SharpeReport, sharpe_report
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._report_pnl import SAME_BAR, percent, pnl_section, signed
from fastpanel.simulation._result import SimulationResult
from fastpanel.simulation._stored import StoredRun


def write_replay_report(
    path: Path,
    stored: StoredRun,
    result: SimulationResult,
    config: SimulationConfig,
    report: SharpeReport,
) -> Path:
    """Write what changed, the PnL beside the run's own, and the settings."""
    own = np.concatenate([fold.pnl for fold in stored.result.outer])
    section = pnl_section(
        result,
        config,
        report,
        path.parent,
        others={"the run": own},
        extra=(_comparison(own, report),),
    )
    warnings = [SAME_BAR] if config.allocation.execution == "same_bar" else []
    return diagnostics.write_report(
        path,
        Report(
            title=f"Backtest of {stored.folder.name}",
            subtitle=f"The forecasts of {report.n} weeks, replayed as '{path.parent.name}'",
            warnings=tuple(warnings),
            sections=(
                section,
                Section("Settings", (_settings(stored.config, config), Text(_NOTE))),
            ),
        ),
    )


_NOTE = (
    "Nothing was fitted again and no file of the run was touched. Choosing among replays by their "
    "outer PnL is selection on test weeks; that is why each of them counts as one more trial in "
    "the deflated Sharpe ratio."
)


def _comparison(own: Any, report: SharpeReport) -> Table:
    run = sharpe_report(own)
    rows = [
        (
            name,
            percent(r.mean_annual),
            percent(r.volatility_annual),
            signed(r.sharpe_annual),
            percent(r.max_drawdown),
        )
        for name, r in (("this replay", report), ("the run", run))
    ]
    columns = ("", "mean a year", "volatility a year", "Sharpe ratio a year", "deepest drawdown")
    return Table(columns, tuple(rows), highlight=(0,))


def _settings(before: SimulationConfig, now: SimulationConfig) -> Table:
    rows = []
    for section in ("allocation", "cost"):
        was = getattr(before, section).model_dump(mode="json")
        for key, value in getattr(now, section).model_dump(mode="json").items():
            rows.append((f"{section}.{key}", _show(value), _show(was[key])))
    changed = tuple(i for i, row in enumerate(rows) if row[1] != row[2])
    return Table(("setting", "replay", "run"), tuple(rows), highlight=changed)


def _show(value: Any) -> str:
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
