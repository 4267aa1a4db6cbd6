"""Diagnostics: calibration and fan charts as numbers and pictures, and the HTML report."""

from __future__ import annotations

from fastpanel.diagnostics._calibration import (
    CoverageCurve,
    CoverageOverTime,
    PitHistogram,
    coverage_curve,
    coverage_over_time,
    pit_histogram,
    pit_values,
)
from fastpanel.diagnostics._candidates import candidate_table
from fastpanel.diagnostics._draw_calibration import (
    draw_coverage_curve,
    draw_coverage_over_time,
    draw_pit,
)
from fastpanel.diagnostics._draw_fan import draw_fan
from fastpanel.diagnostics._draw_outcome import draw_candidates, draw_pnl
from fastpanel.diagnostics._draw_quality import draw_quality
from fastpanel.diagnostics._draw_regimes import (
    draw_coverage_by_regime,
    draw_fan_by_regime,
    draw_pit_by_regime,
    draw_weeks_by_regime,
)
from fastpanel.diagnostics._fan import Fan, PooledFan, fan, pooled_fan
from fastpanel.diagnostics._files import png, save_figure
from fastpanel.diagnostics._forecasts import Forecasts, pool_splits
from fastpanel.diagnostics._page import Facts, Folded, Picture, Report, Section, Table, Text
from fastpanel.diagnostics._report import render_report, write_report
from fastpanel.diagnostics._spec import DiagnosticsSpec, FanChartSpec
from fastpanel.diagnostics._write import (
    write_calibration,
    write_candidates,
    write_fan_charts,
    write_pnl,
)
from fastpanel.diagnostics._write_regimes import write_regimes

__all__ = [
    "CoverageCurve",
    "CoverageOverTime",
    "DiagnosticsSpec",
    "Facts",
    "Fan",
    "FanChartSpec",
    "Folded",
    "Forecasts",
    "Picture",
    "PitHistogram",
    "PooledFan",
    "Report",
    "Section",
    "Table",
    "Text",
    "candidate_table",
    "coverage_curve",
    "coverage_over_time",
    "draw_candidates",
    "draw_coverage_by_regime",
    "draw_coverage_curve",
    "draw_coverage_over_time",
    "draw_fan",
    "draw_fan_by_regime",
    "draw_pit",
    "draw_pit_by_regime",
    "draw_pnl",
    "draw_quality",
    "draw_weeks_by_regime",
    "fan",
    "pit_histogram",
    "pit_values",
    "png",
    "pool_splits",
    "pooled_fan",
    "render_report",
    "save_figure",
    "write_calibration",
    "write_candidates",
    "write_fan_charts",
    "write_pnl",
    "write_regimes",
    "write_report",
]
