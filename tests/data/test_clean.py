from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpanel.data import clean_bars, read_bars, simulated_market
from fastpanel.errors import DataError, ParameterError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no market data at {SHARED}")


def bars(**closes: dict[str, float]) -> pl.DataFrame:
    """Bars from ``A={"2024-01-01 16": 100.0, ...}``; open 1 below, high 2 above, low 2 below."""
    rows = [
        (datetime.strptime(time, "%Y-%m-%d %H").replace(tzinfo=UTC), asset, close)
        for asset, series in closes.items()
        for time, close in series.items()
    ]
    table = pl.DataFrame(rows, schema=["timestamp", "asset", "close"], orient="row")
    close = pl.col("close")
    return table.with_columns(open=close - 1, high=close + 2, low=close - 2)


def weekdays(first: str, last: str, hour: str = "16", **special: float) -> dict[str, float]:
    days = pd.bdate_range(first, last).strftime("%Y-%m-%d")
    return {f"{day} {hour}": special.get(day, 100.0) for day in days}


TWO_WEEKS = weekdays("2024-01-01", "2024-01-12")


def labels(clean) -> list[str]:
    return [str(time)[:13] for time in clean.times]


def test_week_and_day_hold_first_highest_lowest_last():
    day = {"2024-01-01 09": 100.0, "2024-01-01 10": 120.0, "2024-01-01 11": 90.0}
    clean = clean_bars(bars(A=day | {"2024-01-05 16": 110.0}))
    week = clean.weekly.row(0, named=True)
    assert week == {
        "timestamp": datetime(2024, 1, 5, 16, tzinfo=UTC),
        "asset": "A",
        "open": 99.0,
        "high": 122.0,
        "low": 88.0,
        "close": 110.0,
        "iso_week": "2024-01",
    }
    assert clean.daily.columns == ["timestamp", "asset", "open", "high", "low", "close"]
    assert clean.daily.row(0) == (
        datetime(2024, 1, 1, 11, tzinfo=UTC),
        "A",
        99.0,
        122.0,
        88.0,
        90.0,
    )


@pytest.mark.parametrize(("kind", "expected"), [("simple", 0.10), ("log", 0.0953101798)])
def test_return_from_first_to_last_close_of_the_week(kind, expected):
    # Monday is missing, so Tuesday's first close counts; Friday 16:00 is the last
    week = {"2024-01-02 09": 100.0, "2024-01-02 16": 130.0, "2024-01-05 16": 110.0}
    early = {k: v for k, v in TWO_WEEKS.items() if k > "2024-01-05 17"}
    clean = clean_bars(bars(A=early | week, B=TWO_WEEKS), return_type=kind)
    assert clean.returns.kind == kind
    assert clean.returns.values[0] == pytest.approx([expected, 0.0], abs=1e-10)


def test_close_to_close_returns():
    closes = TWO_WEEKS | {"2024-01-05 16": 100.0, "2024-01-08 16": 105.0, "2024-01-12 16": 110.0}
    clean = clean_bars(bars(A=closes), return_basis="close_to_close")
    assert np.isnan(clean.returns.values[0, 0])
    assert clean.returns.values[1, 0] == pytest.approx(0.10)
    assert clean_bars(bars(A=closes)).returns.values[1, 0] == pytest.approx(110 / 105 - 1)


def test_week_is_labelled_with_the_latest_bar_over_assets():
    clean = clean_bars(
        bars(A=weekdays("2024-01-01", "2024-01-05"), B=weekdays("2024-01-01", "2024-01-05", "22"))
    )
    assert clean.weekly["timestamp"].to_list() == [datetime(2024, 1, 5, 22, tzinfo=UTC)] * 2
    assert clean.daily["timestamp"].dt.hour().unique().to_list() == [22]


def test_sunday_bars_belong_to_the_week_of_the_monday_before():
    clean = clean_bars(bars(A=TWO_WEEKS | {"2024-01-07 22": 150.0}))
    assert labels(clean) == ["2024-01-07T22", "2024-01-12T16"]
    assert clean.weekly["close"].to_list() == [150.0, 100.0]


def test_weekend_bars_merge_into_the_next_monday_of_the_daily_table():
    clean = clean_bars(bars(A=TWO_WEEKS | {"2024-01-06 10": 50.0, "2024-01-07 22": 150.0}))
    monday = clean.daily.filter(pl.col("timestamp").dt.date() == datetime(2024, 1, 8).date())
    assert monday.row(0)[2:] == (49.0, 152.0, 48.0, 100.0)
    assert (clean.daily["timestamp"].dt.weekday() <= 5).all()
    assert clean.daily.height == 10


