"""Diagnostics of every regime: numbers, pictures and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel.diagnostics._calibration import (
    CoverageCurve,
    CoverageOverTime,
    PitHistogram,
    coverage_curve,
    coverage_over_time,
    pit_histogram,
    pit_values,
)
from fastpanel.diagnostics._draw_regimes import (
    curves_finding,
    draw_coverage_by_regime,
    draw_fan_by_regime,
    draw_pit_by_regime,
    draw_weeks_by_regime,
    fans_finding,
    pits_finding,
    weeks_finding,
)
from fastpanel.diagnostics._fan import PooledFan, pooled_fan
from fastpanel.diagnostics._files import save_picture
from fastpanel.diagnostics._forecasts import Forecasts
from fastpanel.diagnostics._page import Picture
from fastpanel.diagnostics._spec import FanChartSpec
from fastpanel.typing import FloatArray

CURVE_GUIDE = (
    "One line per regime, told apart by what was known at the time. Lines apart from each other: "
    "the forecasts do not follow the market's changes. Below the diagonal in stressed weeks is the "
    "dangerous case: intervals too narrow when it matters."
)
PIT_GUIDE = (
    "Flat at density 1 is calibrated; U-shape: too narrow, hump: too wide, skew: biased. A flat "
    "histogram over all weeks can hide a hump in calm and a U-shape in stressed weeks: forecasts "
    "that do not react to the market."
)
WEEKS_GUIDE = (
    "Dots around their dashed target are calibrated. Stressed weeks far below it: "
    "many assets left their bands together, when it costs most. Dots at 100% throughout: bands "
    "that are too wide."
)
FAN_GUIDE = (
    "All assets and weeks of a regime together, each asset in units of its typical move, the "
    "median size of its returns in these weeks. Bars of the same length are calibrated. Black "
    "longer than blue: too narrow in that regime, shorter: too wide. Blue bars of one length while "
    "the black ones grow: the forecasts do not follow the market. Blue beside black: biased."
)


def write_regimes(
    folder: Path, forecasts: Mapping[str, Forecasts], spec: FanChartSpec
) -> list[Picture]:
    """Write the diagnostics of every regime beside each other, each as PNG and CSV.

    Files: ``coverage_by_regime`` (coverage curves), ``pit_by_regime``,
    ``coverage_fan_by_regime`` (coverage of every week) and ``fan_by_regime``
    (quantiles of draws and outcomes).

    Parameters
    ----------
    folder : Path
    forecasts : mapping
        Name of a regime to the forecasts of its weeks, all of the same assets;
        each with at least one known outcome.
    spec : FanChartSpec
        Quantiles of the fan and levels of the weekly coverage.

    Returns
    -------
    list of Picture
        With captions, in the order of the files above.

    Examples
    --------
    >>> from fastpanel.diagnostics import FanChartSpec, Forecasts
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pictures = write_regimes(Path(folder), {"calm": forecasts}, FanChartSpec())
    >>> [picture.path.name for picture in pictures][:2]
    ['coverage_by_regime.png', 'pit_by_regime.png']
    """
    curves = {name: coverage_curve(own) for name, own in forecasts.items()}
    pits = {name: pit_histogram(pit_values(own)) for name, own in forecasts.items()}
    weeks = {name: coverage_over_time(own, spec.coverage_levels) for name, own in forecasts.items()}
    scale = _typical_move([own.truth for own in forecasts.values()])
    fans = {name: pooled_fan(own, spec.quantiles, scale) for name, own in forecasts.items()}

    return [
        save_picture(
            folder,
            "coverage_by_regime",
            _curve_columns(curves),
            draw_coverage_by_regime(curves),
            curves_finding(curves),
            CURVE_GUIDE,
        ),
        save_picture(
            folder,
            "pit_by_regime",
            _pit_columns(pits),
            draw_pit_by_regime(pits),
            pits_finding(pits),
            PIT_GUIDE,
        ),
        save_picture(
            folder,
            "coverage_fan_by_regime",
            _week_columns(weeks),
            draw_weeks_by_regime(weeks),
            weeks_finding(weeks),
            WEEKS_GUIDE,
        ),
        save_picture(
            folder,
            "fan_by_regime",
            _fan_columns(fans),
            draw_fan_by_regime(fans),
            fans_finding(fans),
            FAN_GUIDE,
        ),
    ]


def _typical_move(truths: list[FloatArray]) -> FloatArray:
    """Median absolute outcome of each asset, [A]; NaN where it has none."""
    sizes = np.abs(np.concatenate(truths))
    known = np.isfinite(sizes).any(axis=0)
    typical = np.full(sizes.shape[1], np.nan)
    typical[known] = np.nanmedian(sizes[:, known], axis=0)
    return typical


def _curve_columns(curves: Mapping[str, CoverageCurve]) -> dict[str, Any]:
    columns: dict[str, Any] = {"nominal": next(iter(curves.values())).levels}
    for name, curve in curves.items():
        columns[f"observed_{name}"] = curve.observed
        columns[f"standard_error_{name}"] = curve.error
    return columns


def _pit_columns(tables: Mapping[str, PitHistogram]) -> dict[str, Any]:
    edges = next(iter(tables.values())).edges
    densities = {f"density_{name}": table.density for name, table in tables.items()}
    return {"bin_start": edges[:-1], "bin_end": edges[1:], **densities}


def _week_columns(tables: Mapping[str, CoverageOverTime]) -> dict[str, Any]:
    parts = [table.columns() for table in tables.values()]
    names = [np.repeat(name, len(p["nominal"])) for name, p in zip(tables, parts, strict=True)]
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return {"regime": np.concatenate(names), **joined}


def _fan_columns(fans: Mapping[str, PooledFan]) -> dict[str, Any]:
    columns: dict[str, Any] = {"quantile": np.array(next(iter(fans.values())).levels)}
    for name, table in fans.items():
        columns[f"forecast_{name}"] = table.forecast
        columns[f"outcome_{name}"] = table.outcome
    return columns
