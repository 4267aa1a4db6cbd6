from __future__ import annotations

import os
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from fastpanel.data import _bars, read_bars
from fastpanel.errors import DataError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no market data at {SHARED}")


def frame(**changes):
    columns = {
        "timestamp": [datetime(2024, 1, 2, hour, tzinfo=UTC) for hour in (9, 10)],
        "asset": ["A", "A"],
        "open": [10.0, 11.0],
        "high": [12.0, 12.5],
        "low": [9.0, 10.0],
        "close": [11.0, 10.5],
    }
    return pl.DataFrame(columns | changes)


def test_canonical_columns_whatever_the_case_and_alias():
    named = frame().rename({"timestamp": "Date", "asset": "Symbol", "open": "OPEN"})
    bars = read_bars(named.with_columns(extra=1, Volume=5))
    assert bars.columns == ["timestamp", "asset", "open", "high", "low", "close", "volume"]
    assert bars.schema["timestamp"] == pl.Datetime("ns", "UTC")
    assert bars["volume"].to_list() == [5.0, 5.0]


def test_rows_are_sorted_by_asset_then_time():
    bars = pl.concat([frame(asset=["B", "B"]), frame()]).reverse()
    found = read_bars(bars)
    assert found["asset"].to_list() == ["A", "A", "B", "B"]
    assert found["timestamp"].dt.hour().to_list() == [9, 10, 9, 10]
    assert read_bars(found).equals(found)


def test_pandas_and_arrow_frames():
    expected = read_bars(frame())
    table = frame().to_pandas()
    assert read_bars(table).equals(expected)
    assert read_bars(table.set_index("timestamp")).equals(expected)
    assert read_bars(frame().to_arrow()).equals(expected)
    with pytest.raises(DataError, match="type dict"):
        read_bars({"a": 1})


def test_zoneless_times_warn_and_are_utc():
    naive = frame(timestamp=[datetime(2024, 1, 2, 9), datetime(2024, 1, 2, 10)])
    with pytest.warns(UserWarning, match="without a zone are taken as UTC"):
        assert read_bars(naive).equals(read_bars(frame()))


def test_plain_dates_are_utc_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bars = read_bars(frame(timestamp=["2024-01-02", "2024-01-03"]))
    assert bars["timestamp"][1] == datetime(2024, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-02T09:00:00Z",
        "2024-01-02 09:00:00+00:00",
        "2024-01-02T09:00+0000",
        "2024-01-02 11:00:00.000+02:00",
        "2024-01-02T03:30:00-05:30",
    ],
)
def test_zoned_text_times(text):
    later = "2024-01-02T10:00:00Z"
    assert read_bars(frame(timestamp=[text, later])).equals(read_bars(frame()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"high": [12.0, None]}, r"'A' at 2024-01-02 10:00:00\+00:00: high None is missing"),
        ({"close": [float("nan"), 10.5]}, r"09:00:00\+00:00: close nan is missing"),
        ({"low": [0.0, -1.0]}, "low 0.0 is not positive; 1 more bars"),
        ({"high": [float("inf"), 12.5]}, "high inf is not finite"),
        ({"high": [8.0, 12.5]}, "high 8.0 is below the low of 9.0"),
        ({"open": [12.5, 11.0]}, r"open 12.5 lies outside the bar's range \[9.0, 12.0\]"),
        ({"close": [11.0, 9.9]}, r"10:00:00.*close 9.9 lies outside"),
        ({"timestamp": [datetime(2024, 1, 2, tzinfo=UTC)] * 2}, "timestamp .* occurs twice"),
        ({"close": ["11", "n/a"]}, "'A' at .*10:00.*: column 'close' holds 'n/a'"),
        ({"timestamp": ["2024-01-02", "soon"]}, "row 1: column 'timestamp' holds 'soon'"),
        ({"timestamp": [1, 2]}, "'timestamp' is Int64"),
        ({"timestamp": [datetime(2024, 1, 2, tzinfo=UTC), None]}, "row 1 has no timestamp"),
        ({"asset": ["A", None]}, "row 1 has no asset"),
    ],
)
def test_defects_name_asset_time_and_column(changes, message):
    with pytest.raises(DataError, match=message):
        read_bars(frame(**changes))


