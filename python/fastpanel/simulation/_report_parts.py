"""Sections of the report on regimes and on the price of the search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastpanel import diagnostics
from fastpanel.diagnostics import Forecasts, Section, Table, Text
from fastpanel.simulation._compare import MODEL, newey_west_se
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._regimes import REGIMES, regimes
from fastpanel.simulation._report_pnl import percent, signed
from fastpanel.simulation._result import SimulationResult
from fastpanel.typing import AnyArray

_REGIME_NOTE = (
    "A week is calm, normal or stressed by the volatility of all assets that was known when its "
    "forecast was made: the tercile, among the training weeks of its fold, of an exponentially "
    "weighted mean of squared returns. Regimes seen later are no help to a forecaster, so they are "
    "not used here. Good forecasts keep their coverage in every line; a gain that comes from one "
    "regime only is a bet on that regime."
)


def regime_section(
    result: SimulationResult, config: SimulationConfig, forecasts: Forecasts, folder: Path
) -> Section:
    """Scores, coverage and return in each regime."""
    assert result.structure is not None
    label = regimes(result.dataset, result.structure.outer, config)
    pnl = np.concatenate([fold.pnl for fold in result.outer])
    rows, parts = [], {}
    for position, name in enumerate(REGIMES):
        here = label == position
        if not here.any():
            continue
        own = forecasts.take(here)
        rows.append((name, int(here.sum()), *_scores(result, here), *_held(own), _year(pnl[here])))
        if own.scored.any():
            parts[name] = own
    others = [name for name in result.scores if name != MODEL]
    columns = (
        "regime",
        "weeks",
        "energy score",
        *(f"gain over {name.replace('_', ' ')} (± s.e.)" for name in others),
        "50 % holds",
        "90 % holds",
        "return a year",
    )
    items: list[Any] = [Table(columns, tuple(rows))]
    if config.diagnostics.fan_charts.enable and parts:
        spec = config.diagnostics.fan_charts
        items += diagnostics.write_regimes(folder / "calibration", parts, spec)
    return Section("Regimes", (*items, Text(_REGIME_NOTE)))


def search_text(result: SimulationResult) -> Text:
    """What the number of trials takes away from the result."""
    search = result.summary["search"]
    tried = f"{search['tried']} candidates were tried."
    if search["pbo_energy_score"] is None:
        return Text(f"{tried} That is too little to estimate how much the search overfits.")
    return Text(
        f"{tried} Their profits on the inner test weeks move together, so they count as about "
        f"{search['effective_trials']:.1f} independent trials. Probability of overfitting over "
        f"{search['paths']} CPCV path(s) of the newest fold: {percent(search['pbo_energy_score'])} "
        f"by energy score, {percent(search['pbo_pnl'])} by profit. It is the chance that the "
        "candidate that looks best on one half of the weeks is below the middle on the other "
        "half: 0 % means that the search finds what lasts, 50 % that it chooses blindly."
    )


def _scores(result: SimulationResult, here: AnyArray) -> list[Any]:
    model = result.scores[MODEL].energy_score[here]
    out: list[Any] = [float(np.nanmean(model)) if np.isfinite(model).any() else None]
    for name, weekly in result.scores.items():
        if name == MODEL:
            continue
        gain = weekly.energy_score[here] - model
        gain = gain[np.isfinite(gain)]
        out.append(
            f"{gain.mean():+.3f} ± {newey_west_se(gain):.3f}".replace("-", "−")
            if gain.size > 1
            else "–"
        )
    return out


def _held(own: Forecasts) -> tuple[str, str]:
    if not own.scored.any():
        return "–", "–"
    half, most = diagnostics.coverage_over_time(own, (0.5, 0.9)).mean()
    return percent(float(half)), percent(float(most))


def _year(pnl: AnyArray) -> str:
    if len(pnl) < 2:
        return "–"
    error = newey_west_se(pnl)
    return f"{percent(52 * float(pnl.mean()))} ± {signed(100 * 52 * error)} %"
