"""Calibration in calm and in stressed weeks, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastpanel.diagnostics._calibration import CoverageCurve, CoverageOverTime, PitHistogram
from fastpanel.diagnostics._draw_calibration import (
    PIT_AXIS,
    colors_of,
    coverage_axes,
    coverage_by_date,
    nominal_line,
    pit_finding,
    pit_panel,
    pit_top,
)
from fastpanel.diagnostics._fan import PooledFan, mirrored
from fastpanel.diagnostics._style import (
    BLUE,
    GREY,
    INK,
    LABEL,
    MUTED,
    RED,
    TRUTH,
    headline,
    new_figure,
    percent,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (BLUE, GREY, RED)


def draw_coverage_by_regime(curves: Mapping[str, CoverageCurve]) -> Figure:
    """Draw one coverage curve per regime; the diagonal is calibrated.

    Parameters
    ----------
    curves : mapping of str to CoverageCurve
        One per regime.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fastpanel.diagnostics import coverage_curve, Forecasts
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> len(draw_coverage_by_regime({"calm": coverage_curve(forecasts)}).axes)
    1
    """
    figure, (axis,) = new_figure(5.0)
    axis.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1.2)
    for (name, curve), colour in zip(curves.items(), _COLOURS, strict=False):
        axis.plot(
            np.concatenate([[0.0], curve.levels]),
            np.concatenate([[0.0], curve.observed]),
            color=colour,
            linewidth=2.2,
            label=f"{name} ({curve.n:,} outcomes)",
        )
    coverage_axes(axis)
    axis.legend(loc="upper left", frameon=False, fontsize=LABEL, labelcolor=INK)
    headline(figure, curves_finding(curves), "share of outcomes inside, by regime")
    return figure


def curves_finding(curves: Mapping[str, CoverageCurve]) -> str:
    """Name the regime whose 90 % interval is farthest from its target."""
    gaps = {}
    for name, curve in curves.items():
        at = int(np.argmin(np.abs(curve.levels - 0.9)))
        gaps[name] = (curve.observed[at], abs(curve.observed[at] - curve.levels[at]))
    worst = max(gaps, key=lambda name: gaps[name][1])
    return f"90% intervals hold {percent(gaps[worst][0])} in {worst} weeks"


def draw_pit_by_regime(tables: Mapping[str, PitHistogram]) -> Figure:
    """Draw one PIT histogram per regime, below each other, on one scale.

    Parameters
    ----------
    tables : mapping of str to PitHistogram
        One per regime.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fastpanel.diagnostics import Forecasts, pit_histogram, pit_values
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> len(draw_pit_by_regime({"calm": pit_histogram(pit_values(forecasts))}).axes)
    1
    """
    figure, axes = new_figure(1.1 + 1.75 * len(tables), rows=len(tables), hspace=0.12)
    top = pit_top(tables.values())
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        pit_panel(axis, table, top)
        _panel_title(axis, f"{name}: {_lower(pit_finding(table).replace(': ', ', '))}")
        axis.tick_params(labelbottom=axis is axes[-1])
    axes[-1].set_xlabel(PIT_AXIS, fontsize=LABEL, color=MUTED)
    counts = ", ".join(f"{name} {table.n:,}" for name, table in tables.items())
    headline(figure, pits_finding(tables), f"density of outcomes: {counts}")
    return figure


def pits_finding(tables: Mapping[str, PitHistogram]) -> str:
    """Name the regime that is clearly farthest from the right width."""
    shapes = {
        name: abs(table.dispersion - 1.0)
        for name, table in tables.items()
        if not pit_finding(table).startswith("Flat")
    }
    if not shapes:
        return "Flat within sampling error in every regime"
    worst = max(shapes, key=lambda name: shapes[name])
    _, _, meaning = pit_finding(tables[worst]).partition(": ")
    return f"{worst.capitalize()} weeks: {meaning}"


def draw_weeks_by_regime(tables: Mapping[str, CoverageOverTime]) -> Figure:
    """Draw the coverage of every week, a panel per regime; dashed = nominal.

    Parameters
    ----------
    tables : mapping of str to CoverageOverTime
        One per regime.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fastpanel.diagnostics import coverage_over_time, Forecasts
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> len(draw_weeks_by_regime({"calm": coverage_over_time(forecasts, [0.5, 0.9])}).axes)
    1
    """
    figure, axes = new_figure(1.1 + 1.75 * len(tables), rows=len(tables), hspace=0.12)
    first = min(table.times[0] for table in tables.values())
    last = max(table.times[-1] for table in tables.values())
    week = np.timedelta64(7, "D")
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        colours = colors_of(len(table.levels))
        for i, (level, colour) in enumerate(zip(table.levels, colours, strict=True)):
            strength = 0.85 if level == table.levels.max() else 0.35
            axis.scatter(
                table.times, table.observed[:, i], s=10, color=colour, alpha=strength, linewidth=0
            )
            nominal_line(axis, level, colour)
        axis.set_ylim(-0.04, 1.04)
        axis.set_xlim(first - week, last + week)
        coverage_by_date(axis, table)
        _panel_title(axis, f"{name}: {len(table.times)} weeks, {_held(table)}")
        if axis is not axes[-1]:
            axis.tick_params(labelbottom=False)
            axis.xaxis.get_offset_text().set_visible(False)
    headline(
        figure, weeks_finding(tables), "a dot is a week: share of assets inside, dashed: target"
    )
    return figure


def weeks_finding(tables: Mapping[str, CoverageOverTime]) -> str:
    """Say what the widest band held in every regime."""
    at = {name: int(np.argmax(table.levels)) for name, table in tables.items()}
    held = [f"{name} {percent(table.mean()[at[name]])}" for name, table in tables.items()]
    level = next(iter(tables.values())).levels.max()
    return f"{percent(level)} band holds: {', '.join(held)}"


def draw_fan_by_regime(fans: Mapping[str, PooledFan]) -> Figure:
    """Draw where forecasts put the outcomes (blue) beside where they fell (black), by regime.

    Parameters
    ----------
    fans : mapping of str to PooledFan
        One per regime, of :func:`pooled_fan`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fastpanel.diagnostics import pooled_fan, Forecasts
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> fans = {"calm": pooled_fan(forecasts, [0.1, 0.5, 0.9], np.ones(2))}
    >>> len(draw_fan_by_regime(fans).axes)
    1
    """
    figure, (axis,) = new_figure(4.4)
    for at, table in enumerate(fans.values()):
        axis.axhline(0.0, color=MUTED, linewidth=0.6, zorder=1)
        for tint, (_, low, high) in zip((0.34, 0.62, 0.85), mirrored(table.levels), strict=False):
            bottom, top = table.forecast[low], table.forecast[high]
            axis.bar(
                at - 0.14, top - bottom, 0.26, bottom, color=BLUE, alpha=tint, linewidth=0, zorder=2
            )
            bottom, top = table.outcome[low], table.outcome[high]
            axis.bar(
                at + 0.14, top - bottom, 0.26, bottom, color=TRUTH, alpha=0.8 * tint, linewidth=0,
                zorder=2,
            )  # fmt: skip
    names = [f"{name}\n{table.n:,} outcomes" for name, table in fans.items()]
    axis.set_xticks(range(len(fans)), names)
    axis.set_xlim(-0.5, len(fans) - 0.5)
    axis.use_sticky_edges = False  # the margin below the lowest bar, too
    axis.margins(y=0.05)
    axis.set_ylabel("typical moves", fontsize=LABEL, color=MUTED)
    shares = [percent(share) for share, *_ in mirrored(next(iter(fans.values())).levels)]
    headline(
        figure,
        fans_finding(fans),
        f"blue: forecast, black: outcome; middle {' and '.join(shares) or 'unknown'}",
    )
    return figure


def fans_finding(fans: Mapping[str, PooledFan]) -> str:
    """Compare the widest band of the forecasts with that of the outcomes, where it is most off."""
    ratios = {}
    for name, table in fans.items():
        for share, low, high in mirrored(table.levels)[:1]:
            outcome = table.outcome[high] - table.outcome[low]
            if outcome > 0.0:
                width = table.forecast[high] - table.forecast[low]
                ratios[name] = (share, float(width / outcome))
    if not ratios:
        return "Forecasts and outcomes by regime"
    worst = max(ratios, key=lambda name: abs(np.log(max(ratios[name][1], 1e-9))))
    share, ratio = ratios[worst]
    return f"{percent(share)} fan in {worst} weeks: {percent(ratio)} of the outcomes' width"


def _panel_title(axis: Axes, text: str) -> None:
    axis.set_title(text, loc="left", fontsize=LABEL, color=MUTED)


def _held(table: CoverageOverTime) -> str:
    means = table.mean()
    order = np.argsort(-table.levels)[:2]
    return ", ".join(f"{percent(table.levels[i])} band {percent(means[i])}" for i in order)


def _lower(text: str) -> str:
    """A sentence inside a sentence; U-shape keeps its capital."""
    return text if text.startswith("U-") else text[0].lower() + text[1:]