def test_weekend_bars_before_a_monday_without_bars_are_unused():
    closes = TWO_WEEKS | {"2024-01-07 22": 500.0}
    del closes["2024-01-08 16"]
    daily = clean_bars(bars(A=closes)).daily
    assert daily.height == 9
    assert daily["high"].max() == 102.0


@pytest.mark.parametrize(
    ("first", "last", "weeks", "dropped"),
    [
        ("2024-01-01", "2024-01-12", ["2024-01-05", "2024-01-12"], []),
        ("2024-01-02", "2024-01-12", ["2024-01-12"], ["2024-01"]),
        ("2024-01-01", "2024-01-10", ["2024-01-05"], ["2024-02"]),
        ("2024-01-03", "2024-01-17", ["2024-01-12"], ["2024-01", "2024-03"]),
    ],
)
def test_weeks_cut_by_the_data_are_dropped_and_named(first, last, weeks, dropped):
    table = bars(A=weekdays(first, last))
    clean = clean_bars(table)
    assert [label[:10] for label in labels(clean)] == weeks
    assert clean.meta["weekly"]["partial_weeks_dropped"] == dropped
    assert len(clean_bars(table, keep_partial=True).times) == len(weeks) + len(dropped)
    # the days of a dropped week stay
    assert clean.daily.height == len(pd.bdate_range(first, last))


def test_one_asset_with_a_friday_bar_is_enough():
    early = weekdays("2024-01-01", "2024-01-11")
    assert labels(clean_bars(bars(A=early, B=TWO_WEEKS)))[-1] == "2024-01-12T16"


def test_inner_week_without_friday_stays_and_a_week_without_bars_has_no_row():
    closes = weekdays("2024-03-18", "2024-04-19")
    good_friday = {k: v for k, v in closes.items() if k[:10] != "2024-03-29"}
    assert labels(clean_bars(bars(A=good_friday)))[1] == "2024-03-28T16"
    hole = {k: v for k, v in closes.items() if not "2024-03-25" <= k[:10] <= "2024-03-29"}
    clean = clean_bars(bars(A=hole))
    assert len(clean.times) == 4
    assert clean.weekly["iso_week"].to_list() == ["2024-12", "2024-14", "2024-15", "2024-16"]


def test_start_and_end_are_inclusive_months_days_or_datetimes():
    table = bars(A=weekdays("2024-01-01", "2024-04-30"))
    assert labels(clean_bars(table, start="2024-02", end="2024-03"))[0] == "2024-02-09T16"
    assert labels(clean_bars(table, start="2024-02", end="2024-03"))[-1] == "2024-03-29T16"
    assert labels(clean_bars(table, start="2024-01-29", end="2024-02-09")) == [
        "2024-02-02T16",
        "2024-02-09T16",
    ]
    end = datetime(2024, 1, 12, 15, tzinfo=UTC)
    assert labels(clean_bars(table, end=end)) == ["2024-01-05T16"]
    assert labels(clean_bars(table, end=end.replace(hour=16)))[-1] == "2024-01-12T16"


