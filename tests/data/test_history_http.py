"""Vendors' readers against a server on this machine that speaks their protocols."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import polars as pl
import pytest

from fastpanel.data.history import HistoryRequest, providers
from fastpanel.data.history import _http as http_module
from fastpanel.errors import ConfigError, DataError, ParameterError
from fastpanel.pipelines import Environment, download_history

KEYS = {
    "ALPACA_API_KEY_ID": "key-id",
    "ALPACA_API_SECRET_KEY": "very-secret",
    "ALPHA_VANTAGE_API_KEY": "very-secret",
}


class Server:
    """Answers from ``self.answers``: functions of (path, query, headers), the first one first."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.answer = lambda path, query: (200, {}, b"{}")
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(parts.query).items()}
                server.seen.append((parts.path, query, dict(self.headers)))
                status, headers, body = server.answer(parts.path, query)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """Seconds that clients wanted to wait; nobody does."""
    asked: list[float] = []
    monkeypatch.setattr(http_module.JsonClient.__init__, "__kwdefaults__", {
        **http_module.JsonClient.__init__.__kwdefaults__, "sleep": asked.append,
    })  # fmt: skip
    return asked


def provider(name, server, **options):
    given = {"base_url": server.url, "per_minute": 6e6, **options}
    return providers()[name](given, Environment(KEYS))


def request(bar_size="1 hour", asset="AAPL", start="2024-03-01", end="2024-04-01", **contract):
    times = np.datetime64(start, "ns"), np.datetime64(end, "ns")
    return HistoryRequest(asset, *times, bar_size, "TRADES", contract)


def reply(content, status=200, **headers):
    return status, headers, json.dumps(content).encode()


def alpaca_bar(stamp: datetime, price: float) -> dict[str, object]:
    text = stamp.isoformat().replace("+00:00", "Z")
    return {"t": text, "o": price, "h": price + 1, "l": price - 1, "c": price, "v": 10, "n": 3}


MARCH = [datetime(2024, 3, 1, 14, tzinfo=UTC) + timedelta(hours=24 * k) for k in range(25)]


def pages(path, query):
    """Three pages of up to ten bars."""
    first = int(query.get("page_token", "0"))
    rows = [alpaca_bar(stamp, 100.0 + k) for k, stamp in enumerate(MARCH)][first : first + 10]
    token = str(first + 10) if first + 10 < len(MARCH) else None
    return reply({"bars": rows, "symbol": "AAPL", "next_page_token": token})


def test_alpaca_reads_all_pages(server):
    server.answer = pages
    bars = provider("alpaca", server, feed="iex").fetch(request(symbol="BRK.B"))
    assert bars["timestamp"].to_list() == MARCH
    assert bars["close"].to_list() == [100.0 + k for k in range(25)]
    assert bars.columns == ["timestamp", "open", "high", "low", "close", "volume"]
    path, query, headers = server.seen[0]
    assert path == "/v2/stocks/BRK.B/bars"
    assert query["timeframe"] == "1Hour"
    assert (query["start"], query["end"]) == ("2024-03-01T00:00:00Z", "2024-03-31T23:59:59Z")
    assert (query["feed"], query["adjustment"], query["limit"]) == ("iex", "all", "10000")
    assert headers["Apca-Api-Key-Id"] == "key-id"
    assert [q.get("page_token") for _, q, _ in server.seen] == [None, "10", "20"]


def test_bars_outside_the_request_are_left_out(server):
    rows = [alpaca_bar(datetime(2024, m, 1, tzinfo=UTC), 1.5) for m in (2, 3, 4)]
    server.answer = lambda *_: reply({"bars": rows, "next_page_token": None})
    assert provider("alpaca", server).fetch(request())["timestamp"].dt.month().to_list() == [3]


def test_no_bars_are_an_empty_table(server):
    server.answer = lambda *_: reply({"bars": None, "next_page_token": None})
    assert provider("alpaca", server).fetch(request()).height == 0


def test_a_rate_limit_is_waited_for(server, waits):
    refusals = iter([("7", 429), (None, 429), (None, 503)])

    def answer(path, query):
        after, status = next(refusals, (None, 200))
        if status == 200:
            return pages(path, query)
        return reply({"message": "slow down"}, status, **({"Retry-After": after} if after else {}))

    server.answer = answer
    assert provider("alpaca", server).fetch(request()).height == 25
    assert [w for w in waits if w >= 1] == [7.0, 2.0, 4.0]


def test_requests_are_spread_over_the_minute(server, waits):
    server.answer = pages
    provider("alpaca", server, per_minute=60).fetch(request())
    assert len(server.seen) == 3
    assert waits == [pytest.approx(1.0, abs=0.5), pytest.approx(2.0, abs=0.5)]


