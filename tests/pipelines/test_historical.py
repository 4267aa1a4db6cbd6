"""Downloads: providers, exporters, concurrency, coverage."""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.pipelines.conftest import hours

import fastpanel as fp
from fastpanel.data.history import exporters, providers
from fastpanel.errors import ConfigError, DataError, UnknownNameError
from fastpanel.pipelines import Environment, download_history, load_tickers

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
NOW = datetime(2024, 3, 10, 12, 30, tzinfo=UTC)
TICKERS = {
    "tickers": ["EUR.USD", {"symbol": "SPY", "currency": "USD"}],
    "duration": "2 M",
    "bar_size": "1 hour",
    "what_to_show": "MIDPOINT",
}


class Scripted:
    """A provider of the tests' own: one bar an hour, and a record of what it was asked."""

    def __init__(self, fail=(), delay=0.0):
        self.fail, self.delay = set(fail), delay
        self.requests, self.in_flight, self.most, self.closed = [], 0, 0, False
        self.lock = threading.Lock()

    def fetch(self, request):
        with self.lock:
            self.requests.append(request)
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
        time.sleep(self.delay)
        with self.lock:
            self.in_flight -= 1
        if (request.asset, request.month) in self.fail:
            raise DataError("no permission for this contract")
        stamps = np.arange(
            request.start, request.start + np.timedelta64(40, "D"), 3_600_000_000_000
        )
        weekday = np.is_busday(stamps.astype("datetime64[D]"))
        names = [str(stamp)[:19] for stamp in stamps[weekday]]
        return hours(request.asset, dict.fromkeys(names, 1.25)).drop("asset")

    def close(self):
        self.closed = True


@pytest.fixture
def scripted(environment, tmp_path):
    """Register a scripted provider under its own name for one test."""
    registry = providers()
    before = dict(registry)

    def use(**options):
        provider = Scripted(**options)
        registry._items["scripted"] = lambda *_: provider
        return provider

    yield use
    registry._items.clear()
    registry._items.update(before)


def settings(environment, **values):
    return Environment({**environment._values, **values})


def run(environment, tickers=TICKERS, **options):
    return download_history(tickers, environment=environment, now=NOW, progress=False, **options)


def test_bars_land_in_one_file_per_asset_and_month(environment, scripted):
    provider = scripted()
    report = run(settings(environment, HISTORICAL_DATA_PROVIDER="scripted"))
    root = environment.folder("DATA_SOURCE")
    path = root / "EUR.USD" / "2024" / "hist_data_2024-02.csv"
    assert path in report.files
    assert len(report.files) == 4
    lines = path.read_text().splitlines()
    assert lines[0] == "timestamp,open,high,low,close,volume"
    assert lines[1] == "2024-02-01T00:00:00+00:00,1.25,1.25,1.25,1.25,"
    assert lines[-1].startswith("2024-02-29T23:00:00+00:00")
    assert provider.closed
    bars = fp.read_bars(root)
    assert bars["asset"].unique().sort().to_list() == ["EUR.USD", "SPY"]
    # the newest bar is the last complete one
    assert str(bars["timestamp"].max()) == "2024-03-08 23:00:00+00:00"


def test_a_bar_that_is_not_complete_is_left_out(environment, scripted):
    scripted()
    tickers = {**TICKERS, "duration": "1 D"}
    now = datetime(2024, 3, 6, 12, 30, tzinfo=UTC)
    download_history(
        tickers,
        environment=settings(environment, HISTORICAL_DATA_PROVIDER="scripted"),
        now=now,
        progress=False,
    )
    bars = fp.read_bars(environment.folder("DATA_SOURCE"))
    assert str(bars["timestamp"].max()) == "2024-03-06 11:00:00+00:00"


def test_requests_carry_the_fields_of_the_ticker_file(environment, scripted):
    provider = scripted()
    run(settings(environment, HISTORICAL_DATA_PROVIDER="scripted"))
    asked = sorted(provider.requests, key=lambda r: (r.asset, r.start))
    assert [(r.asset, r.month) for r in asked] == [
        ("EUR.USD", "2024-02"),
        ("EUR.USD", "2024-03"),
        ("SPY", "2024-02"),
        ("SPY", "2024-03"),
    ]
    assert str(asked[1].end) == "2024-03-10T12:30:00.000000000"
    assert {(r.bar_size, r.what_to_show) for r in asked} == {("1 hour", "MIDPOINT")}
    assert asked[0].contract == {"symbol": "EUR.USD"}
    assert asked[2].contract == {"symbol": "SPY", "currency": "USD"}


