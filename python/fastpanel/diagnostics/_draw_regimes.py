"""Calibration in calm and in stressed weeks, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastpanel.diagnostics._calibration import CoverageCurve
from fastpanel.diagnostics._style import (
    BLUE,
    GREY,
    INK,
    LABEL,
    MUTED,
    RED,
    headline,
    new_figure,
    percent,
    percent_axis,
)

if TYPE_CHECKING:
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
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    axis.grid(axis="x", color="#e6e9ee", linewidth=0.9)
    percent_axis(axis)
    percent_axis(axis, "x")
    axis.set_xlabel("nominal level of the interval", fontsize=LABEL, color=MUTED)
    axis.legend(loc="upper left", frameon=False, fontsize=LABEL, labelcolor=INK)
    headline(figure, regime_finding(curves), "share of outcomes inside, by regime")
    return figure


def regime_finding(curves: Mapping[str, CoverageCurve]) -> str:
    """Name the regime whose 90 % interval is farthest from its target."""
    gaps = {}
    for name, curve in curves.items():
        at = int(np.argmin(np.abs(curve.levels - 0.9)))
        gaps[name] = (curve.observed[at], abs(curve.observed[at] - curve.levels[at]))
    worst = max(gaps, key=lambda name: gaps[name][1])
    return f"90% intervals hold {percent(gaps[worst][0])} in {worst} weeks"
