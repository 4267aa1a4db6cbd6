"""Exchange sessions: integers, clock changes, holidays, weeks."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

import fastpanel as fp
from fastpanel.data import quality, sessions
from fastpanel.data.stores import read_clean, write_clean
from fastpanel.errors import DataError, MissingExtraError, ParameterError

ZONES = {"XNYS": ("America/New_York", 9.5, 16.0), "XLON": ("Europe/London", 8.0, 16.5)}
# both sides of the clock changes of 2024: New York 10 March and 3 November, London 31 March and
# 27 October
CHANGES = {"XNYS": ("2024-03-10", "2024-11-03"), "XLON": ("2024-03-31", "2024-10-27")}


def local_hours(name: str, instants) -> list[float]:
    zone = ZoneInfo(ZONES[name][0])
    stamps = [datetime.fromtimestamp(ns / 1e9, zone) for ns in instants.tolist()]
    return [stamp.hour + stamp.minute / 60 for stamp in stamps]


@pytest.mark.parametrize("name", ["XNYS", "XLON"])
def test_sessions_are_integers_and_keep_local_hours_across_clock_changes(name):
    for change in CHANGES[name]:
        day = np.datetime64(change)
        found = sessions(name, str(day - 9), str(day + 9))
        assert {a.dtype for a in (found.dates, found.opens, found.closes)} == {np.dtype("int64")}
        _, opens, closes = ZONES[name]
        assert set(local_hours(name, found.opens)) == {opens}
        assert set(local_hours(name, found.closes)) == {closes}
        utc = {ns // 60_000_000_000 % 1440 for ns in found.opens.tolist()}
        assert len(utc) == 2  # the clock did change in between


def test_holidays_and_short_days():
    found = sessions("XNYS", "2024-11-25", "2024-11-30")  # Thanksgiving, then half a day
    assert found.dates.astype("datetime64[D]").astype(str).tolist() == [
        "2024-11-25",
        "2024-11-26",
        "2024-11-27",
        "2024-11-29",
    ]
    assert local_hours("XNYS", found.closes) == [16.0, 16.0, 16.0, 13.0]
    assert repr(found) == "Sessions(XNYS, 4 sessions, 2024-11-25 .. 2024-11-29)"


def test_a_time_counts_for_the_session_that_closes_next():
    found = sessions("XNYS", "2024-03-04", "2024-03-22")
    dates = found.dates.astype("datetime64[D]").astype(str)
    expected = {
        "2024-03-08T14:29": "2024-03-08",  # before the open
        "2024-03-08T20:59": "2024-03-08",  # winter: 16:00 is 21:00 UTC
        "2024-03-08T21:00": "2024-03-11",  # the close itself is over
        "2024-03-10T12:00": "2024-03-11",  # a Sunday
        "2024-03-11T19:59": "2024-03-11",  # summer: 16:00 is 20:00 UTC
        "2024-03-11T20:00": "2024-03-12",
        "2024-03-12T00:00": "2024-03-12",  # a daily bar
    }
    assert dates[found.index(list(expected))].tolist() == list(expected.values())
    for outside in ("2024-03-23", "2023-01-01"):
        with pytest.raises(DataError, match="outside the 15 sessions of XNYS"):
            found.index([outside])


def test_the_library_is_asked_once(monkeypatch):
    first = sessions("XNYS", "2024-03-04", "2024-03-22")
    monkeypatch.setattr("fastpanel.data._calendar.require", lambda *_: 1 / 0)
    again = sessions("XNYS", "2024-05-04", "2024-06-22")
    assert np.shares_memory(first.dates.base, again.dates.base)


def test_wrong_names_and_ranges():
    with pytest.raises(ParameterError, match=r"unknown calendar 'NYSX'; .*XNYS"):
        sessions("NYSX", "2024-01", "2024-02")
    with pytest.raises(ParameterError, match="end 2024-01 lies before start 2024-02"):
        sessions("XNYS", "2024-02", "2024-01")
    with pytest.raises(DataError, match="calendar XKRX does not cover 1950"):
        sessions("XKRX", "1950-01", "1950-02")


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(MissingExtraError, match=r"fastpanel\[calendars\]"):
        sessions("XTKS", "2001-01", "2001-02")


def session_bars(name: str, first: str, last: str, hours: int = 1) -> pl.DataFrame:
    """Hourly bars that begin at each open, priced by the session's number and the hour."""
    rows = []
    known = sessions(name, first, last)
    for number, (begin, end) in enumerate(zip(known.opens, known.closes, strict=True)):
        stamp, hour = int(begin), 0
        while stamp < end:
            rows.append((datetime.fromtimestamp(stamp / 1e9, UTC), 100.0 + number + hour / 100))
            stamp, hour = stamp + hours * 3_600_000_000_000, hour + 1
    times, prices = zip(*rows, strict=True)
    table = pl.DataFrame({"timestamp": times, "asset": "A", "close": prices})
    return table.with_columns(open=pl.col("close"), high=pl.col("close"), low=pl.col("close"))


@pytest.mark.parametrize("name", ["XNYS", "XLON"])
def test_days_are_sessions_on_both_sides_of_a_clock_change(name):
    bars = session_bars(name, "2024-02-26", "2024-11-29")
    clean = fp.clean_bars(bars, calendar=name)
    known = sessions(name, "2024-02-26", "2024-11-29")
    assert clean.daily.height == len(known)
    days = clean.day_numbers(clean.daily_arrays.times)
    np.testing.assert_array_equal(days, known.dates)
    np.testing.assert_array_equal(clean.daily["open"], 100.0 + np.arange(len(known)))
    assert clean.meta["daily"]["missing_days"] == {"A": []}
    assert clean.meta["calendar"] == name


