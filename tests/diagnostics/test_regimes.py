"""Diagnostics of regimes beside each other: numbers, pictures, files."""

from __future__ import annotations

import csv

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from tests.diagnostics.cases import forecasts, weeks

from fastpanel.diagnostics import (
    FanChartSpec,
    Forecasts,
    coverage_curve,
    coverage_over_time,
    draw_coverage_by_regime,
    draw_fan_by_regime,
    draw_pit_by_regime,
    draw_weeks_by_regime,
    pit_histogram,
    pit_values,
    pooled_fan,
    write_regimes,
)
from fastpanel.errors import DataError, ParameterError

NAN = np.nan


@pytest.fixture(scope="module")
def parts():
    """Forecasts of one width; outcomes are smaller in calm and larger in stressed weeks."""
    f = forecasts(n=120)
    size = np.where(np.arange(120) < 60, 0.5, np.where(np.arange(120) < 100, 1.0, 2.0))
    moved = Forecasts(f.samples, f.truth * size[:, None], f.times, f.assets)
    return {
        name: moved.take(size == s)
        for name, s in (("calm", 0.5), ("normal", 1.0), ("stressed", 2.0))
    }


def read(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_taking_weeks_keeps_draws_truth_and_times_together():
    f = forecasts(n=6)
    chosen = np.array([False, True, False, False, True, True])
    own = f.take(chosen)
    np.testing.assert_array_equal(own.samples, f.samples[:, [1, 4, 5]])
    np.testing.assert_array_equal(own.truth, f.truth[[1, 4, 5]])
    np.testing.assert_array_equal(own.times, f.times[[1, 4, 5]])
    assert own.assets == f.assets


def test_pooled_fan_is_in_units_of_the_scale_and_over_scored_cells():
    # asset a: draws 0, 2, 4 of scale 2, asset b: draws 0, 10, 20 of scale 10; one truth missing
    samples = np.array([[[0.0, 0.0]] * 2, [[2.0, 10.0]] * 2, [[4.0, 20.0]] * 2])
    truth = np.array([[2.0, NAN], [6.0, 40.0]])
    table = pooled_fan(
        Forecasts(samples, truth, weeks(2), ("a", "b")), [0.75, 0.25], np.array([2.0, 10.0])
    )
    assert table.levels == (0.25, 0.75)
    assert table.n == 3
    # 3 scored cells with draws 0, 1, 2 each; outcomes 1, 3 and 4
    np.testing.assert_allclose(table.forecast, np.quantile([0.0, 1.0, 2.0] * 3, [0.25, 0.75]))
    np.testing.assert_allclose(table.outcome, [2.0, 3.5])


def test_an_asset_without_a_typical_move_is_left_out_of_the_fan():
    f = forecasts(n=5, a=2)
    table = pooled_fan(f, [0.5], np.array([1.0, NAN]))
    assert table.n == 5
    np.testing.assert_allclose(table.outcome, [np.median(f.truth[:, 0])])
    with pytest.raises(DataError, match="no forecast has a known outcome"):
        pooled_fan(f, [0.5], np.array([0.0, NAN]))
    with pytest.raises(ParameterError, match=r"\(0, 1\)"):
        pooled_fan(f, [0.0, 0.5], np.ones(2))


def test_files_tables_and_words(tmp_path, parts):
    spec = FanChartSpec()
    pictures = write_regimes(tmp_path, parts, spec)
    stems = ["coverage_by_regime", "pit_by_regime", "coverage_fan_by_regime", "fan_by_regime"]
    assert [p.path.stem for p in pictures] == stems
    assert {p.name for p in tmp_path.iterdir()} == {
        f"{s}.{e}" for s in stems for e in ("csv", "png")
    }
    for picture, words in zip(
        pictures,
        ("stressed", "U-shape: too narrow, hump: too wide", "left their bands", "Black longer"),
        strict=True,
    ):
        assert words in picture.caption
    curve = read(tmp_path / "coverage_by_regime.csv")
    calm = coverage_curve(parts["calm"])
    assert float(curve[7]["observed_calm"]) == calm.observed[7]
    density = read(tmp_path / "pit_by_regime.csv")
    for name in parts:
        assert sum(float(row[f"density_{name}"]) for row in density) / 20 == pytest.approx(1.0)
    rows = read(tmp_path / "coverage_fan_by_regime.csv")
    assert [row["regime"] for row in rows] == ["calm"] * 120 + ["normal"] * 80 + ["stressed"] * 40
    own = parts["stressed"]
    low, high = np.quantile(own.samples[:, 3], [0.05, 0.95], axis=0)
    inside = np.mean((own.truth[3] >= low) & (own.truth[3] <= high))
    assert float(rows[200 + 2 * 3 + 1]["observed"]) == inside
    fan = read(tmp_path / "fan_by_regime.csv")
    move = np.median(np.abs(np.concatenate([f.truth for f in parts.values()])), axis=0)
    assert [float(row["quantile"]) for row in fan] == list(spec.quantiles)
    assert float(fan[4]["outcome_stressed"]) == pytest.approx(np.quantile(own.truth / move, 0.95))
    assert float(fan[4]["forecast_stressed"]) == pytest.approx(
        np.quantile(own.samples / move, 0.95)
    )


def test_titles_name_the_regime_that_is_off(parts):
    pits = {name: pit_histogram(pit_values(own)) for name, own in parts.items()}
    fans = {name: pooled_fan(own, [0.05, 0.95], np.ones(4)) for name, own in parts.items()}
    weekly = {name: coverage_over_time(own, [0.5, 0.9]) for name, own in parts.items()}
    curves = {name: coverage_curve(own) for name, own in parts.items()}

    def title(figure):
        return figure.texts[0].get_text()

    assert title(draw_pit_by_regime(pits)) == "Stressed weeks: forecasts are too narrow"
    assert title(draw_pit_by_regime({"normal": pits["normal"]})) == (
        "Flat within sampling error in every regime"
    )
    shares = [f"{name} {100 * table.mean()[1]:.0f}%" for name, table in weekly.items()]
    assert title(draw_weeks_by_regime(weekly)) == f"90% band holds: {', '.join(shares)}"
    assert title(draw_coverage_by_regime(curves)).endswith("in stressed weeks")
    found = title(draw_fan_by_regime(fans))
    assert found.startswith("90% fan in ")
    assert found.endswith("of the outcomes' width")
    only = title(draw_fan_by_regime({"calm": fans["calm"]}))
    wide = np.ptp(fans["calm"].forecast) / np.ptp(fans["calm"].outcome)
    assert only == f"90% fan in calm weeks: {100 * wide:.0f}% of the outcomes' width"


def test_pit_panels_share_one_scale_and_show_the_densities(parts):
    pits = {name: pit_histogram(pit_values(own)) for name, own in parts.items()}
    axes = draw_pit_by_regime(pits).axes
    assert len(axes) == 3
    assert len({axis.get_ylim() for axis in axes}) == 1
    for axis, table in zip(axes, pits.values(), strict=True):
        np.testing.assert_allclose([bar.get_height() for bar in axis.patches], table.density)
    assert axes[2].get_title(loc="left") == "stressed: U-shape, forecasts are too narrow"


def test_a_dot_per_week_and_level_and_a_dashed_target(parts):
    weekly = {name: coverage_over_time(own, [0.5, 0.9]) for name, own in parts.items()}
    axes = draw_weeks_by_regime(weekly).axes
    for axis, table in zip(axes, weekly.values(), strict=True):
        dots = [c.get_offsets()[:, 1] for c in axis.collections]
        np.testing.assert_allclose(np.array(dots).T, table.observed)
        targets = [line.get_ydata()[0] for line in axis.lines]
        assert targets == [0.5, 0.9]
        assert all(line.get_linestyle() == "--" for line in axis.lines)
    assert len({axis.get_xlim() for axis in axes}) == 1


def test_one_week_is_drawn():
    f = forecasts(n=1)
    assert draw_weeks_by_regime({"calm": coverage_over_time(f, [0.9])}).axes


def test_fan_bars_are_the_quantiles_blue_for_forecasts_black_for_outcomes(parts):
    from matplotlib.colors import to_rgb

    fans = {"calm": pooled_fan(parts["calm"], [0.05, 0.25, 0.5, 0.75, 0.95], np.ones(4))}
    (axis,) = draw_fan_by_regime(fans).axes
    table = fans["calm"]
    found = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in axis.patches]
    expected = [
        (quantiles[low], quantiles[high])
        for low, high in ((0, 4), (1, 3))
        for quantiles in (table.forecast, table.outcome)
    ]
    np.testing.assert_allclose(found, expected)
    colours = [bar.get_facecolor()[:3] for bar in axis.patches]
    assert colours == [to_rgb("#1d5fbf"), to_rgb("#000000")] * 2