def test_assets_select_and_order():
    table = bars(A=TWO_WEEKS, B=TWO_WEEKS, C=TWO_WEEKS)
    assert clean_bars(table, assets=["C", "A"]).returns.assets == ("C", "A")
    with pytest.raises(DataError, match=r"unknown asset 'X'; the bars have \['A', 'B', 'C'\]"):
        clean_bars(table, assets=["A", "X"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"return_type": "net"}, ParameterError, "return_type is 'net'"),
        ({"return_basis": "x"}, ParameterError, "return_basis is 'x'"),
        ({"assets": "A"}, ParameterError, "sequence of names"),
        ({"assets": ["A", "A"]}, ParameterError, "occurs twice"),
        ({"start": "January"}, ParameterError, "start: 'January' is not a time"),
        ({"end": 5j}, ParameterError, "end: 5j is not a time"),
        ({"start": "2030"}, ParameterError, "'2030' is not a time"),
        ({"start": "2030-01"}, DataError, "no bars between"),
        ({"end": "2024-01-03"}, DataError, "too short: no complete week"),
        ({"time_zone": "Mars/Base"}, ParameterError, "Mars/Base"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        clean_bars(bars(A=TWO_WEEKS), **arguments)


def test_asset_without_bars_in_the_range_is_named_if_asked_for():
    table = bars(A=TWO_WEEKS, B=weekdays("2024-02-05", "2024-02-09"))
    assert clean_bars(table, end="2024-01").assets == ("A",)
    with pytest.raises(DataError, match="'B' has no bar"):
        clean_bars(table, end="2024-01", assets=["A", "B"])


def test_a_clock_put_back_over_midnight_divides_no_day():
    # Casey, 2010-03-05 02:00 became 2010-03-04 23:00: at 14:00 UTC it was Friday, at 15:00 Thursday
    closes = {"2010-03-04 12": 100.0, "2010-03-04 14": 110.0}
    closes |= {"2010-03-04 15": 90.0, "2010-03-04 17": 105.0, "2010-03-05 12": 101.0}
    clean = clean_bars(bars(A=closes), time_zone="Antarctica/Casey", keep_partial=True)
    assert clean.daily.rows() == [
        (datetime(2010, 3, 4, 15, tzinfo=UTC), "A", 99.0, 102.0, 88.0, 90.0),
        (datetime(2010, 3, 5, 12, tzinfo=UTC), "A", 109.0, 112.0, 99.0, 101.0),
    ]
    assert clean.weekly["close"].to_list() == [101.0]


def test_days_and_weeks_are_whole_where_the_table_is_read_in_pieces(monkeypatch):
    table = simulated_market(n_assets=3, years=1, bar="1h", seed=5)
    whole = clean_bars(table, calendar="XNYS", end="2016-11-15")
    monkeypatch.setattr("fastpanel.data._blocks._ROWS", 7)
    pieces = clean_bars(
        table.sample(fraction=1, shuffle=True, seed=0), calendar="XNYS", end="2016-11-15"
    )
    assert pieces.weekly.equals(whole.weekly)
    assert pieces.daily.equals(whole.daily)
    assert pieces.meta == whole.meta
    twice = pl.concat([table[:14], table[6:7], table[13:14], table[14:]])
    with pytest.raises(DataError, match="occurs twice for this asset; 1 more bars"):
        read_bars(twice)


def test_time_zone_moves_the_days():
    # Sunday 16:00 UTC is Monday in Tokyo
    closes = TWO_WEEKS | {"2024-01-07 16": 150.0}
    clean = clean_bars(bars(A=closes), time_zone="Asia/Tokyo", keep_partial=True)
    assert clean.time_zone == "Asia/Tokyo"
    assert clean.weekly["close"].to_list()[0] == 100.0
    assert clean.weekly["high"].to_list()[1] == 152.0


def test_missing_days_stand_at_the_last_hour_of_the_others():
    gone = {k: v for k, v in TWO_WEEKS.items() if k[:10] not in ("2024-01-03", "2024-01-09")}
    clean = clean_bars(bars(A=TWO_WEEKS, B=gone))
    meta = clean.meta["daily"]
    assert meta["missing_days"] == {
        "A": [],
        "B": ["2024-01-03T16:00:00+00:00", "2024-01-09T16:00:00+00:00"],
    }
    assert meta["missing_days_per_month"] == {"A": {}, "B": {"2024-01": 2}}
    assert meta["rows_per_asset"] == {"A": 10, "B": 8}


def test_day_missing_for_all_takes_the_hour_of_the_weekday_before():
    closes = {k: v for k, v in TWO_WEEKS.items() if k[:10] not in ("2024-01-08", "2024-01-09")}
    closes["2024-01-05 18"] = 100.0
    missing = clean_bars(bars(A=closes)).meta["daily"]["missing_days"]["A"]
    assert missing == ["2024-01-08T18:00:00+00:00", "2024-01-09T18:00:00+00:00"]


def test_missing_days_are_bounded_by_the_assets_own_life():
    meta = clean_bars(bars(A=TWO_WEEKS, B=weekdays("2024-01-04", "2024-01-09"))).meta
    assert meta["daily"]["missing_days"]["B"] == []
    assert meta["weekly"]["rows_per_asset"] == {"A": 2, "B": 2}


def test_meta_is_json_and_names_missing_weeks():
    three = weekdays("2024-01-01", "2024-01-19")
    gone = {k: v for k, v in three.items() if not "2024-01-08" <= k[:10] <= "2024-01-12"}
    clean = clean_bars(bars(A=three, B=gone))
    meta = json.loads(json.dumps(clean.meta))
    assert meta["weekly"]["n_weeks"] == 3
    assert meta["weekly"]["first_week"] == "2024-01-05T16:00:00+00:00"
    assert meta["weekly"]["last_week"] == "2024-01-19T16:00:00+00:00"
    assert meta["weekly"]["missing_weeks"] == {"A": [], "B": ["2024-01-12T16:00:00+00:00"]}
    assert np.isnan(clean.returns.values[1, 1])
    assert np.isfinite(clean.returns.values).sum() == 5
    assert repr(clean) == "CleanBars(3 weeks, 2 assets, 2024-01-05 .. 2024-01-19)"


def test_wide_arrays_hold_the_long_tables():
    clean = clean_bars(simulated_market(n_assets=3, years=1, seed=2))
    for table, wide in ((clean.weekly, clean.weekly_arrays), (clean.daily, clean.daily_arrays)):
        pivot = table.to_pandas().pivot(index="timestamp", columns="asset", values="high")
        np.testing.assert_array_equal(wide.high, pivot[list(clean.assets)].to_numpy())
        assert (wide.times == pivot.index.tz_localize(None).to_numpy()).all()
    assert np.isnan(clean.weekly_arrays.close[:13, 2]).all()


def pandas_weeks(table: pl.DataFrame) -> pd.DataFrame:
    frame = table.to_pandas()
    frame["week"] = frame["timestamp"].dt.tz_localize(None).dt.to_period("W-SUN")
    grouped = frame.sort_values("timestamp").groupby(["week", "asset"])
    out = grouped.agg(
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        close=("close", "last"),
        first=("close", "first"),
    )
    out["simple"] = out["close"] / out["first"] - 1
    return out.reset_index()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), weekend=st.booleans())
