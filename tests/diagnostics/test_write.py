from __future__ import annotations

import csv
import gc
import weakref

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from tests.diagnostics.cases import forecasts, weeks

from fastpanel.diagnostics import (
    FanChartSpec,
    Forecasts,
    draw_fan,
    fan,
    save_figure,
    write_calibration,
    write_candidates,
    write_fan_charts,
    write_pnl,
)
from fastpanel.diagnostics._files import file_names, save_csv
from fastpanel.errors import ArtifactError, ConfigError
from fastpanel.selection import select

PNG = b"\x89PNG\r\n\x1a\n"


def read(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_one_picture_and_table_per_asset(tmp_path):
    f = forecasts(n=12)
    pictures = write_fan_charts(tmp_path / "fan_charts", f, FanChartSpec())
    assert [p.path.name for p in pictures] == ["SPY.png", "QQQ.png", "TLT.png", "GLD.png"]
    assert all(p.path.read_bytes().startswith(PNG) for p in pictures)
    assert sorted(p.name for p in (tmp_path / "fan_charts").iterdir()) == sorted(
        f"{name}.{end}" for name in f.assets for end in ("csv", "png")
    )
    rows = read(tmp_path / "fan_charts" / "QQQ.csv")
    assert rows[0]["timestamp"] == "2020-01-03"
    assert float(rows[3]["truth"]) == f.truth[3, 1]
    assert float(rows[3]["q0.25"]) == pytest.approx(np.quantile(f.samples[:, 3, 1], 0.25))


def test_chosen_assets_only_and_unknown_ones_before_any_file(tmp_path):
    f = forecasts(n=12)
    (picture,) = write_fan_charts(tmp_path, f, FanChartSpec(assets=["TLT"]))
    assert picture.path.name == "TLT.png"
    with pytest.raises(ConfigError, match="'NOPE'"):
        write_fan_charts(tmp_path / "none", f, FanChartSpec(assets=["TLT", "NOPE"]))
    assert not (tmp_path / "none").exists()


def test_calibration_files_and_csv(tmp_path):
    f = forecasts(n=12)
    pictures = write_calibration(tmp_path, f, FanChartSpec())
    assert [p.path.name for p in pictures] == [
        "coverage_fan.png",
        "pit_histogram.png",
        "coverage_curve.png",
    ]
    rows = read(tmp_path / "coverage_fan.csv")
    assert len(rows) == 12 * 2
    assert list(rows[0]) == ["timestamp", "nominal", "observed", "n_assets"]
    low, high = np.quantile(f.samples[:, 5], [0.05, 0.95], axis=0)
    inside = np.mean((f.truth[5] >= low) & (f.truth[5] <= high))
    assert [float(rows[11][k]) for k in ("nominal", "observed", "n_assets")] == [0.9, inside, 4]
    density = [float(row["density"]) for row in read(tmp_path / "pit_histogram.csv")]
    assert sum(density) / 20 == pytest.approx(1.0)
    assert len(read(tmp_path / "coverage_curve.csv")) == 19


def test_captions_are_the_reading_guide(tmp_path):
    f = forecasts(n=12)
    texts = [p.caption for p in write_calibration(tmp_path, f, FanChartSpec())]
    texts += [p.caption for p in write_fan_charts(tmp_path, f, FanChartSpec(assets=["SPY"]))]
    guide = " ".join(texts)
    for statement in ("U-shape: too narrow", "hump: too wide", "skew: biased", "regime shifts"):
        assert statement in guide


def test_pnl_and_candidates(tmp_path):
    equity = np.array([1.1, 1.0])
    picture = write_pnl(
        tmp_path, weeks(2), equity, [0.0, -1 / 11], sharpe=(1.0, 0.1, 2.0),
        baselines={"cash": [1.0, 1.0]},
    )  # fmt: skip
    assert picture.title.startswith("Sharpe 1.00 a year")
    assert list(read(tmp_path / "pnl.csv")[0]) == ["timestamp", "equity", "drawdown", "equity_cash"]
    chosen = select(np.array([[[2.0]], [[1.0]], [[np.nan]]]), [[0]])
    picture = write_candidates(tmp_path, chosen, {"1": {"model.params.k": 3}})
    rows = read(tmp_path / "candidates.csv")
    assert [row["candidate"] for row in rows] == ["1", "0", "2"]
    assert [row["role"] for row in rows] == ["pick", "", ""]
    assert [row["model.params.k"] for row in rows] == ["3", "", ""]
    assert rows[2]["es"] == ""
    assert picture.path.read_bytes().startswith(PNG)


def test_same_numbers_same_bytes(tmp_path):
    table = fan(forecasts(n=12), "SPY", [0.05, 0.95])
    one, two = (save_figure(tmp_path / name, draw_fan(table)) for name in ("a.png", "b.png"))
    assert one.read_bytes() == two.read_bytes()


def test_figures_are_freed():
    figure = draw_fan(fan(forecasts(n=12), "SPY", [0.05, 0.95]))
    gone = weakref.ref(figure)
    del figure
    gc.collect()
    assert gone() is None


def test_a_failing_write_names_the_file_and_leaves_nothing(tmp_path):
    target = tmp_path / "folder.csv"
    target.mkdir()
    with pytest.raises(ArtifactError, match=r"folder\.csv"):
        save_csv(target, {"x": np.array([1.0])})
    assert [p.name for p in tmp_path.iterdir()] == ["folder.csv"]


def test_csv_cells(tmp_path):
    path = save_csv(
        tmp_path / "t.csv",
        {
            "time": np.array(["2024-01-05T16:30", "2024-01-12T16:30"], dtype="datetime64[ns]"),
            "x": np.array([0.1, np.nan]),
            "name": np.array(["a,b", 'say "x"'], dtype=object),
        },
    )
    assert path.read_text() == (
        'time,x,name\n2024-01-05T16:30:00,0.1,"a,b"\n2024-01-12T16:30:00,,"say ""x"""\n'
    )


def test_file_names_are_safe_and_unique():
    names = file_names(["BTC/USD", "BTC_USD", "spy", "SPY", "..", "a b"])
    assert names == {
        "BTC/USD": "BTC_USD", "BTC_USD": "BTC_USD_2", "spy": "spy", "SPY": "SPY_2",
        "..": "asset", "a b": "a_b",
    }  # fmt: skip


def test_odd_asset_names_stay_inside_the_folder(tmp_path):
    f = forecasts(n=12, a=1)
    odd = Forecasts(f.samples, f.truth, f.times, ("../../etc/x",))
    (picture,) = write_fan_charts(tmp_path, odd, FanChartSpec())
    assert picture.path.parent == tmp_path