def test_a_page_that_ends_early_is_asked_for_again(server, waits):
    def answer(path, query):
        status, headers, body = pages(path, query)
        if query.get("page_token") == "10" and len(server.seen) == 2:
            return status, {"Content-Length": str(len(body))}, body[: len(body) // 2]
        return status, headers, body

    server.answer = answer
    bars = provider("alpaca", server).fetch(request())
    assert bars["timestamp"].to_list() == MARCH
    assert [q.get("page_token") for _, q, _ in server.seen] == [None, "10", "10", "20"]


def test_a_server_that_never_sends_a_whole_page_is_an_error(server, waits):
    server.answer = lambda path, query: (200, {}, b'{"bars": [{"t"')
    with pytest.raises(DataError, match="Alpaca: no answer after 5 tries; the last: JSONDecode"):
        provider("alpaca", server).fetch(request())
    assert len(server.seen) == 5


def test_pages_that_run_in_a_circle_are_an_error(server):
    server.answer = lambda *_: reply({"bars": [], "next_page_token": "again"})
    with pytest.raises(DataError, match="page 'again' comes twice for AAPL"):
        provider("alpaca", server).fetch(request())
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (403, ConfigError, r"Alpaca refuses access \(403 Forbidden: .*key \*\*\* is wrong"),
        (422, DataError, "Alpaca: 422 .*: .*key"),
        (302, DataError, "Alpaca: 302 Found"),
    ],
)
def test_refusals_are_named_at_once_and_tell_no_secret(server, status, error, words):
    server.answer = lambda *_: reply(
        {"message": "key very-secret is wrong"}, status, Location=f"{server.url}/elsewhere"
    )
    with pytest.raises(error, match=words) as caught:
        provider("alpaca", server).fetch(request())
    assert "very-secret" not in str(caught.value)
    assert [path for path, _, _ in server.seen] == ["/v2/stocks/AAPL/bars"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"t": "2024-03-04T14:00:00Z", "o": 1, "h": 1, "l": 1, "v": 1}, "Alpaca: 'c' is missing"),
        ({"t": "yesterday", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}, "'yesterday' is no time"),
        ({"t": "2024-03-04T14:00:00Z", "o": "x", "h": 1, "l": 1, "c": 1, "v": 1}, "no number"),
    ],
)
def test_rows_that_break_the_protocol(server, row, words):
    server.answer = lambda *_: reply({"bars": [row], "next_page_token": None})
    with pytest.raises(DataError, match=words):
        provider("alpaca", server).fetch(request())


def vantage(stamps, zone="US/Eastern", name="Time Series (60min)"):
    values = {"1. open": "10.0", "2. high": "11.0", "3. low": "9.0", "4. close": "10.5",
              "5. volume": "123"}  # fmt: skip
    meta = {"2. Symbol": "AAPL", "6. Time Zone": zone}
    return {"Meta Data": meta, name: dict.fromkeys(stamps, values)}


def test_alpha_vantage_times_are_those_of_new_york_across_the_clock_change(server):
    stamps = ["2024-03-11 09:00:00", "2024-03-08 09:00:00"]  # the newest first, as it comes
    server.answer = lambda *_: reply(vantage(stamps))
    bars = provider("alpha_vantage", server).fetch(request())
    assert bars["timestamp"].to_list() == [
        datetime(2024, 3, 8, 14, tzinfo=UTC),
        datetime(2024, 3, 11, 13, tzinfo=UTC),
    ]
    assert bars.row(0)[1:] == (10.0, 11.0, 9.0, 10.5, 123.0)
    path, query, _ = server.seen[0]
    assert (path, query["function"], query["interval"], query["month"]) == (
        "/query", "TIME_SERIES_INTRADAY", "60min", "2024-03",
    )  # fmt: skip


def test_alpha_vantage_days_are_dates(server):
    server.answer = lambda *_: reply(
        vantage(["2024-03-08", "2024-02-29"], name="Time Series (Daily)")
    )
    bars = provider("alpha_vantage", server).fetch(request("1 day"))
    assert bars["timestamp"].to_list() == [datetime(2024, 3, 8, tzinfo=UTC)]
    assert server.seen[0][1]["function"] == "TIME_SERIES_DAILY"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"Note": "call frequency of very-secret is 5 per minute"}, r"frequency of \*\*\* is 5"),
        ({"Information": "premium endpoint"}, "premium endpoint"),
        ({"Error Message": "Invalid API call"}, "Invalid API call"),
        ({"Meta Data": {}}, r"no time series in the answer; it has \['Meta Data'\]"),
        ([], "the answer is a list"),
        ({**vantage(["2024-03-08 09:00:00"]), "Meta Data": {}}, "does not say its time zone"),
    ],
)
def test_alpha_vantage_refuses_with_status_200(server, answer, words):
    server.answer = lambda *_: reply(answer)
    with pytest.raises(DataError, match=words):
        provider("alpha_vantage", server).fetch(request())


