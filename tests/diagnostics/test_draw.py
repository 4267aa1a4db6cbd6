"""What the figure objects hold: lines, colours, titles."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib.colors import to_rgb
from tests.diagnostics.cases import forecasts, weeks

from fastpanel.diagnostics import (
    CoverageCurve,
    CoverageOverTime,
    Fan,
    PitHistogram,
    draw_candidates,
    draw_coverage_curve,
    draw_coverage_over_time,
    draw_fan,
    draw_pit,
    draw_pnl,
    fan,
    pit_histogram,
)
from fastpanel.diagnostics._draw_outcome import sharpe_finding
from fastpanel.errors import MissingExtraError, ShapeError
from fastpanel.selection import select

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def title(figure):
    return figure.texts[0].get_text()


def is_blue(color):
    red, green, blue = to_rgb(color)
    return blue > green > red


def lines(axis):
    return {line.get_label(): line for line in axis.get_lines()}


# ---------------------------------------------------------------- fan chart


def test_fan_has_a_black_truth_a_blue_median_and_blue_bands():
    table = fan(forecasts(n=40), "SPY", QUANTILES)
    axis = draw_fan(table).axes[0]
    drawn = lines(axis)
    assert to_rgb(drawn["realised"].get_color()) == (0.0, 0.0, 0.0)
    assert is_blue(drawn["median"].get_color())
    np.testing.assert_array_equal(drawn["realised"].get_ydata(), table.truth)
    np.testing.assert_array_equal(drawn["median"].get_ydata(), table.median)
    bands = axis.collections
    assert len(bands) == 2
    assert all(is_blue(band.get_facecolor()[0][:3]) for band in bands)
    wide, narrow = (band.get_facecolor()[0][:3].sum() for band in bands)
    assert wide > narrow  # the wider, the paler
    low, high = (band.get_paths()[0].vertices[:, 1] for band in bands)
    assert np.ptp(low) > np.ptp(high)


def test_fan_title_states_the_coverage():
    flat = np.zeros(4)
    table = Fan(
        "SPY", weeks(4), (0.05, 0.95), np.column_stack([flat - 1, flat + 1]), flat,
        np.array([0.0, 1.0, 1.1, math.nan]),
    )  # fmt: skip
    assert title(draw_fan(table)) == "SPY: 90% band holds 67% of 3 weeks"


def test_fan_lines_break_where_weeks_are_left_out():
    times = np.concatenate([weeks(5), weeks(5, "2020-06-05")])
    flat = np.zeros(10)
    table = Fan("SPY", times, (0.5,), flat[:, None], flat, np.arange(10.0))
    drawn = lines(draw_fan(table).axes[0])["realised"].get_ydata()
    assert np.flatnonzero(np.isnan(drawn)).tolist() == [5]
    assert len(drawn) == 11


def test_long_fans_zoom_into_the_last_year():
    table = fan(forecasts(n=150), "SPY", QUANTILES)
    _, zoom = draw_fan(table).axes
    np.testing.assert_array_equal(lines(zoom)["realised"].get_ydata(), table.truth[-52:])


def test_a_fan_without_outcomes_is_drawn():
    flat = np.zeros(3)
    table = Fan("SPY", weeks(3), QUANTILES, np.zeros((3, 5)), flat, flat * math.nan)
    assert title(draw_fan(table)) == "SPY: no outcome is known"


# ---------------------------------------------------------------- calibration


def over_time(observed, levels=(0.5, 0.9)):
    observed = np.asarray(observed, float)
    return CoverageOverTime(
        weeks(len(observed)), np.array(levels), observed, np.full(len(observed), 4)
    )


def test_coverage_lines_are_solid_and_targets_dashed():
    table = over_time(np.random.default_rng(0).integers(0, 5, size=(30, 2)) / 4)
    axis = draw_coverage_over_time(table).axes[0]
    drawn = axis.get_lines()
    for i, level in enumerate(table.levels):
        weekly, mean, target = drawn[3 * i : 3 * i + 3]
        np.testing.assert_array_equal(weekly.get_ydata(), table.observed[:, i])
        np.testing.assert_allclose(
            mean.get_ydata()[15], table.observed[9:22, i].mean()
        )  # 13 weeks around week 15
        assert set(target.get_ydata()) == {level}
        assert weekly.get_linestyle() == mean.get_linestyle() == "-"
        assert target.is_dashed()
        assert len({line.get_color() for line in (weekly, mean, target)}) == 1


def test_coverage_title_and_direct_labels():
    figure = draw_coverage_over_time(over_time([[0.5, 1.0], [0.25, 0.75]]))
    assert title(figure) == "90% band holds 88%, 50% band 38%"
    assert [text.get_text() for text in figure.axes[0].texts] == ["50%", "90%"]


def test_weeks_without_outcome_do_not_break_the_mean():
    table = over_time([[1.0, 1.0], [math.nan, math.nan], [0.0, 1.0]])
    mean = draw_coverage_over_time(table).axes[0].get_lines()[1].get_ydata()
    assert mean.tolist() == [0.5, 0.5, 0.5]


def pit(values):
    return pit_histogram(np.asarray(values)[:, None])


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (lambda u: u, "Flat within sampling error: calibrated"),
        (lambda u: 0.5 + 0.5 * np.sign(u - 0.5) * np.abs(2 * u - 1) ** 0.5, "U-shape"),
        (lambda u: 0.5 + 0.5 * np.sign(u - 0.5) * np.abs(2 * u - 1) ** 2, "Hump"),
        (lambda u: u**0.85, "outcomes lie above"),
        (lambda u: 1 - (1 - u) ** 0.85, "outcomes lie below"),
    ],
)
def test_pit_title_names_the_shape(shape, words):
    table = pit(shape((np.arange(2000) + 0.5) / 2000))
    assert words in title(draw_pit(table))


def test_pit_bars_are_the_densities_and_the_dashed_line_is_1():
    table = PitHistogram(np.linspace(0, 1, 5), np.array([2.0, 1, 0.5, 0.5]), 9, 1, 0.1, 0, 0.1)
    axis = draw_pit(table).axes[0]
    assert [bar.get_height() for bar in axis.patches] == [2.0, 1.0, 0.5, 0.5]
    (line,) = axis.get_lines()
    assert set(line.get_ydata()) == {1.0}
    assert line.is_dashed()


@pytest.mark.parametrize(
    ("gap", "words"),
    [(0.0, "90% intervals hold 90%: close to"), (0.1, "too wide"), (-0.1, "too narrow")],
)
def test_curve_title_and_diagonal(gap, words):
    levels = np.arange(1, 20) / 20
    seen = np.clip(levels + gap * 4 * levels * (1 - levels), 0, 1)
    figure = draw_coverage_curve(CoverageCurve(levels, seen, np.full(19, 0.01), 500))
    assert words in title(figure)
    diagonal, curve = figure.axes[0].get_lines()
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
    assert diagonal.is_dashed()
    np.testing.assert_array_equal(curve.get_ydata(), seen)


# ---------------------------------------------------------------- outcome


def test_pnl_shows_capital_baselines_and_drawdown():
    equity, depth = np.array([1.1, 0.99, 1.2]), np.array([0.0, -0.1, 0.0])
    figure = draw_pnl(weeks(3), equity, depth, baselines={"equal weight": equity[::-1]})
    top, bottom = figure.axes
    drawn = lines(top)
    assert is_blue(drawn["strategy"].get_color())
    np.testing.assert_array_equal(drawn["strategy"].get_ydata(), equity)
    np.testing.assert_array_equal(drawn["equal weight"].get_ydata(), equity[::-1])
    np.testing.assert_array_equal(bottom.get_lines()[0].get_ydata(), depth)
    assert bottom.get_ylim()[1] == 0.0
    assert bottom.get_title(loc="left") == "drawdown, deepest \N{MINUS SIGN}10.0%"
    assert {text.get_text() for text in top.texts} == {"strategy", "equal weight"}


def test_pnl_names_a_series_of_wrong_length():
    with pytest.raises(ShapeError, match="baseline 'b'"):
        draw_pnl(weeks(2), [1.0, 1.0], [0.0, 0.0], baselines={"b": [1.0]})


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.8, -0.1, 1.7), "Sharpe 0.80 a year (\N{MINUS SIGN}0.10 to 1.70): could be luck"),
        ((1.8, 0.1, 3.7), "Sharpe 1.80 a year (0.10 to 3.70): gains"),
        ((-1.0, -2.0, -0.1), "losses"),
        ((math.nan, 0.0, 0.0), "Too little variation"),
    ],
)
def test_sharpe_sentence(numbers, text):
    assert text in sharpe_finding(*numbers)


def selection(scores):
    es = np.repeat(np.asarray(scores, float)[:, None, None], 2, axis=2)
    es[0, 0] += [-0.1, 0.1]
    return select(es, [[0, 1]])


def test_candidates_mark_band_survivors_and_pick():
    chosen = selection([1.0, 1.05, 1.5, math.nan])
    figure = draw_candidates(chosen)
    axis = figure.axes[0]
    assert title(figure) == "Candidate 0 wins: 2 of 4 in the band of the best"
    assert [label.get_text() for label in axis.get_yticklabels()] == ["0", "1", "2"]
    dots = [line for line in axis.get_lines() if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [1.0, 1.05, 1.5]
    assert dots[0].get_color() == dots[1].get_color() != dots[2].get_color()
    assert [text.get_text() for text in axis.texts] == ["pick"]
    band = axis.patches[0].get_extents().transformed(axis.transData.inverted())
    assert band.x1 == pytest.approx(chosen.threshold)


def test_the_twenty_best_candidates_are_drawn():
    chosen = selection(1.0 + 0.3 * np.arange(30))
    assert len(draw_candidates(chosen).axes[0].get_yticklabels()) == 20


def test_drawing_leaves_no_pyplot_state():
    before = "matplotlib.pyplot" in sys.modules
    draw_pit(pit([0.1, 0.4, 0.9]))
    if before:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []
    else:
        assert "matplotlib.pyplot" not in sys.modules


def test_long_titles_stay_inside_the_picture():
    flat = np.zeros(3)
    table = Fan(
        "A VERY LONG ASSET NAME OF AN ETF", weeks(3), QUANTILES, np.zeros((3, 5)), flat, flat
    )
    figure = draw_fan(table)
    assert figure.texts[0].get_window_extent().x1 <= figure.bbox.width
    assert figure.texts[0].get_fontsize() < 13.5


def test_labels_of_close_levels_do_not_overlap():
    figure = draw_coverage_over_time(over_time(np.ones((5, 3)), levels=(0.9, 0.91, 0.92)))
    heights = [text.xy[1] for text in figure.axes[0].texts]
    assert min(np.diff(heights)) >= 0.07


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fastpanel\[plots\]'"):
        draw_pit(pit([0.1, 0.4, 0.9]))