@pytest.mark.parametrize(("limit", "expected"), [("2", 2), ("1", 1)])
def test_never_more_requests_than_allowed(environment, scripted, limit, expected):
    provider = scripted(delay=0.05)
    run(
        settings(environment, HISTORICAL_DATA_PROVIDER="scripted", MAX_PARALLEL_REQUESTS=limit),
        {**TICKERS, "duration": "6 M"},
    )
    assert len(provider.requests) == 12
    assert provider.most == expected


def test_a_failed_request_stops_no_other_and_is_reported(environment, scripted):
    scripted(fail=[("SPY", "2024-02")])
    report = run(settings(environment, HISTORICAL_DATA_PROVIDER="scripted"))
    assert report.failed == {"SPY 2024-02": "no permission for this contract"}
    assert len(report.files) == 3
    with pytest.raises(DataError, match="download of SPY 2024-02 failed: no permission"):
        report.raise_if_failed()
    stored = json.loads((environment.folder("DATA_SOURCE") / "coverage.json").read_text())
    assert stored["assets"]["SPY"]["months_without_bars"] == ["2024-02"]
    assert stored["failed"] == report.failed
    run(settings(environment, HISTORICAL_DATA_PROVIDER="scripted"), TICKERS | {"tickers": ["SPY"]})


def test_months_that_were_complete_are_not_fetched_again(environment, scripted):
    provider = scripted()
    env = settings(environment, HISTORICAL_DATA_PROVIDER="scripted")
    for path in run(env).files:
        late = datetime(2024, 3, 2, tzinfo=UTC).timestamp()  # a day after the end of February
        os.utime(path, (late, late))
    assert run(env).skipped == 2
    assert sorted(r.month for r in provider.requests[4:]) == ["2024-03", "2024-03"]
    assert run(env, refresh=True).skipped == 0
    other = {**TICKERS, "what_to_show": "TRADES"}
    assert run(env, other).skipped == 0  # prices of another kind are not the same bars


def test_coverage_counts_gaps(environment, tmp_path):
    bars = hours(
        "A",
        {f"2024-{m:02d}-{d:02d}T00:00:00": 1.0 for m in (1, 3) for d in (4, 5, 8, 10, 11, 12)
         if np.is_busday(f"2024-{m:02d}-{d:02d}")},
    )  # fmt: skip
    bars.write_parquet(tmp_path / "bars.parquet")
    tickers = {
        "tickers": ["A"],
        "duration": "3 M",
        "bar_size": "1 day",
        "what_to_show": "TRADES",
        "end": "2024-03-31",
        "provider_options": {"path": str(tmp_path / "bars.parquet")},
    }
    report = download_history(
        tickers,
        environment=settings(environment, HISTORICAL_DATA_PROVIDER="parquet"),
        progress=False,
    )
    record = report.coverage["assets"]["A"]
    assert record["months_without_bars"] == ["2024-02"]
    assert record["bars"] == 11
    assert record["first"] == "2024-01-04T00:00:00+00:00"
    # January: 9th and 15th to 31st; February: all 21; March: 1st, 6th and 7th
    assert record["weekdays_without_bars"] == {"2024-01": 14, "2024-02": 21, "2024-03": 3}


def test_default_provider_and_exporter_are_csv(environment, tmp_path):
    market = fp.data.simulated_market(n_assets=2, years=1, bar="1d", late_listers=0)
    for (asset,), part in market.group_by("asset"):
        part.drop("asset").write_csv(tmp_path / f"{asset}.csv")
    tickers = {
        "tickers": ["SIM00", "SIM01"],
        "duration": "12 M",
        "bar_size": "1 day",
        "what_to_show": "TRADES",
        "end": "2016-12-31",
        "provider_options": {"path": str(tmp_path)},
    }
    report = download_history(tickers, environment=environment, progress=False)
    assert {path.suffix for path in report.files} == {".csv"}
    back = fp.read_bars(environment.folder("DATA_SOURCE"))
    assert back.equals(fp.read_bars(market).filter(pl.col("timestamp").dt.year() == 2016))


def test_the_simulated_market_keeps_its_past(environment):
    tickers = {**TICKERS, "tickers": ["SIM01"], "bar_size": "1 day", "duration": "1 M"}
    env = settings(
        environment, HISTORICAL_DATA_PROVIDER="simulated", HISTORICAL_DATA_EXPORTER="parquet"
    )
    path = environment.folder("DATA_SOURCE") / "SIM01" / "2023" / "hist_data_2023-05.parquet"
    download_history({**tickers, "end": "2023-05-31"}, environment=env, progress=False)
    first = path.read_bytes()
    longer = {**tickers, "end": "2023-07-31", "duration": "3 M"}
    download_history(longer, environment=env, refresh=True, progress=False)
    assert path.read_bytes() == first
    with pytest.raises(ConfigError, match="HISTORICAL_DATA_EXPORTER is 'csv'"):
        download_history(
            longer,
            environment=settings(environment, HISTORICAL_DATA_PROVIDER="simulated"),
            progress=False,
        )


