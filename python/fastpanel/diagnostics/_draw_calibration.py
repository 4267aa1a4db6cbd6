"""Pictures of calibration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from fastpanel.diagnostics._calibration import CoverageCurve, CoverageOverTime, PitHistogram
from fastpanel.diagnostics._style import (
    BLUE,
    GREY,
    GRID,
    INK,
    LABEL,
    MUTED,
    PALE_BLUE,
    break_gaps,
    date_axis,
    direct_labels,
    headline,
    new_figure,
    percent,
    percent_axis,
)
from fastpanel.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMOOTH = 13
PIT_AXIS = "share of draws below the outcome (PIT)"


def draw_pit(table: PitHistogram) -> Figure:
    """Histogram of PIT values; the dashed line is the density of calibrated forecasts.

    Parameters
    ----------
    table : PitHistogram
        Of :func:`pit_histogram`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fastpanel.diagnostics import pit_histogram, pit_values, Forecasts
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> len(draw_pit(pit_histogram(pit_values(forecasts))).axes)
    1
    """
    figure, (axis,) = new_figure(3.7)
    from matplotlib.ticker import MaxNLocator

    pit_panel(axis, table, pit_top([table]))
    axis.yaxis.set_major_locator(MaxNLocator(4))
    axis.set_xlabel(PIT_AXIS, fontsize=LABEL, color=MUTED)
    headline(figure, pit_finding(table), f"density of {table.n:,} outcomes, all assets pooled")
    return figure


def pit_panel(axis: Axes, table: PitHistogram, top: float) -> None:
    """Bars of one histogram under the line of calibrated forecasts."""
    width = np.diff(table.edges)
    axis.bar(
        table.edges[:-1], table.density, width, align="edge", color=PALE_BLUE, edgecolor="white"
    )
    axis.axhline(1.0, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    axis.set_ylim(0.0, top)
    axis.set_xlim(0.0, 1.0)
    direct_labels(axis, [(1.0, "flat", INK)])


def pit_top(tables: Iterable[PitHistogram]) -> float:
    """Upper end of the density axis that holds every histogram."""
    return max(1.6, 1.08 * max(float(table.density.max()) for table in tables))


def pit_finding(table: PitHistogram) -> str:
    """Name the shape, where it is more than sampling error."""
    if _clear(table.dispersion - 1.0, table.dispersion_error, 0.08):
        if table.dispersion > 1.0:
            return "U-shape: forecasts are too narrow"
        return "Hump: forecasts are too wide"
    if _clear(table.bias, table.bias_error, 0.015):
        side = "above" if table.bias > 0 else "below"
        return f"Skewed: outcomes lie {side} the forecasts"
    return "Flat within sampling error: calibrated"


def draw_coverage_curve(table: CoverageCurve) -> Figure:
    """Observed against nominal coverage; the dashed diagonal is calibration.

    Parameters
    ----------
    table : CoverageCurve
        Of :func:`coverage_curve`.

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
    >>> len(draw_coverage_curve(coverage_curve(forecasts)).axes)
    1
    """
    figure, (axis,) = new_figure(4.6)
    axis.plot([0, 1], [0, 1], color=INK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=3)
    low, high = table.observed - 2 * table.error, table.observed + 2 * table.error
    axis.fill_between(
        table.levels, low.clip(0, 1), high.clip(0, 1), facecolor="#d2dff2", linewidth=0, zorder=1
    )
    axis.plot(
        table.levels,
        table.observed,
        color=BLUE,
        linewidth=2.0,
        marker="o",
        markersize=3.5,
        zorder=4,
    )
    coverage_axes(axis)
    axis.text(0.04, 0.93, "above: too wide", color=MUTED, fontsize=LABEL, ha="left")
    axis.text(0.96, 0.04, "below: too narrow", color=MUTED, fontsize=LABEL, ha="right")
    headline(figure, curve_finding(table), "share of outcomes inside, shaded: 2 standard errors")
    return figure


def coverage_axes(axis: Axes) -> None:
    """Nominal level across, share inside upwards, both from 0 to 1."""
    axis.grid(axis="x", color=GRID, linewidth=0.9)
    axis.set_xlim(0.0, 1.0)
    axis.set_ylim(0.0, 1.0)
    percent_axis(axis)
    percent_axis(axis, "x")
    axis.set_xlabel("nominal level of the interval", fontsize=LABEL, color=MUTED)


def curve_finding(table: CoverageCurve) -> str:
    """Judge the whole curve; name the level that shows it best."""
    gaps = table.observed - table.levels
    at = int(np.argmax(np.abs(gaps)))
    clear = np.array([_clear(g, e, 0.02) for g, e in zip(gaps, table.error, strict=True)])
    if (clear & (gaps > 0)).sum() > len(gaps) / 3:
        verdict = "too wide"
    elif (clear & (gaps < 0)).sum() > len(gaps) / 3:
        verdict = "too narrow"
    else:
        verdict = "close to calibrated"
        at = int(np.argmin(np.abs(table.levels - 0.9)))
    return f"{percent(table.levels[at])} intervals hold {percent(table.observed[at])}: {verdict}"


def draw_coverage_over_time(table: CoverageOverTime) -> Figure:
    """Coverage per week (thin), its 13-week mean (bold), nominal levels (dashed).

    Parameters
    ----------
    table : CoverageOverTime
        Of :func:`coverage_over_time`.

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
    >>> len(draw_coverage_over_time(coverage_over_time(forecasts, [0.5, 0.9])).axes)
    1
    """
    figure, (axis,) = new_figure(3.9)
    colors = colors_of(len(table.levels))
    for i, (level, color) in enumerate(zip(table.levels, colors, strict=True)):
        weekly = table.observed[:, i]
        times, (thin, bold) = break_gaps(table.times, weekly, _moving_mean(weekly))
        axis.plot(times, thin, color=color, linewidth=0.5, alpha=0.28)
        axis.plot(times, bold, color=color, linewidth=2.2)
        nominal_line(axis, level, color)
    axis.set_ylim(-0.02, 1.02)
    coverage_by_date(axis, table)
    headline(
        figure,
        weekly_finding(table),
        f"thin: share of assets by week, bold: {SMOOTH}-week mean, dashed: target",
    )
    return figure


def nominal_line(axis: Axes, level: float, color: str) -> None:
    """Dashed line at the share that an interval should hold."""
    axis.axhline(level, color=color, linewidth=1.1, linestyle=(0, (4, 3)))


def coverage_by_date(axis: Axes, table: CoverageOverTime) -> None:
    """Shares upwards with the nominal levels named at the right end, dates across."""
    colors = colors_of(len(table.levels))
    percent_axis(axis)
    date_axis(axis)
    targets = [(x, percent(x), color) for x, color in zip(table.levels, colors, strict=True)]
    direct_labels(axis, targets)


def weekly_finding(table: CoverageOverTime) -> str:
    """Say what each band held on average."""
    means = table.mean()
    if np.isnan(means).all():
        return "No outcome is known"
    order = np.argsort(-table.levels)[:2]
    return ", ".join(
        f"{percent(table.levels[i])} band {'holds ' if n == 0 else ''}{percent(means[i])}"
        for n, i in enumerate(order)
    )


def colors_of(count: int) -> list[str]:
    """Give the widest interval the strongest colour."""
    shades = ["#0b3d85", BLUE, "#4a90c2", "#6aa5a9", GREY]
    return [shades[min(count - 1 - i, len(shades) - 1)] for i in range(count)]


def _moving_mean(values: FloatArray) -> FloatArray:
    """Centred mean over the known values of 13 weeks, shorter at the ends."""
    kernel = np.ones(SMOOTH)
    known = np.isfinite(values)
    half = SMOOTH // 2
    total = np.convolve(np.where(known, values, 0.0), kernel)[half : half + len(values)]
    count = np.convolve(known, kernel)[half : half + len(values)]
    mean: FloatArray = np.full(len(values), np.nan)
    return np.asarray(np.divide(total, count, out=mean, where=count > 0.5), dtype=np.float64)


def _clear(gap: float, error: float, least: float) -> bool:
    """Tell a gap worth a word: beyond two standard errors and not tiny."""
    return bool(abs(gap) > max(2.0 * error, least))
