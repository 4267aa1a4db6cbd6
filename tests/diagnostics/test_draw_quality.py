"""The picture of data quality shows every flagged week in its row and colour."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_hex

import fastpanel as fp
from fastpanel.data import quality
from fastpanel.diagnostics import draw_quality, png
from fastpanel.diagnostics._draw_quality import _COLORS, _FINE


@pytest.fixture(scope="module")
def report():
    bars = fp.data.simulated_market(n_assets=3, years=1, bar="1d", late_listers=1, gap_rate=0.0)
    day = pl.col("timestamp").dt.date().cast(pl.String)
    return quality(bars.filter(~((pl.col("asset") == "SIM01") & (day == "2016-06-07"))))


def test_rows_colours_and_legend(report):
    figure = draw_quality(report)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["SIM00", "SIM01", "SIM02"]
    drawn = {
        (round(float(path.get_extents().y0 + 0.41)), to_hex(bars.get_facecolor()[0]))
        for bars in axis.collections
        for path in bars.get_paths()
    }
    assert drawn == {
        (0, _FINE),
        (1, _FINE),
        (1, _COLORS["days missing"]),
        (2, _FINE),
        (2, _COLORS["starts late"]),
    }
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "nothing found",
        "days missing (1)",
        "not listed",
    ]
    assert figure.texts[0].get_text() == "0.7% of all asset weeks have a finding"


def test_a_single_week_is_wide_enough_to_be_seen(report):
    (axis,) = draw_quality(report).axes
    low, high = axis.get_xlim()
    widths = [
        path.get_extents().width
        for bars in axis.collections
        for path in bars.get_paths()
        if to_hex(bars.get_facecolor()[0]) == _COLORS["days missing"]
    ]
    assert widths == [pytest.approx(max(7.0, 0.006 * (high - low)))]


def test_the_same_report_gives_the_same_bytes(report):
    assert png(draw_quality(report)) == png(draw_quality(report))
    assert png(draw_quality(report))[:4] == b"\x89PNG"


def test_many_assets_keep_readable_labels():
    bars = fp.data.simulated_market(n_assets=150, years=0.3, bar="1d", late_listers=0)
    (axis,) = draw_quality(quality(bars)).axes
    shown = axis.get_yticks()
    assert 20 < len(shown) < 150
    assert len(np.unique(np.diff(shown))) == 1
