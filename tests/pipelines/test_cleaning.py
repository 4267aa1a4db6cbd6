"""Raw bars to the data lake."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from tests.pipelines.conftest import export, hours

import fastpanel as fp
from fastpanel.data.stores import read_clean, read_return_tensor, read_returns
from fastpanel.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    MissingExtraError,
    ParameterError,
)
from fastpanel.pipelines import Environment, clean_data

FX = Path(__file__).resolve().parents[3] / "shared" / "data" / "hourly_fx_index.parquet"
FILES = [
    "daily_ohlc.csv",
    "daily_ohlc_meta.json",
    "quality.png",
    "quality_assets.csv",
    "quality_findings.csv",
    "quality_weeks.csv",
    "return_tensor.pt",
    "returns.csv",
    "weekly_ohlc.csv",
    "weekly_ohlc_meta.json",
]


def days(first: str, closes: list[float], hour: int = 16) -> dict[str, float]:
    """One bar a weekday from ``first``."""
    start = np.datetime64(first)
    return {
        f"{np.busday_offset(start, k)}T{hour:02d}:00:00": close for k, close in enumerate(closes)
    }


def clean(environment, bars, start="2025-01", **options):
    export(environment.folder("DATA_SOURCE"), bars)
    return clean_data(start, environment=environment, progress=False, **options)


def test_the_folder_is_the_iso_week_of_the_newest_row(environment):
    done = clean(environment, hours("A", days("2025-11-10", [10.0] * 10)))
    assert done.folder == environment.folder("DATA_LAKE_SOURCE") / "2025-47"
    assert sorted(path.name for path in done.folder.iterdir()) == FILES
    assert [p.name for p in done.folder.parent.iterdir()] == ["2025-47"]


def test_a_week_that_the_data_cut_is_absent_and_named(environment):
    done = clean(environment, hours("A", days("2025-11-10", [10.0] * 8)))  # ends on a Wednesday
    assert done.folder.name == "2025-46"
    assert len(pd.read_csv(done.folder / "returns.csv")) == 1
    meta = json.loads((done.folder / "weekly_ohlc_meta.json").read_text())
    assert meta["partial_weeks_dropped"] == ["2025-47"]
    kept = clean_data("2025-01", environment=environment, keep_partial=True, progress=False)
    assert kept.folder.name == "2025-47"


def test_simple_and_log_returns(environment):
    bars = hours("A", days("2025-11-10", [100.0, 1.0, 1.0, 1.0, 110.0]))
    done = clean(environment, bars)
    assert read_returns(done.folder).values[0, 0] == pytest.approx(0.10)
    done = clean(environment, bars, return_type="log")
    assert read_returns(done.folder).values[0, 0] == pytest.approx(0.0953101798)
    assert read_return_tensor(done.folder).kind == "log"


def test_returns_csv_has_weeks_as_rows_and_assets_as_columns(environment):
    a = hours("A", days("2025-11-10", [10.0, 10, 10, 10, 11, 11, 11, 11, 11, 22], 22))
    b = hours("B", days("2025-11-17", [4.0, 4, 4, 4, 5], 20))
    done = clean(environment, pl.concat([a, b]))
    table = pd.read_csv(done.folder / "returns.csv", index_col=0, parse_dates=True)
    assert list(table.columns) == ["A", "B"]
    assert [str(t) for t in table.index] == [
        "2025-11-14 22:00:00+00:00",
        "2025-11-21 22:00:00+00:00",  # the latest bar over assets labels the week
    ]
    assert table["A"].tolist() == pytest.approx([0.1, 1.0])
    assert np.isnan(table["B"].iloc[0])
    assert table["B"].iloc[1] == pytest.approx(0.25)
    assert (done.folder / "returns.csv").read_text().splitlines()[1].endswith(",")


def test_weekly_ohlc_is_first_max_min_last(environment):
    bars = hours("A", days("2025-11-10", [10.0, 14.0, 7.0, 9.0, 12.0]))
    bars = bars.with_columns(high=pl.col("high") + 1, low=pl.col("low") - 1)
    done = clean(environment, bars)
    week = pd.read_csv(done.folder / "weekly_ohlc.csv").iloc[0]
    assert week[["asset", "open", "high", "low", "close"]].tolist() == ["A", 10, 15, 6, 12]
    assert week["iso_week"] == "2025-46"
    day = pd.read_csv(done.folder / "daily_ohlc.csv").iloc[1]
    assert day[["open", "high", "low", "close"]].tolist() == [14, 15, 13, 14]


def test_meta_names_assets_weeks_and_labels(environment):
    done = clean(environment, hours("A", days("2025-11-10", [10.0] * 10)))
    meta = json.loads((done.folder / "weekly_ohlc_meta.json").read_text())
    assert meta["assets"] == ["A"]
    assert meta["n_weeks"] == 2
    assert meta["first_week"] == "2025-11-14T16:00:00+00:00"
    assert meta["last_week"] == "2025-11-21T16:00:00+00:00"


def test_missing_days_stand_at_the_last_hour_over_assets(environment):
    a = days("2024-02-05", [1.0] * 10)
    b = {time: price for time, price in a.items() if "02-07" not in time and "02-13" not in time}
    done = clean(environment, pl.concat([hours("A", a), hours("B", b)]), start="2024-02")
    meta = json.loads((done.folder / "daily_ohlc_meta.json").read_text())
    assert meta["missing_days"] == {
        "A": [],
        "B": ["2024-02-07T16:00:00+00:00", "2024-02-13T16:00:00+00:00"],
    }
    assert meta["missing_days_per_month"] == {"A": {}, "B": {"2024-02": 2}}


def test_the_tensor_loads_without_running_code(cleaned_folder):
    path = cleaned_folder / "lake" / "2024-52" / "return_tensor.pt"
    content = torch.load(path, weights_only=True)
    table = pd.read_csv(path.parent / "returns.csv", index_col=0, parse_dates=True)
    np.testing.assert_array_equal(content["values"].numpy(), table.to_numpy())
    np.testing.assert_array_equal(content["missing_mask"].numpy(), table.isna().to_numpy())
    stamps = content["timestamps"].numpy().astype("datetime64[ns]")
    np.testing.assert_array_equal(stamps, table.index.tz_localize(None).to_numpy())
    assert content["assets"] == ["SIM00", "SIM01", "SIM02"]
    assert content["return_type"] == "simple"


def test_what_is_read_back_has_every_bit(cleaned_folder, market):
    direct = fp.clean_bars(market)
    stored = read_clean(cleaned_folder / "lake" / "2024-52")
    assert stored.weekly.equals(direct.weekly)
    assert stored.daily.equals(direct.daily)
    np.testing.assert_array_equal(stored.returns.values, direct.returns.values)
    np.testing.assert_array_equal(stored.times, direct.times)
    assert stored.meta["daily"]["missing_days"] == direct.meta["daily"]["missing_days"]


def test_range_and_assets(environment, market):
    done = clean(environment, market, start="2023-06", end="2023-08", assets=["SIM02", "SIM00"])
    returns = read_returns(done.folder)
    assert returns.assets == ("SIM02", "SIM00")
    assert str(returns.times[0])[:10] == "2023-06-09"  # 1 June is a Thursday
    assert str(returns.times[-1])[:10] == "2023-08-25"  # the week of the 28th is cut
    whole = clean_data("2023-05", environment=environment, progress=False)
    assert whole.folder.name == "2024-52"  # without an end: the newest month on disk


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"start": "2024-13"}, ParameterError, "start must be a month YYYY-MM, got '2024-13'"),
        ({"start": "2023-05", "end": "2023-5"}, ParameterError, "end must be a month"),
        ({"start": "2023-05", "end": "2023-04"}, ParameterError, "before start"),
        ({"start": "2023-05", "assets": ["SIM00", "GOLD"]}, DataError, "unknown asset 'GOLD'"),
        ({"start": "2033-05"}, DataError, "no bars"),
        ({"start": "2023-05", "return_type": "gross"}, ParameterError, "return_type"),
    ],
)
def test_bad_input_is_named(cleaned, options, error, words):
    with pytest.raises(error, match=words):
        clean_data(**options, environment=cleaned, progress=False)


@pytest.mark.parametrize("missing", ["DATA_SOURCE", "DATA_LAKE_SOURCE"])
def test_a_missing_variable_is_named(tmp_path, missing):
    values = {"DATA_SOURCE": str(tmp_path), "DATA_LAKE_SOURCE": str(tmp_path)}
    del values[missing]
    with pytest.raises(ConfigError, match=f"{missing} is not set"):
        clean_data("2024-01", environment=Environment(values), progress=False)


def test_an_empty_source_says_so(environment):
    with pytest.raises(DataError, match="holds no <asset>"):
        clean_data("2024-01", environment=environment, progress=False)


def test_results_do_not_depend_on_the_number_of_workers(environment, market, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    one = clean(environment, market, start="2023-01").folder / "returns.csv"
    first = one.read_bytes()
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    clean_data("2023-01", environment=environment, progress=False)
    assert one.read_bytes() == first


def test_a_failed_run_leaves_the_week_as_it_was(environment, monkeypatch):
    bars = hours("A", days("2025-11-10", [10.0] * 5))
    folder = clean(environment, bars).folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_):
        raise ArtifactError("disk full")

    monkeypatch.setattr("fastpanel.data.stores._lake.save_tensors", full)
    with pytest.raises(ArtifactError, match="disk full"):
        clean_data("2025-01", environment=environment, return_type="log", progress=False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_rerun_gives_the_same_bytes(environment, market):
    folder = clean(environment, market, start="2023-01").folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    clean_data("2023-01", environment=environment, progress=False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_parquet_months_clean_to_the_same(environment, market):
    export(environment.folder("DATA_SOURCE"), market, "parquet")
    folder = clean_data("2023-01", environment=environment, progress=False).folder
    np.testing.assert_array_equal(read_returns(folder).values, fp.clean_bars(market).returns.values)
    export(environment.folder("DATA_SOURCE"), market)
    with pytest.raises(ArtifactError, match="same month"):
        clean_data("2023-01", environment=environment, progress=False)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("returns.csv", "week,A\n", "first column"),
        ("returns.csv", "timestamp,A\n2024-01-05,1\n", "timestamp"),
        ("returns.csv", "timestamp,A\n2024-01-05 00:00:00+00:00,x\n", "no number"),
        ("weekly_ohlc.csv", "timestamp,asset\n", "no column"),
        ("weekly_ohlc_meta.json", "{", "damaged"),
    ],
)
def test_a_damaged_week_is_named(environment, name, content, words):
    folder = clean(environment, hours("A", days("2025-11-10", [10.0] * 5))).folder
    (folder / name).write_text(content)
    with pytest.raises(ArtifactError, match=words) as caught:
        read_clean(folder)
    assert name in str(caught.value)


@pytest.mark.real_data
@pytest.mark.skipif(not FX.is_file(), reason="the shared market data are not there")
def test_hourly_fx_and_indices(environment):
    bars = fp.read_bars(FX).filter(
        pl.col("asset").is_in(["EURUSD", "XAUUSD", "SP500"])
        & pl.col("timestamp").dt.year().is_in([2018, 2019])
    )
    done = clean(environment, bars, start="2018-03", end="2019-02")
    returns = read_returns(done.folder)
    assert returns.assets == ("EURUSD", "SP500", "XAUUSD")
    # one week by hand, from the raw bars
    week = bars.filter(
        (pl.col("asset") == "EURUSD") & (pl.col("timestamp").dt.strftime("%G-%V") == "2018-24")
    ).sort("timestamp")
    by_hand = week["close"][-1] / week["close"][0] - 1
    row = [str(np.datetime64(t, "D")) for t in returns.times]
    position = next(i for i, day in enumerate(row) if "2018-06-11" <= day <= "2018-06-17")
    assert math.isclose(returns.values[position, 0], by_hand, rel_tol=1e-12)


def test_quality_tables_and_picture_lie_beside_the_data(environment, market, monkeypatch):
    wednesday = pl.col("timestamp").dt.date().cast(pl.String) == "2023-06-07"
    done = clean(environment, market.filter(~(wednesday & (pl.col("asset") == "SIM01"))), "2023-01")
    table = pl.read_csv(done.folder / "quality_findings.csv")
    rows = table.filter(pl.col("reason") == "days missing").rows()
    assert ("SIM01", "days missing", 1, "2023-23", "2023-23", "1 weekday") in rows
    weeks = pl.read_csv(done.folder / "quality_weeks.csv")
    assert ("SIM01", "2023-23", "days missing", 1.0) in weeks.rows()
    assert pl.read_csv(done.folder / "quality_assets.csv").height == 3
    assert table.height == done.quality.findings.height
    picture = (done.folder / "quality.png").read_bytes()
    assert picture[:4] == b"\x89PNG"

    def missing(report):
        raise MissingExtraError("matplotlib is needed")

    monkeypatch.setattr("fastpanel.pipelines._cleaning.draw_quality", missing)
    (done.folder / "quality.png").unlink()
    again = clean_data("2023-01", environment=environment, progress=False)
    assert not (again.folder / "quality.png").exists()
    assert (again.folder / "quality_findings.csv").is_file()