def test_weeks_agree_with_pandas(seed, weekend):
    table = simulated_market(n_assets=3, years=0.3, gap_rate=0.1, seed=seed)
    if weekend:
        table = table.with_columns(pl.col("timestamp") + pl.duration(hours=61))
    clean = clean_bars(table, keep_partial=True)
    oracle = pandas_weeks(table).sort_values(["asset", "week"])
    for price in ("open", "high", "low", "close"):
        assert clean.weekly[price].to_list() == oracle[price].tolist()
    wide = oracle.pivot(index="week", columns="asset", values="simple").to_numpy()
    np.testing.assert_array_equal(clean.returns.values, wide)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), week=st.integers(3, 20))
def test_cutting_later_bars_leaves_earlier_weeks_and_days_alone(seed, week):
    table = simulated_market(n_assets=3, years=0.5, gap_rate=0.05, late_listers=0, seed=seed)
    whole = clean_bars(table)
    label = pl.lit(whole.times[week]).dt.replace_time_zone("UTC")
    part = clean_bars(table.filter(pl.col("timestamp") <= label))
    for name in ("weekly", "daily"):
        cut = getattr(whole, name).filter(pl.col("timestamp") <= label)
        assert getattr(part, name).equals(cut)


@needs_data
@pytest.mark.real_data
def test_real_fx_weeks_agree_with_pandas():
    table = read_bars(SHARED / "h4_fx_index.parquet").filter(
        pl.col("asset").is_in(["EURUSD", "DAX"])
    )
    clean = clean_bars(table, keep_partial=True)
    oracle = pandas_weeks(table).sort_values(["asset", "week"])
    assert clean.weekly["close"].to_list() == oracle["close"].tolist()
    assert (clean.daily["timestamp"].dt.weekday() <= 5).all()
    label = clean.weekly["timestamp"]
    assert (label.dt.weekday() == 7).mean() > 0.9  # FX weeks open on Sunday evening


@needs_data
@pytest.mark.real_data
def test_real_crypto_is_ragged_but_clean():
    clean = clean_bars(SHARED / "hourly_crypto.parquet")
    assert len(clean.assets) == 7
    first = np.argmax(np.isfinite(clean.returns.values), axis=0)
    assert first[clean.assets.index("BTCUSD")] == 0
    assert first.max() > 100
    # BTCUSD has no weekend bars, yet its Mondays are there
    assert clean.meta["daily"]["rows_per_asset"]["BTCUSD"] > 1500
