"""The picture of data quality: a square per asset and week, coloured by what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel.data import REASONS, Quality
from fastpanel.data.defects import WHOLE_LIFE
from fastpanel.diagnostics._style import (
    GREY,
    LABEL,
    MUTED,
    TICK,
    date_axis,
    headline,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FINE = "#dce8f7"
_OUTSIDE = "#eeeff2"
_COLORS = {
    "no bars": "#8c1d18",
    "days missing": "#d9534a",
    "few bars": "#f0a35e",
    "coarse price": "#8e6bbf",
    "extreme move": "#000000",
    "no range": "#2f8f83",
    "zero volume": "#c9a227",
    "starts late": _OUTSIDE,
    "ends early": _OUTSIDE,
}
_LEAST_WEEKS = 0.006  # a flagged week is drawn at least this wide, as a share of the picture
_ROW, _MARGIN, _MOST = 0.24, 2.1, 14.0  # inches


def draw_quality(report: Quality) -> Figure:
    """Draw which weeks of which asset have a finding.

    Parameters
    ----------
    report : Quality
        Of ``fp.data.quality``.

    Returns
    -------
    matplotlib.figure.Figure
        One row per asset, time to the right. Pale blue = nothing found, grey
        = before the first or after the last bar; other colours are named
        below the picture, with the number of weeks. A single week is widened
        so that it can be seen.

    Examples
    --------
    >>> from fastpanel.data import quality, simulated_market
    >>> report = quality(simulated_market(n_assets=3, years=2, seed=1))
    >>> len(draw_quality(report).axes)
    1
    """
    n_weeks, n_assets = report.flags.shape
    figure, (axis,) = new_figure(min(_MARGIN + _ROW * n_assets, _MOST))
    _squares(axis, report)
    axis.grid(False)
    axis.set_ylim(n_assets - 0.5, -0.5)
    axis.set_yticks(*_labels(report.names, axis.get_window_extent().height))
    date_axis(axis)
    _legend(figure, report)
    inside = np.isin(report.flags, _positions("starts late", "ends early"), invert=True)
    flawed = inside & (report.flags > 0)
    share = flawed.sum() / max(int(inside.sum()), 1)
    headline(
        figure,
        f"{share:.1%} of all asset weeks have a finding" if flawed.any() else "No week is flawed",
        f"{n_assets} assets, {n_weeks} weeks; the colour is the gravest reason",
    )
    return figure


def _positions(*reasons: str) -> list[int]:
    names = list(REASONS)
    return [1 + names.index(reason) for reason in reasons]


def _squares(axis: Axes, report: Quality) -> None:
    """Bars per run of weeks with one reason; the gravest are drawn last, and on top."""
    from matplotlib.dates import date2num

    ends = date2num(report.times.astype("datetime64[s]").astype(object))
    begins = ends - 7.0
    least = _LEAST_WEEKS * (ends[-1] - begins[0])
    for flag in [0, *reversed(range(1, 1 + len(REASONS)))]:
        reason = list(REASONS)[flag - 1] if flag else ""
        if reason in WHOLE_LIFE:
            continue
        color = _COLORS[reason] if reason else _FINE
        grow = least if reason and color != _OUTSIDE else 0.0
        for row, flags in enumerate(report.flags.T):
            spans = [
                (begins[a], max(ends[b - 1] - begins[a], grow)) for a, b in _runs(flags == flag)
            ]
            if spans:
                axis.broken_barh(spans, (row - 0.41, 0.82), facecolors=color, linewidth=0)
    axis.set_xlim(begins[0], ends[-1])


def _runs(found: Any) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(found.astype(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _labels(names: tuple[str, ...], pixels: float) -> tuple[list[int], list[str]]:
    """Every name, or as many as there is room for."""
    step = max(1, int(np.ceil(len(names) * 14 / max(pixels, 1.0))))
    shown = range(0, len(names), step)
    return list(shown), [names[position] for position in shown]


def _legend(figure: Figure, report: Quality) -> None:
    from matplotlib.patches import Patch

    present = report.weeks.get_column("reason").value_counts()
    counts: dict[str, int] = dict(present.rows())
    handles = [
        Patch(facecolor=_COLORS[reason], label=f"{reason} ({counts[reason]})")
        for reason in REASONS
        if reason in counts and _COLORS.get(reason, _OUTSIDE) != _OUTSIDE
    ]
    if any(reason in counts for reason in ("starts late", "ends early")):
        handles.append(Patch(facecolor=_OUTSIDE, edgecolor=GREY, label="not listed"))
    handles.insert(0, Patch(facecolor=_FINE, label="nothing found"))
    figure.legend(
        handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=TICK,
        labelcolor=MUTED, handlelength=1.1, handleheight=1.0, columnspacing=1.2,
        title="asset weeks", title_fontsize=LABEL, alignment="left",
    )  # fmt: skip
