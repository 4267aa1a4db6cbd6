"""Each kind of defect is planted in a market that has none, and nothing else is reported."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import fastpanel as fp
from fastpanel.data import REASONS, quality
from fastpanel.data.defects import WHOLE_LIFE

PRICES = ["open", "high", "low", "close"]
day = pl.col("timestamp").dt.date()
IS_B = pl.col("asset") == "SIM01"


@pytest.fixture(scope="module")
def market():
    return fp.data.simulated_market(
        n_assets=4, years=3, bar="4h", late_listers=0, gap_rate=0.0, start="2021-01-04", seed=5
    )


def found(bars):
    return quality(bars).findings.rows()


def days(first: str, last: str | None = None):
    return day.is_between(date.fromisoformat(first), date.fromisoformat(last or first))


def test_a_market_without_defects_has_no_finding(market):
    report = quality(market)
    assert report.ok
    assert not report.flags.any()
    assert str(report) == "4 assets, 156 weeks: 0 findings on 0 assets\nnothing found"
    assert report.assets.select("weeks", "bars_per_day", "days_missing").row(1) == (156, 6.0, 0)


def test_a_week_without_bars(market):
    bars = market.filter(~(IS_B & days("2021-05-31", "2021-06-06")))
    assert found(bars) == [("SIM01", "no bars", 1, "2021-22", "2021-22", "")]
    assert quality(bars).assets["weeks_without_bars"].to_list() == [0, 1, 0, 0]


def test_missing_weekdays_are_counted_by_week(market):
    gone = days("2021-06-02", "2021-06-03") | days("2021-09-15")
    report = quality(market.filter(~(IS_B & gone)))
    expected = ("SIM01", "days missing", 2, "2021-22", "2021-37", "3 weekdays")
    assert report.findings.rows() == [expected]
    assert report.weeks.rows() == [
        ("SIM01", "2021-22", "days missing", 2.0),
        ("SIM01", "2021-37", "days missing", 1.0),
    ]
    flag = 1 + list(REASONS).index("days missing")
    assert report.flags[:, 1].nonzero()[0].tolist() == [21, 36]
    assert set(report.flags[:, 1]) == {0, flag}


def test_a_day_that_most_assets_miss_is_a_holiday(market):
    one_trades = market.filter(~(days("2021-06-02") & (pl.col("asset") != "SIM02")))
    assert quality(one_trades).ok
    two_trade = market.filter(~(days("2021-06-02") & pl.col("asset").is_in(["SIM00", "SIM01"])))
    assert [row[:3] for row in found(two_trade)] == [
        ("SIM00", "days missing", 1),
        ("SIM01", "days missing", 1),
    ]


def test_few_bars(market):
    thin = IS_B & days("2021-06-07", "2021-06-13") & (pl.col("timestamp").dt.hour() > 11)
    expected = ("SIM01", "few bars", 1, "2021-23", "2021-23", "as few as 3.0 a day")
    assert found(market.filter(~thin)) == [expected]


def test_one_short_day_is_no_thin_week(market):
    short = IS_B & days("2021-06-09") & (pl.col("timestamp").dt.hour() > 3)
    assert quality(market.filter(~short)).ok


def test_coarse_prices(market):
    step = 0.5 * market.filter(IS_B)["close"].median() * 0.01
    rounded = [
        pl.when(IS_B).then((pl.col(p) / step).round().clip(1) * step).otherwise(pl.col(p))
        for p in PRICES
    ]
    (row,) = [row for row in found(market.with_columns(rounded)) if row[1] == "coarse price"]
    assert row[0] == "SIM01"
    assert row[2] >= 52
    # an independent look at one year: the step against the median daily move
    b = market.with_columns(rounded).filter(IS_B & (day.dt.year() == 2022))
    daily = b.group_by_dynamic("timestamp", every="1d").agg(pl.col("close").last())["close"]
    move = np.median(np.abs(np.diff(np.log(daily.to_numpy()))))
    year = quality(market.with_columns(rounded)).weeks.filter(
        (pl.col("reason") == "coarse price") & pl.col("iso_week").str.starts_with("2022")
    )
    weekly = fp.clean_bars(b).weekly.select("iso_week", "close")
    compared = year.join(weekly, on="iso_week")
    assert compared.height >= 40
    np.testing.assert_allclose(compared["amount"], step / compared["close"] / move, rtol=0.05)


def test_an_unadjusted_split_is_an_extreme_move_with_its_date(market):
    halved = [
        pl.when(IS_B & (day >= date(2022, 3, 2))).then(pl.col(p) / 2).otherwise(pl.col(p))
        for p in PRICES
    ]
    (row,) = found(market.with_columns(halved))
    assert row[:5] == ("SIM01", "extreme move", 1, "2022-09", "2022-09")
    assert row[5].startswith("2022-03-02 -5")  # -50% and the day's own move


def test_days_without_range(market):
    flat = IS_B & days("2021-06-09", "2021-06-10")
    level = market.filter(IS_B & days("2021-06-08"))["close"][-1]
    bars = market.with_columns(
        [pl.when(flat).then(level).otherwise(pl.col(p)).alias(p) for p in PRICES]
    )
    assert found(bars) == [("SIM01", "no range", 1, "2021-23", "2021-23", "2 days")]


def test_zero_volume(market):
    none = IS_B & days("2021-06-09")
    bars = market.with_columns(volume=pl.when(none).then(0.0).otherwise(pl.col("volume")))
    share = 6 / market.filter(IS_B).height
    expected = ("SIM01", "zero volume", 1, "2021-23", "2021-23", f"6 bars, {share:.1%} of all")
    assert found(bars) == [expected]
    assert quality(bars.drop("volume")).ok


def test_trading_hours_that_change(market):
    gone = IS_B & (day.dt.year() == 2022) & (pl.col("timestamp").dt.hour() >= 16)
    rows = found(market.filter(~gone))
    assert [row[1] for row in rows] == ["hours change"]
    assert rows[0][5] == "bars a day: 6 (2021), 4 (2022), 6 (2023)"


def test_an_asset_without_weekends_among_assets_that_trade_on_them():
    stamps = [datetime(2021, 1, 4, tzinfo=UTC) + timedelta(days=d) for d in range(7 * 30)]
    rng = np.random.default_rng(0)
    parts = []
    for name in "ABC":
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(stamps))))
        prices = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
        parts.append(pl.DataFrame({"timestamp": stamps, "asset": name, **prices}))
    bars = pl.concat(parts)
    weekend = (pl.col("asset") == "B") & (pl.col("timestamp").dt.weekday() > 5)
    (row,) = found(bars.filter(~weekend))
    assert row == ("B", "no weekends", 30, "2021-01", "2021-30", "others trade on Saturdays")
    assert not quality(bars.filter(~weekend)).flags.any()
    assert quality(bars).ok


def test_late_starts_and_early_ends(market):
    bars = market.filter(~(IS_B & ((day < date(2021, 3, 3)) | (day > date(2023, 6, 7)))))
    assert [row[1:] for row in found(bars)] == [
        ("starts late", 8, "2021-01", "2021-08", "first bar 2021-03-03"),
        ("ends early", 29, "2023-24", "2023-52", "last bar 2023-06-07"),
    ]


def test_dropped_weeks_and_the_range_of_the_cleaning(market):
    clean = fp.clean_bars(market, start="2021-06-02", end="2022-12", assets=["SIM01", "SIM03"])
    report = quality(market, clean)
    assert report.partial_weeks == ("2021-22",)
    assert report.names == ("SIM01", "SIM03")
    assert report.flags.shape == (len(clean.times), 2)
    assert report.assets["first"].to_list() == [date(2021, 6, 7)] * 2
    assert "dropped because the data cut them: 2021-22" in str(report)


def test_the_local_week_counts(market):
    clean = fp.clean_bars(market, time_zone="Asia/Tokyo")
    assert set(quality(market, clean).findings["reason"]) <= {"starts late", "ends early"}


def test_the_text_keeps_the_gravest_findings(market):
    bars = market.filter(~(IS_B & (days("2021-05-31", "2021-06-06") | days("2021-09-15"))))
    report = quality(bars)
    assert repr(report) == "Quality(4 assets, 156 weeks: 2 findings on 1 assets)"
    lines = report.lines(most=1)
    assert lines[1].split() == ["asset", "reason", "weeks", "from", "to", "detail"]
    assert lines[2].split() == ["SIM01", "no", "bars", "1", "2021-22", "2021-22"]
    assert lines[3] == "and 1 more findings"


def test_tables_and_reasons(market):
    assert sorted(quality(market).tables()) == [
        "quality_assets",
        "quality_findings",
        "quality_weeks",
    ]
    assert set(WHOLE_LIFE) < set(REASONS)