@pytest.mark.parametrize(
    ("variables", "error", "words"),
    [
        (
            {"HISTORICAL_DATA_PROVIDER": "bloomberg"},
            UnknownNameError,
            r"\['alpaca', 'alpha_vantage', 'csv', 'ib', 'parquet', 'simulated', 'yahoo'\]",
        ),
        ({"HISTORICAL_DATA_EXPORTER": "hdf"}, UnknownNameError, r"\['csv', 'parquet'\]"),
        ({"MAX_PARALLEL_REQUESTS": "0"}, ConfigError, "at least 1"),
        ({"MAX_PARALLEL_REQUESTS": "many"}, ConfigError, "MAX_PARALLEL_REQUESTS"),
        ({"DATA_SOURCE": ""}, ConfigError, "DATA_SOURCE is not set"),
        ({}, ConfigError, "provider 'csv' needs the option path"),
    ],
)
def test_wrong_variables_are_named(environment, variables, error, words):
    with pytest.raises(error, match=words):
        run(settings(environment, **variables))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"duration": "two years"}, "duration: give a number and D, W, M or Y"),
        ({"bar_size": "7 mins"}, "bar_size: choose one of"),
        ({"tickers": []}, "tickers"),
        ({"tickers": ["A", "A"]}, "'A' occurs twice"),
        ({"tickers": ["../A"]}, "tickers"),
        ({"colour": 1}, "unknown key"),
    ],
)
def test_mistakes_in_the_ticker_file_are_named(change, words):
    with pytest.raises(ConfigError, match=words):
        load_tickers({**TICKERS, **change})


@pytest.mark.parametrize("key", ["tickers", "duration", "bar_size", "what_to_show"])
def test_a_missing_key_is_named(key):
    values = {name: value for name, value in TICKERS.items() if name != key}
    with pytest.raises(ConfigError, match=f"{key}: required"):
        load_tickers(values)


def test_a_missing_ticker_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match=r"copy config/tickers\.example\.yml there"):
        load_tickers(tmp_path / "tickers.yml")


def test_the_example_file_holds_the_four_keys():
    file = load_tickers(ROOT / "examples" / "data_commands" / "config" / "tickers.example.yml")
    assert [ticker.asset for ticker in file.tickers][:2] == ["SIM00", "SIM01"]
    assert (file.duration, file.bar_size, file.what_to_show) == ("5 Y", "4 hours", "MIDPOINT")


def test_a_wrong_bar_size_and_an_unknown_asset_fail_by_name(environment):
    env = settings(environment, HISTORICAL_DATA_PROVIDER="simulated")
    tickers = {**TICKERS, "tickers": ["GOLD"], "bar_size": "1 day", "duration": "1 M"}
    reason = next(iter(run(env, tickers).failed.values()))
    assert "unknown asset 'GOLD'" in reason
    reason = next(iter(run(env, {**tickers, "bar_size": "5 mins"}).failed.values()))
    assert "the simulated market has" in reason
    with pytest.raises(ConfigError, match="does not know it"):
        run(env, {**tickers, "provider_options": {"assets": 3}})


def test_your_own_exporter(environment, scripted):
    scripted()
    registry, written = exporters(), []
    registry._items["names"] = lambda root, asset, month, bars: written.append(asset) or root
    try:
        run(
            settings(
                environment,
                HISTORICAL_DATA_PROVIDER="scripted",
                HISTORICAL_DATA_EXPORTER="names",
            )
        )
    finally:
        del registry._items["names"]
    assert sorted(set(written)) == ["EUR.USD", "SPY"]


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared market data are not there")
def test_real_daily_files(environment):
    tickers = {
        "tickers": ["SPY", "TLT"],
        "duration": "1 Y",
        "bar_size": "1 day",
        "what_to_show": "ADJUSTED_LAST",
        "end": "2019-12-31",
        "provider_options": {"path": str(DATA / "etf_daily_csv")},
    }
    report = download_history(tickers, environment=environment, progress=False)
    assert len(report.files) == 24
    raw = (DATA / "etf_daily_csv" / "SPY.csv").read_text().splitlines()
    by_hand = sum(line.startswith("2019") for line in raw)
    assert report.coverage["assets"]["SPY"]["bars"] == by_hand
    assert report.coverage["assets"]["SPY"]["weekdays_without_bars"]["2019-12"] == 1  # Christmas
