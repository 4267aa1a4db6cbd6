"""One look for all pictures. Figures are plain objects: no pyplot, no global state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel._extras import require
from fastpanel.typing import AnyArray, FloatArray, TimeArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1b1f24"
MUTED = "#667085"
GRID = "#e6e9ee"
TRUTH = "#000000"
BLUE = "#1d5fbf"
PALE_BLUE = "#8fb4e6"
RED = "#b93a32"
GREY = "#a3abb8"
WIDTH = 6.0
HEAD = 0.62
TITLE, LABEL, TICK = 13.5, 11.5, 11.0


def new_figure(height: float, rows: int = 1, **grid: Any) -> tuple[Figure, list[Axes]]:
    """Return a white figure, as wide as a phone page, with ``rows`` axes below each other."""
    require("matplotlib", "drawing diagnostics")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    head = HEAD / height
    figure.set_layout_engine(
        "constrained", rect=(0.012, 0.012, 0.97, 0.976 - head), h_pad=0.06, w_pad=0.03
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, squeeze=False, gridspec_kw=grid or None)[:, 0].tolist()
    for axis in axes:
        clean(axis)
    return figure, axes


def clean(axis: Axes) -> None:
    """Light horizontal grid, no box, quiet ticks."""
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(GREY)
    axis.tick_params(axis="both", length=0, labelsize=TICK, labelcolor=MUTED, pad=5)
    axis.grid(axis="y", color=GRID, linewidth=0.9)
    axis.set_axisbelow(True)
    axis.margins(x=0.0)


def headline(figure: Figure, finding: str, detail: str) -> None:
    """Title that states the finding, and a quiet line below that says what is drawn."""
    inch = 1.0 / float(figure.get_figheight())
    for text, below, size, weight, color in (
        (finding, 0.14, TITLE, "bold", INK),
        (detail, 0.40, LABEL, "normal", MUTED),
    ):
        line = figure.text(
            0.022, 1.0 - below * inch, text, ha="left", va="top", fontsize=size,
            fontweight=weight, color=color,
        )  # fmt: skip
        room = 0.955 * figure.bbox.width / line.get_window_extent().width
        line.set_fontsize(size * min(1.0, room))


def date_axis(axis: Axes) -> None:
    """Few, short date labels."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=6)
    axis.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)
    formatter.formats[2] = "%d %b"  # a day alone does not say its month
    axis.xaxis.set_major_formatter(formatter)
    axis.xaxis.get_offset_text().set(color=MUTED, fontsize=TICK)


def percent_axis(axis: Axes, which: str = "y") -> None:
    """Shares as percentages."""
    from matplotlib.ticker import PercentFormatter

    target = axis.yaxis if which == "y" else axis.xaxis
    target.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))


def direct_labels(axis: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Name lines at their right end, outside the plot: ``(y, text, color)``, none overlapping."""
    bottom, top = axis.get_ylim()
    least = 0.075 * (top - bottom)
    lowest = -np.inf
    for y, text, color in sorted(labels):
        lowest = max(y, lowest + least)
        axis.annotate(
            text,
            xy=(1.0, lowest),
            xycoords=("axes fraction", "data"),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=TICK,
            color=color,
            annotation_clip=False,
        )


def break_gaps(times: TimeArray, *series: FloatArray) -> tuple[AnyArray, list[FloatArray]]:
    """Insert a NaN where weeks are left out, so that no line runs across the gap."""
    stamps = times.astype("datetime64[s]")
    steps = np.diff(stamps).astype(np.int64)
    if steps.size < 2:
        return stamps, list(series)
    at = np.flatnonzero(steps > 1.9 * np.median(steps)) + 1
    middle = stamps[at - 1] + (stamps[at] - stamps[at - 1]) // 2
    return np.insert(stamps, at, middle), [np.insert(x, at, np.nan) for x in series]


def signed(value: float, digits: int = 2) -> str:
    """Write a number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """Write a share for a sentence: 0.884 gives 88%."""
    return f"{100 * share:.0f}%"