def test_weeks_end_with_their_last_session():
    bars = session_bars("XNYS", "2024-03-18", "2024-03-28")  # 29 March is Good Friday
    plain = fp.clean_bars(bars)
    assert plain.meta["weekly"]["partial_weeks_dropped"] == ["2024-13"]
    clean = fp.clean_bars(bars, calendar="XNYS")
    assert clean.meta["weekly"]["partial_weeks_dropped"] == []
    assert clean.weekly["iso_week"].to_list() == ["2024-12", "2024-13"]
    cut = fp.clean_bars(
        bars.filter(pl.col("timestamp") < datetime(2024, 3, 28, tzinfo=UTC)), calendar="XNYS"
    )
    assert cut.meta["weekly"]["partial_weeks_dropped"] == ["2024-13"]
    # a week that begins on a Tuesday is whole when the Monday is a holiday
    late = session_bars("XNYS", "2024-01-02", "2024-01-12")
    assert fp.clean_bars(late).weekly["iso_week"].to_list() == ["2024-02"]
    whole = fp.clean_bars(late, calendar="XNYS")
    assert whole.weekly["iso_week"].to_list() == ["2024-01", "2024-02"]


def test_bars_after_the_close_belong_to_the_next_session_and_week():
    bars = session_bars("XNYS", "2024-03-04", "2024-03-15")
    late = datetime(2024, 3, 8, 22, tzinfo=UTC)  # Friday, an hour after the close
    price = {name: [500.0] for name in ("open", "high", "low", "close")}
    extra = pl.DataFrame({"timestamp": [late], "asset": ["A"], **price})
    clean = fp.clean_bars(pl.concat([bars, extra], how="diagonal"), calendar="XNYS")
    assert clean.weekly["high"].to_list()[0] < 500.0
    monday = clean.daily.row(5, named=True)
    assert (monday["open"], monday["high"], monday["close"]) == (500.0, 500.0, 105.06)
    # without a bar of the session itself there is no daily row
    only = pl.concat([bars.filter(pl.col("timestamp").dt.day() != 11), extra], how="diagonal")
    less = fp.clean_bars(only, calendar="XNYS")
    assert less.daily.height == clean.daily.height - 1
    assert less.meta["daily"]["missing_days_per_month"] == {"A": {"2024-03": 1}}
    # and at the end of the data such a bar does not complete a week
    ends = bars.filter(pl.col("timestamp") < datetime(2024, 3, 15, tzinfo=UTC))
    after = extra.with_columns(timestamp=pl.lit(datetime(2024, 3, 14, 22, tzinfo=UTC)))
    cut = fp.clean_bars(pl.concat([ends, after], how="diagonal"), calendar="XNYS")
    assert cut.meta["weekly"]["partial_weeks_dropped"] == ["2024-11"]


def test_daily_bars_at_midnight_are_those_of_their_date():
    days = sessions("XNYS", "2024-01-02", "2024-06-28").dates.astype("datetime64[D]")
    prices = dict.fromkeys(("open", "high", "low", "close"), np.arange(1.0, len(days) + 1))
    bars = pl.DataFrame({"date": days, "asset": "A", **prices})
    clean = fp.clean_bars(bars, calendar="XNYS")
    plain = fp.clean_bars(bars)
    assert clean.daily.equals(plain.daily)
    np.testing.assert_array_equal(
        clean.day_numbers(clean.daily_arrays.times), days.astype(np.int64)
    )


def test_features_of_daily_bars_are_those_without_a_calendar_and_come_back_from_the_lake(tmp_path):
    days = sessions("XLON", "2022-01-03", "2023-12-29").dates.astype("datetime64[D]")
    rng = np.random.default_rng(0)
    parts = []
    for asset in "AB":
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
        prices = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
        parts.append(pl.DataFrame({"date": days, "asset": asset, **prices}))
    bars = pl.concat(parts)
    clean = fp.clean_bars(bars, calendar="XLON", start="2022-01-10")
    expected = fp.features.compute(fp.clean_bars(bars, start="2022-01-10"))
    found = fp.features.compute(clean)
    np.testing.assert_array_equal(found.values, expected.values)
    stored = read_clean(write_clean(clean, tmp_path))
    assert stored.calendar == "XLON"
    np.testing.assert_array_equal(fp.features.compute(stored).values, expected.values)
    assert quality(bars, clean).ok
    assert fp.audit(clean, groups="seasonal", cuts=2).ok


def test_weekend_sessions_and_two_zones_are_refused():
    bars = session_bars("XNYS", "2024-03-04", "2024-03-15")
    with pytest.raises(DataError, match="24/7 has a session at the weekend"):
        fp.clean_bars(bars, calendar="24/7")
    with pytest.raises(ParameterError, match="has its own time zone"):
        fp.clean_bars(bars, calendar="XNYS", time_zone="Europe/London")


def test_a_future_bar_moves_no_earlier_session():
    bars = session_bars("XLON", "2024-03-04", "2024-04-26")
    whole = fp.clean_bars(bars, calendar="XLON")
    cut = fp.clean_bars(
        bars.filter(pl.col("timestamp") <= whole.weekly["timestamp"][3]), calendar="XLON"
    )
    assert cut.weekly.equals(whole.weekly[:4])
    assert cut.daily.equals(whole.daily[: cut.daily.height])
    assert cut.weekly["timestamp"][-1] - cut.weekly["timestamp"][-2] < timedelta(days=8)
