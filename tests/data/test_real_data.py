"""What the reports say about the defects that the real data sets are known to have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastpanel as fp
from fastpanel.data import quality, sessions

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no market data beside the project"),
]


def findings(name: str) -> dict[tuple[str, str], tuple]:
    report = quality(DATA / name)
    return {(row[0], row[1]): row[2:] for row in report.findings.rows()}


def assets_with(found, reason) -> set[str]:
    return {asset for asset, why in found if why == reason}


def test_hourly_crypto_staggered_starts_coarse_prices_and_no_weekends():
    found = findings("hourly_crypto.parquet")
    assert assets_with(found, "starts late") == {
        "ADAUSDT", "ETHUSDT", "LTCUSDT", "SOLUSDT", "UNIUSDT", "XRPUSDT",
    }  # fmt: skip
    assert found["SOLUSDT", "starts late"][3] == "first bar 2020-08-11"
    assert found["XRPUSDT", "ends early"] == (40, "2022-49", "2023-36", "last bar 2022-11-30")
    assert assets_with(found, "no weekends") == {"BTCUSD"}
    assert assets_with(found, "coarse price") == {"ADAUSDT"}
    weeks, first, last, _ = found["ADAUSDT", "coarse price"]
    assert (weeks, first, last) == (109, "2018-34", "2020-46")
    assert found["ETHUSDT", "extreme move"][3] == "2020-03-12 -44.6%"
    assert found["UNIUSDT", "hours change"][3] == "bars a day: 24 (2020-2022), 16 (2023)"


def test_hourly_indices_change_their_hours_and_currencies_do_not():
    found = findings("hourly_fx_index.parquet")
    indices = {"DAX", "DOW30", "NASDAQ100", "SP500"}
    assert assets_with(found, "hours change") == indices
    text = "bars a day: 23 (2013-2014), 15 (2015-2017), 23 (2018-2023)"
    assert found["SP500", "hours change"][3] == text
    assert found["BRENT", "extreme move"][3].startswith("2020-03-09 -26.6%")
    assert found["GBPUSD", "extreme move"][3] == "2016-06-24 -6.4%"
    assert assets_with(found, "days missing") == {*indices, "BRENT", "EURUSD", "XAUUSD"}
    assert found["EURUSD", "ends early"][3] == "last bar 2018-12-31"
    assert assets_with(found, "starts late").isdisjoint({"EURUSD"})
    assert not assets_with(found, "no bars")


def test_the_franc_of_january_2015_is_shown_and_kept():
    found = findings("h4_fx_index.parquet")
    assert found["EURCHF", "extreme move"][3].startswith("2015-01-15 -17.3%")
    clean = fp.clean_bars(DATA / "h4_fx_index.parquet", assets=["EURCHF"])
    week = clean.weekly.row(by_predicate=pl.col("iso_week") == "2015-03", named=True)
    assert week["low"] < 0.9
    assert week["high"] > 1.19


def test_daily_stocks_with_short_histories_and_days_without_volume():
    found = findings("daily_us_equity_2012_2017.parquet")
    assert assets_with(found, "starts late") == {"ABBV", "AGFS", "BABA", "GMRE"}
    assert assets_with(found, "zero volume") == {"AGFS", "PTR", "SPLP"}
    assert found["AGFS", "zero volume"][3] == "49 bars, 7.0% of all"
    assert not assets_with(found, "few bars")


def test_unadjusted_a_shares_show_bonus_issues_and_suspensions():
    found = findings("daily_cn_equity_2020_2026.parquet")
    assert found["002594.SZ", "extreme move"][3] == "2025-07-29 -66.9%"
    assert found["688012.SH", "no bars"][:3] == (2, "2025-52", "2026-01")
    assert len(assets_with(found, "no bars")) == 8


def test_clean_intraday_bars_have_nothing_to_report():
    assert quality(DATA / "m15_us_equity_cfd.parquet").ok


def test_sessions_of_new_york_on_hourly_stocks():
    pytest.importorskip("exchange_calendars")
    bars = fp.read_bars(DATA / "hourly_us_equity.parquet")
    clean = fp.clean_bars(bars, calendar="XNYS")
    plain = fp.clean_bars(bars)
    # every session since 1998 has a bar of every stock, so no day is missing
    assert not any(clean.meta["daily"]["missing_days"].values())
    assert any(plain.meta["daily"]["missing_days"].values())  # holidays count as weekdays there
    # trading hours lie within one UTC date, summer and winter, so the rows are the same, but for
    # half days with bars after the close, which count for the next session
    assert clean.daily.height == plain.daily.height == 23_396
    moved = plain.daily.join(clean.daily, on=["timestamp", "asset"], how="anti")
    assert moved.height == 4 * 23
    known = sessions("XNYS", "1998-01", "2021-03")
    half_days = known.dates[known.closes - known.opens < 6 * 3_600_000_000_000]
    days = moved["timestamp"].dt.date().to_physical().to_numpy()
    assert np.isin(days, half_days).all()


def test_no_built_in_feature_looks_ahead_on_ragged_hourly_bars():
    bars = fp.read_bars(DATA / "hourly_crypto.parquet")
    report = fp.audit(bars, cuts=2, allow_ragged=True)
    assert report.ok, str(report)
    assert len(report.checked) >= 45