def test_missing_or_ambiguous_columns_are_named():
    with pytest.raises(DataError, match="no column 'high'"):
        read_bars(frame().drop("high"))
    with pytest.raises(DataError, match="no column 'asset'"):
        read_bars(frame().drop("asset"))
    with pytest.raises(DataError, match="'open' and 'Open' have one name"):
        read_bars(frame().with_columns(Open=1.0))


def test_history_layout_takes_the_asset_from_the_folder(tmp_path):
    for month, hour in (("2024-01", "09"), ("2024-02", "10")):
        file = tmp_path / "EUR.USD" / "2024" / f"hist_data_{month}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            "timestamp,open,high,low,close,volume\n"
            f"{month}-05T{hour}:00:00+00:00,1.1,1.2,1.0,1.15,\n"
        )
    (tmp_path / "EUR.USD" / "2024" / "notes.csv").write_text("x\n")
    bars = read_bars(tmp_path)
    assert bars["asset"].unique().to_list() == ["EUR.USD"]
    assert bars["timestamp"].dt.month().to_list() == [1, 2]
    assert bars["volume"].null_count() == 2


def test_one_file_per_asset_and_globs(tmp_path):
    for asset in ("SPY", "GLD.X"):
        frame().drop("asset").write_csv(tmp_path / f"{asset}.csv")
    frame(asset=["Z", "Z"]).write_parquet(tmp_path / "many.parquet")
    (tmp_path / "readme.txt").write_text("no bars")
    assert read_bars(tmp_path)["asset"].unique(maintain_order=True).to_list() == [
        "GLD.X",
        "SPY",
        "Z",
    ]
    assert read_bars(f"{tmp_path}/*.csv").height == 4
    assert read_bars([tmp_path / "SPY.csv", str(tmp_path / "many.parquet")]).height == 4
    with pytest.raises(DataError, match="no Parquet or CSV file"):
        read_bars(tmp_path / "absent")
    (tmp_path / "bad.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"cannot read .*bad\.parquet"):
        read_bars(tmp_path / "bad.parquet")


def test_a_value_that_is_no_number_names_the_file(tmp_path):
    (tmp_path / "A.csv").write_text("Date,Open,High,Low,Close\n2024-01-02,1,2,1,oops\n")
    with pytest.raises(DataError, match=r"A\.csv: asset 'A' at 2024-01-02.*'close' holds 'oops'"):
        read_bars(tmp_path)


@pytest.mark.parametrize(("cpus", "assets", "expected"), [(8, 3, 3), (1, 3, 1), (4, 9, 3)])
def test_number_of_workers(monkeypatch, cpus, assets, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    assert _bars.workers(assets) == expected


def test_result_does_not_depend_on_the_number_of_workers(tmp_path, monkeypatch):
    for k in range(5):
        frame().drop("asset").write_csv(tmp_path / f"A{k}.csv")
    found = []
    for cpus in (1, 8):
        monkeypatch.setattr(os, "cpu_count", lambda cpus=cpus: cpus)
        found.append(read_bars(tmp_path))
    assert found[0].equals(found[1])


@needs_data
@pytest.mark.real_data
def test_real_etf_folder_agrees_with_pandas():
    bars = read_bars(SHARED / "etf_daily_csv")
    files = sorted((SHARED / "etf_daily_csv").glob("*.csv"))
    assert bars["asset"].n_unique() == len(files) == 17
    gld = pd.read_csv(SHARED / "etf_daily_csv" / "GLD.csv")
    ours = bars.filter(pl.col("asset") == "GLD")
    assert ours["close"].to_list() == gld["Close"].to_list()
    assert ours["timestamp"].dt.strftime("%Y-%m-%d").to_list() == gld["Date"].to_list()


@needs_data
@pytest.mark.real_data
def test_real_close_only_files_are_refused_by_name():
    with pytest.raises(DataError, match=r"\.csv: no column 'open'"):
        read_bars(SHARED / "etf_close_2020_csv")
