"""Fan chart of one asset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastpanel.diagnostics._fan import Fan
from fastpanel.diagnostics._style import (
    BLUE,
    LABEL,
    MUTED,
    TRUTH,
    break_gaps,
    date_axis,
    headline,
    new_figure,
    percent,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RECENT = 52


def draw_fan(table: Fan, *, unit: str = "MAD units") -> Figure:
    """Black line = what came true, blue = predictive median and bands.

    Above a hundred weeks a second panel shows the last 52.

    Parameters
    ----------
    table : Fan
        Of :func:`fan`.
    unit : str
        Label of the vertical axis.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from fastpanel.diagnostics import fan, Forecasts
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> len(draw_fan(fan(forecasts, "A", [0.1, 0.5, 0.9])).axes)
    1
    """
    zoom = len(table.times) > 2 * RECENT
    figure, axes = new_figure(5.9 if zoom else 3.7, rows=2 if zoom else 1)
    _panel(axes[0], table, slice(None), unit)
    headline(figure, fan_finding(table), _legend(table))
    if zoom:
        _panel(axes[1], table, slice(-RECENT, None), unit)
        axes[1].set_title(f"Last {RECENT} weeks", loc="left", fontsize=LABEL, color=MUTED)
    return figure


def fan_finding(table: Fan) -> str:
    """Say how often the widest band held."""
    bands = table.bands()
    if not bands:
        return f"{table.asset}: forecasts and outcomes"
    level, low, high = bands[0]
    known = np.isfinite(table.truth) & np.isfinite(low)
    if not known.any():
        return f"{table.asset}: no outcome is known"
    truth = table.truth[known]
    inside = np.mean((truth >= low[known]) & (truth <= high[known]))
    return (
        f"{table.asset}: {percent(level)} band holds {percent(float(inside))} "
        f"of {known.sum()} weeks"
    )


def _panel(axis: Axes, table: Fan, part: slice, unit: str) -> None:
    bands = [(share, low[part], high[part]) for share, low, high in table.bands()]
    edges = [edge for _, low, high in bands for edge in (low, high)]
    times, lines = break_gaps(table.times[part], table.truth[part], table.median[part], *edges)
    truth, median, *limits = lines
    tints = _tints(len(bands))
    for i in range(len(bands)):
        axis.fill_between(
            times, limits[2 * i], limits[2 * i + 1], facecolor=tints[i], linewidth=0, zorder=1 + i
        )
    above = 2 + len(bands)
    axis.axhline(0.0, color=MUTED, linewidth=0.6, zorder=above)
    axis.plot(times, median, color=BLUE, linewidth=1.4, zorder=above + 1, label="median")
    axis.plot(times, truth, color=TRUTH, linewidth=1.0, zorder=above + 2, label="realised")
    axis.set_ylabel(unit, fontsize=LABEL, color=MUTED)
    date_axis(axis)


def _tints(count: int) -> list[tuple[float, float, float]]:
    """Tint the bands: the widest palest, all of one blue."""
    from matplotlib.colors import to_rgb

    blue = np.array(to_rgb(BLUE))
    shares = np.linspace(0.2, 0.42, count) if count > 1 else [0.26]
    return [tuple(1.0 - share * (1.0 - blue)) for share in shares]


def _legend(table: Fan) -> str:
    shares = [percent(share) for share, _, _ in table.bands()]
    if not shares:
        return "black: realised, blue: median"
    return f"black: realised, blue: median and {', '.join(shares)} bands"