def chart(seconds, closes, zone="America/New_York"):
    quote = dict.fromkeys(("open", "high", "low", "close", "volume"), closes)
    result = {"meta": {"exchangeTimezoneName": zone}, "timestamp": seconds,
              "indicators": {"quote": [quote]}}  # fmt: skip
    return {"chart": {"result": [result], "error": None}}


def test_yahoo_leaves_holes_out_and_dates_daily_bars_by_the_exchange(server):
    tokyo = [datetime(2024, 3, d, tzinfo=UTC) - timedelta(hours=1) for d in (5, 6, 7)]
    seconds = [int(t.timestamp()) for t in tokyo]
    server.answer = lambda *_: reply(chart(seconds, [5.0, None, 7.0], "Asia/Tokyo"))
    hourly = provider("yahoo", server).fetch(request())
    assert hourly["timestamp"].to_list() == [tokyo[0], tokyo[2]]
    daily = provider("yahoo", server).fetch(request("1 day", "7203.T"))
    assert daily["timestamp"].dt.day().to_list() == [5, 7]
    assert daily["close"].to_list() == [5.0, 7.0]
    path, query, _ = server.seen[-1]
    assert path == "/v8/finance/chart/7203.T"
    assert (query["interval"], query["period1"]) == ("1d", "1709251200")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"chart": {"result": None, "error": {"description": "No data found"}}}, "No data found"),
        (chart([1709300000, 1709303600], [1.0]), "column 'open' does not have a value per time"),
        ({}, "'chart' is missing"),
    ],
)
def test_yahoo_refusals(server, answer, words):
    server.answer = lambda *_: reply(answer)
    with pytest.raises(DataError, match=words):
        provider("yahoo", server).fetch(request())


@pytest.mark.parametrize("name", ["alpaca", "alpha_vantage", "yahoo"])
def test_settings_are_checked(server, name):
    with pytest.raises(ConfigError, match=f"provider '{name}' does not know it"):
        provider(name, server, api_key="x")
    with pytest.raises(ConfigError, match="base_url must begin with https://"):
        provider(name, server, base_url="file:///etc/passwd")
    with pytest.raises(ParameterError, match="bar_size is '9 hours'"):
        provider(name, server).fetch(request("9 hours"))
    if name != "yahoo":
        with pytest.raises(ConfigError, match=r"API_KEY.* is not set"):
            providers()[name]({}, Environment({}))


def test_a_download_says_what_is_missing(server, tmp_path):
    """One asset fails, one lacks a month and two weekdays; the rest is kept."""

    def answer(path, query):
        if "/BAD/" in path:
            return reply({"message": "invalid symbol"}, 422)
        days = np.arange(query["start"][:10], "2024-05-01", dtype="M8[D]")
        days = days[np.is_busday(days) & (days <= np.datetime64(query["end"][:10]))]
        gone = np.array(["2024-03-06", "2024-03-07"], "M8[D]")
        kept = [d for d in days if d not in gone and d.astype("M8[M]") != np.datetime64("2024-02")]
        stamps = [datetime.fromisoformat(str(d)).replace(tzinfo=UTC) for d in kept]
        return reply({"bars": [alpaca_bar(s, 50.0) for s in stamps], "next_page_token": None})

    server.answer = answer
    settings = {
        "tickers": ["AAPL", "BAD"], "duration": "4 M", "bar_size": "1 day",
        "what_to_show": "TRADES", "end": "2024-04-30",
        "provider_options": {"base_url": server.url, "per_minute": 6e6},
    }  # fmt: skip
    environment = Environment(
        {**KEYS, "DATA_SOURCE": str(tmp_path), "HISTORICAL_DATA_PROVIDER": "alpaca"}
    )
    report = download_history(settings, environment=environment, progress=False)
    assert sorted(report.failed) == [f"BAD 2024-0{month}" for month in (1, 2, 3, 4)]
    found = report.coverage["assets"]["AAPL"]
    assert found["months_without_bars"] == ["2024-02"]
    assert found["weekdays_without_bars"]["2024-03"] == 2
    stored = pl.read_csv(tmp_path / "AAPL" / "2024" / "hist_data_2024-04.csv")
    assert stored.height == 22
    with pytest.raises(DataError, match="download of BAD 2024-01 failed: Alpaca: 422"):
        report.raise_if_failed()
