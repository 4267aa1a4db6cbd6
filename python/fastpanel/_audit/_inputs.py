"""The panel of a run, made again from its bars with and without their future."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastpanel._audit._features import audit_features
from fastpanel._audit._verdict import Check, Leak, differing, first
from fastpanel.data import CleanBars, clean_bars, read_bars, simulated_market
from fastpanel.errors import FastPanelError
from fastpanel.simulation._config import SIMULATED, DatasetParams
from fastpanel.simulation._dataset import Dataset, build_dataset
from fastpanel.simulation._stored import StoredRun

QUESTION = "Is every feature the same when all later bars are removed or absurd?"


def check_features(run: StoredRun, bars: Any, cuts: int) -> Check:
    """Audit the features of the run on its bars; the panel is made again and compared."""
    params = run.config.data.dataset_params
    try:
        subject, name = _bars(params, bars)
    except FastPanelError as error:
        return _skipped(str(error))
    if subject is None:
        return _skipped(
            "the run began with a ready panel or with stored features; hand the bars behind them "
            "over (bars=..., --bars) to have the features checked"
        )
    groups = params.groups if isinstance(params.groups, str) else list(params.groups)
    keys = None if params.features is None else list(params.features)
    report = audit_features(subject, groups, keys, cuts, params.allow_ragged, 0)
    leaks = [
        Leak(
            f"feature '{found.feature}'",
            f"asset {found.asset}, row {found.row} ({found.time})",
            f"{found.before!r} becomes {found.after!r} when bars after row {found.cut} are "
            f"{'removed' if found.probe == 'truncate' else 'absurd'}; {found.cells} values in all",
        )
        for found in report.findings
    ]
    if bars is None and params.bars is not None:
        leaks += _altered(run.result.dataset, build_dataset(params))
    answer = f"{len(report.checked)} features of {name} at {len(report.cuts)} cuts"
    return Check.of("features", QUESTION, answer, leaks, [])


def _skipped(reason: str) -> Check:
    return Check("features", QUESTION, "skipped", reason)


def _bars(params: DatasetParams, given: Any) -> tuple[CleanBars | None, str]:
    if given is not None:
        clean = given if isinstance(given, CleanBars) else _clean(read_bars(given), params)
        return clean, "the given bars"
    if params.bars == SIMULATED:
        return _clean(simulated_market(**params.simulated), params), "the simulated market"
    if params.bars is not None:
        path = Path(params.bars).expanduser().as_posix()
        return _clean(read_bars(path), params), params.bars
    return None, ""


def _clean(bars: Any, params: DatasetParams) -> CleanBars:
    return clean_bars(
        bars,
        return_type=params.return_type,
        start=params.start,
        end=params.end,
        assets=None if params.assets is None else list(params.assets),
    )


def _altered(stored: Dataset, again: Dataset) -> list[Leak]:
    """The stored panel against the one that the bars give."""
    if stored.X.shape != again.X.shape:
        return [Leak("panel", "inputs", f"shape {stored.X.shape}, the bars give {again.X.shape}")]
    leaks = []
    for name, a, b in (("X", stored.X, again.X), ("y", stored.y, again.y)):
        differ = differing(a, b)
        if differ.any():
            place = first(differ)
            leaks.append(
                Leak(
                    f"panel {name}",
                    f"row {place[0]} ({str(stored.times[place[0]])[:10]}), "
                    f"asset {stored.assets[place[1]]}",
                    f"{float(a[place])!r} stored, the bars give {float(b[place])!r}; "
                    f"{int(differ.sum())} values in all",
                )
            )
    return leaks
