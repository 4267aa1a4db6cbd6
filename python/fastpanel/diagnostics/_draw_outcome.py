"""Pictures of the outcome: capital with drawdown, and the candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastpanel.diagnostics._candidates import SelectionLike, ranking
from fastpanel.diagnostics._style import (
    BLUE,
    GREY,
    INK,
    LABEL,
    MUTED,
    RED,
    TICK,
    date_axis,
    direct_labels,
    headline,
    new_figure,
    percent_axis,
    signed,
)
from fastpanel.errors import ShapeError
from fastpanel.typing import ArrayLike, FloatArray, TimeArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 20


def draw_pnl(
    times: TimeArray,
    equity: ArrayLike,
    drawdown: ArrayLike,
    *,
    finding: str = "Capital after costs",
    baselines: Mapping[str, ArrayLike] | None = None,
) -> Figure:
    """Capital (from 1, gains reinvested) above its drawdown; baselines in grey.

    Parameters
    ----------
    times : datetime64 [T]
    equity, drawdown : float [T]
        Of :func:`fastpanel.portfolio.equity_curve` and ``drawdown``.
    finding : str
        Title.
    baselines : mapping of str to float [T], optional
        Equity curves to compare with.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fastpanel.portfolio import drawdown, equity_curve
    >>> pnl = 0.01 * np.random.default_rng(0).normal(size=60)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(60)
    >>> len(draw_pnl(weeks, equity_curve(pnl), drawdown(pnl)).axes)
    2
    """
    figure, (top, bottom) = new_figure(5.0, rows=2, height_ratios=[2.4, 1.0])
    stamps = np.asarray(times).astype("datetime64[s]")
    lines = {"strategy": _series("equity", equity, len(stamps))}
    for name, values in (baselines or {}).items():
        lines[name] = _series(f"baseline {name!r}", values, len(stamps))
    for name, line in reversed(lines.items()):
        own = name == "strategy"
        color = BLUE if own else GREY
        top.plot(stamps, line, color=color, linewidth=2.0 if own else 1.3, label=name)
    direct_labels(
        top,
        [
            (float(line[-1]), name, BLUE if name == "strategy" else MUTED)
            for name, line in lines.items()
        ],
    )
    top.axhline(1.0, color=INK, linewidth=0.8)
    depth = _series("drawdown", drawdown, len(stamps))
    bottom.fill_between(stamps, depth, 0.0, facecolor="#eebfbb", linewidth=0)
    bottom.plot(stamps, depth, color=RED, linewidth=1.0)
    bottom.set_ylim(top=0.0)
    percent_axis(bottom)
    bottom.set_title(
        f"drawdown, deepest {signed(100 * float(depth.min()), 1)}%",
        loc="left",
        fontsize=LABEL,
        color=RED,
    )
    date_axis(top)
    date_axis(bottom)
    headline(figure, finding, "growth of 1, gains reinvested, after costs")
    return figure


def sharpe_finding(sharpe: float, low: float, high: float) -> str:
    """Say what an annual Sharpe ratio and its interval amount to."""
    if np.isnan([sharpe, low, high]).any():
        return "Too little variation for a Sharpe ratio"
    verdict = "could be luck" if low <= 0.0 <= high else "gains" if low > 0.0 else "losses"
    return f"Sharpe {signed(sharpe)} a year ({signed(low)} to {signed(high)}): {verdict}"


def draw_candidates(selection: SelectionLike) -> Figure:
    """Energy score and standard error of the best candidates; the band is shaded.

    Parameters
    ----------
    selection : Selection
        Of :func:`fastpanel.selection.select`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fastpanel.selection import select
    >>> selection = select([[[1.0, 1.1]], [[2.0, 2.1]]], [[0, 1]])
    >>> len(draw_candidates(selection).axes)
    1
    """
    order = [m for m in ranking(selection) if not np.isnan(selection.es_model[m])]
    order = sorted(order[:SHOWN], key=lambda m: (selection.es_model[m], m))
    figure, (axis,) = new_figure(1.6 + 0.25 * len(order))
    rows = np.arange(len(order))[::-1]
    survivors = set(selection.survivors)
    low, high = [], []
    for row, m in zip(rows, order, strict=True):
        color = BLUE if m in survivors else GREY
        es, se = float(selection.es_model[m]), float(selection.se_es[m])
        low.append(es - se)
        high.append(es + se)
        axis.plot([es - se, es + se], [row, row], color=color, linewidth=1.6, zorder=2)
        pick = m == selection.pick
        axis.plot(
            es,
            row,
            "o",
            color=color,
            markersize=9 if pick else 6,
            markeredgecolor="white",
            zorder=3,
        )
        if pick:
            axis.annotate(
                "pick", (es + se, row), xytext=(7, 0), textcoords="offset points",
                va="center", fontsize=TICK, color=BLUE, fontweight="bold",
            )  # fmt: skip
    pad = 0.06 * (max(high) - min(low)) or 0.1
    left = min(low) - pad
    axis.axvspan(left, selection.threshold, color="#e4edf9", linewidth=0, zorder=0)
    axis.set_xlim(left, max(high) + 3 * pad)
    axis.set_ylim(-0.7, len(order) - 0.3)
    axis.set_yticks(rows, [str(m) for m in order])
    axis.set_ylabel("candidate", fontsize=LABEL, color=MUTED)
    axis.set_xlabel(
        "energy score with standard error (lower is better)", fontsize=LABEL, color=MUTED
    )
    headline(figure, candidates_finding(selection), "shaded: the band, blue: survivors")
    return figure


def candidates_finding(selection: SelectionLike) -> str:
    """Say who was picked from how many."""
    total, kept = len(selection.es_model), len(selection.survivors)
    return f"Candidate {selection.pick} wins: {kept} of {total} in the band of the best"


def _series(name: str, values: ArrayLike, length: int) -> FloatArray:
    series = np.asarray(values, dtype=np.float64)
    if series.shape != (length,):
        raise ShapeError(f"{name} must be [T] = ({length},) as times, got {series.shape}")
    return series
