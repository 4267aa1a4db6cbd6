"""Pictures and tables of a run: the files named by the rows, with the numbers they promise."""

from __future__ import annotations

import csv

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import fastpanel as fp
from fastpanel.errors import ConfigError
from fastpanel.simulation._payload import load_payload
from fastpanel.simulation._regimes import REGIMES, regimes
from tests.simulation.conftest import make_panel, stub_config

QUANTILES = [0.05, 0.5, 0.95]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    config = stub_config(str(tmp_path_factory.mktemp("runs") / "run"))
    config["diagnostics"] = {
        "fan_charts": {
            "enable": True,
            "assets": ["A2", "A0"],
            "quantiles": QUANTILES,
            "coverage_levels": [0.8],
        }
    }
    return fp.simulation.run(config, panel=make_panel(), progress=False)


def read(result, name):
    path = result.folder / "outer" / "diagnostics" / name
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def outer_draws(result):
    samples = np.concatenate([fold.samples for fold in result.outer], axis=1)
    rows = np.concatenate([fold.rows for fold in result.outer])
    return samples, result.dataset.y[rows], rows


def test_pictures_and_tables_lie_where_they_are_named(result):
    folder = result.folder / "outer" / "diagnostics"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    stems = [
        *(f"fan_charts/{asset}" for asset in ("A0", "A2")),
        *(f"calibration/{name}" for name in ("coverage_fan", "pit_histogram", "coverage_curve")),
        *(
            f"calibration/{name}_by_regime"
            for name in ("coverage", "pit", "coverage_fan", "fan")
        ),
        "pnl",
        "candidates",
    ]  # fmt: skip
    assert found == {f"{stem}.{end}" for stem in stems for end in ("png", "csv")}


def test_every_picture_is_in_the_report_with_words(result):
    page = result.report.read_text()
    pictures = list((result.folder / "outer" / "diagnostics").rglob("*.png"))
    assert page.count("<img ") == len(pictures) == page.count("<figcaption>")
    assert "<script" not in page
    for words in ("U-shape", "Black longer than blue", "Stressed weeks far below it", "Flat at"):
        assert words in page


def test_fans_hold_the_inner_weeks_on_the_median_scale_of_the_splits(result):
    group = result.structure.outer[-1].group
    candidate = result.summary["global_pick"]
    folder = result.folder / "inner" / f"outer_{group}"
    payloads = [load_payload(folder / unit.file) for unit in result.records[group][candidate]]
    weeks = sorted({int(row) for payload in payloads for row in payload.test_idx})
    scale = np.median([payload.scale[2] for payload in payloads])
    rows = read(result, "fan_charts/A2.csv")
    times = [str(result.dataset.times[week])[:10] for week in weeks]
    assert [row["timestamp"] for row in rows] == times
    truth = [float(row["truth"]) for row in rows]
    np.testing.assert_allclose(truth, result.dataset.y[weeks, 2] / scale)
    # a week in the middle: draws of all its splits, each times its scale over the median scale
    at = 20
    pooled = [
        payload.z_samples[:, list(payload.test_idx).index(weeks[at]), 2].astype(float)
        * payload.scale[2] / scale
        for payload in payloads
        if weeks[at] in payload.test_idx
    ]  # fmt: skip
    assert len(pooled) == 4  # 5 earlier groups, 2 of them tested: each group in 4 of 10 splits
    np.testing.assert_allclose(
        [float(rows[at][f"q{q:g}"]) for q in QUANTILES], np.quantile(pooled, QUANTILES)
    )


def test_coverage_over_time_is_the_share_of_assets_inside(result):
    samples, truth, rows = outer_draws(result)
    low, high = np.quantile(samples, [0.1, 0.9], axis=0)
    inside = ((low <= truth) & (truth <= high)).mean(axis=1)
    table = read(result, "calibration/coverage_fan.csv")
    assert [float(row["observed"]) for row in table] == pytest.approx(list(inside))
    assert {row["nominal"] for row in table} == {"0.8"}
    assert [row["timestamp"] for row in table] == [str(t)[:10] for t in result.dataset.times[rows]]


def test_regime_tables_are_those_of_the_weeks_of_a_regime(result):
    config = fp.simulation.load_config(stub_config())
    label = regimes(result.dataset, result.structure.outer, config)
    samples, truth, _ = outer_draws(result)
    pit = (samples < truth).mean(axis=0) + 0.5 * (samples == truth).mean(axis=0)
    density = read(result, "calibration/pit_by_regime.csv")
    weekly = read(result, "calibration/coverage_fan_by_regime.csv")
    assert set(label) == {0, 1, 2}
    for position, name in enumerate(REGIMES):
        expected, _ = np.histogram(pit[label == position], bins=20, range=(0, 1), density=True)
        column = [float(row[f"density_{name}"]) for row in density]
        np.testing.assert_allclose(column, expected)
        assert sum(row["regime"] == name for row in weekly) == (label == position).sum()


def test_an_unknown_asset_is_found_before_any_fit(config, panel):
    config["diagnostics"] = {"fan_charts": {"enable": True, "assets": ["A0", "GOLD"]}}
    with pytest.raises(ConfigError, match=r"fan_charts\.assets: no asset 'GOLD'"):
        fp.simulation.run(config, panel=panel, progress=False)
    config["flags"]["stop_after"] = "inputs"
    with pytest.raises(ConfigError, match="GOLD"):
        fp.simulation.run(config, panel=panel, progress=False)


def test_without_diagnostics_there_is_no_folder_and_no_picture(config, panel):
    result = fp.simulation.run(config, panel=panel, progress=False)
    assert not (result.folder / "outer" / "diagnostics").exists()
    assert "<img " not in result.report.read_text()
