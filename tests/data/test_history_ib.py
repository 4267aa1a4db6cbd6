"""The Interactive Brokers provider against a scripted client."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from fastpanel._environment import Environment
from fastpanel.data.history import HistoryRequest, providers
from fastpanel.data.history._ib import contract_fields, steps
from fastpanel.data.history._pacing import Pacing
from fastpanel.errors import ConfigError, DataError
from fastpanel.pipelines import download_history

VARIABLES = {"IB_HOST": "10.0.0.7", "IB_PORT": "4002", "IB_CLIENT_ID": "17"}


class RequestError(Exception):
    """As the vendor package raises it."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


class Client:
    """Says what the vendor's client would, and notes what it was asked."""

    def __init__(self, answers=None, known=True, refuse=False):
        self.answers, self.known, self.refuse = list(answers or []), known, refuse
        self.connected, self.calls, self.connections, self.qualified = False, [], [], []

    def isConnected(self):  # noqa: N802
        return self.connected

    async def connectAsync(self, host, port, clientId, readonly):  # noqa: N802
        self.connections.append((host, port, clientId, readonly))
        if self.refuse:
            raise ConnectionRefusedError(111, "refused")
        self.connected = True

    async def qualifyContractsAsync(self, contract):  # noqa: N802
        self.qualified.append(vars(contract))
        return [contract if self.known else None]

    async def reqHistoricalDataAsync(  # noqa: N802
        self, contract, end, duration, bar_size, what, rth, formatDate, timeout
    ):
        self.calls.append((contract.symbol, end, duration, bar_size, what, rth))
        assert (formatDate, timeout) == (2, 0)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            if answer == "silence":
                await asyncio.sleep(60)
            return answer
        days = int(duration.removesuffix(" D"))
        return [bar(end - timedelta(days=days - k)) for k in range(days)]

    def disconnect(self):
        self.connected = False


def bar(stamp, price=1.5, volume=-1):
    return SimpleNamespace(
        date=stamp, open=price, high=price, low=price, close=price, volume=volume
    )


def request(asset="EUR.USD", bar_size="1 hour", what="MIDPOINT", month="2024-02", **contract):
    start = np.datetime64(month, "M")
    limits = (instant.astype("datetime64[ns]") for instant in (start, start + 1))
    return HistoryRequest(asset, *limits, bar_size, what, contract or {"symbol": asset})


@pytest.fixture
def connect(monkeypatch):
    """The registered provider, on top of a scripted package."""
    opened = []

    def make(client, variables=VARIABLES, **options):
        package = SimpleNamespace(IB=lambda: client, Contract=SimpleNamespace)
        monkeypatch.setitem(sys.modules, "ib_async", package)
        provider = providers()["ib"](options, Environment(variables))
        opened.append(provider)
        return provider

    yield make
    for provider in opened:
        provider.close()


def test_client_gets_variables_and_request_fields(connect):
    client = Client()
    bars = connect(client).fetch(request())
    assert client.connections == [("10.0.0.7", 4002, 17, True)]
    assert client.qualified == [
        {"secType": "CASH", "symbol": "EUR", "currency": "USD", "exchange": "IDEALPRO"}
    ]
    end = datetime(2024, 3, 1, tzinfo=UTC)
    assert client.calls == [("EUR", end, "29 D", "1 hour", "MIDPOINT", False)]
    assert bars.height == 29
    assert str(bars["timestamp"][0]) == "2024-02-01 00:00:00+00:00"
    assert bars["volume"].null_count() == 29  # -1 means none


def test_one_connection_and_one_look_up_per_contract(connect):
    client = Client()
    provider = connect(client, use_rth=True)
    provider.fetch(request())
    provider.fetch(request(month="2024-03"))
    assert len(client.connections) == len(client.qualified) == 1
    assert client.calls[0][-1] is True
    provider.close()
    assert not client.connected


def test_daily_bars_come_as_dates(connect):
    client = Client([[bar(date(2024, 2, 1), volume=5), bar(date(2024, 2, 2), volume=0)]])
    bars = connect(client).fetch(request("SPY", "1 day", "TRADES"))
    assert [str(t) for t in bars["timestamp"]] == [
        "2024-02-01 00:00:00+00:00",
        "2024-02-02 00:00:00+00:00",
    ]
    assert bars["volume"].to_list() == [5.0, 0.0]


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        ({"symbol": "SPY"}, ("STK", "SPY", "USD", "SMART")),
        ({"symbol": "DAX", "sec_type": "IND", "exchange": "EUREX", "currency": "EUR"},
         ("IND", "DAX", "EUR", "EUREX")),
        ({"symbol": "EUR.USD"}, ("CASH", "EUR", "USD", "IDEALPRO")),
        ({"symbol": "BRK.ABC", "secType": "STK"}, ("STK", "BRK.ABC", "USD", "SMART")),
    ],
)  # fmt: skip
def test_contracts(contract, expected):
    fields = contract_fields(request("x", **contract))
    assert tuple(fields[key] for key in ("secType", "symbol", "currency", "exchange")) == expected


@pytest.mark.parametrize(
    ("bar_size", "count", "longest"), [("1 min", 29, 1), ("5 mins", 5, 7), ("1 hour", 1, 29)]
)
def test_requests_are_cut_to_what_the_server_answers(bar_size, count, longest):
    parts = steps(request(bar_size=bar_size))
    assert len(parts) == count
    assert max(end - start for start, end in parts) == timedelta(days=longest)
    assert all(a[1] == b[0] for a, b in pairwise(parts))
    assert parts[0][0] == datetime(2024, 2, 1, tzinfo=UTC)
    assert parts[-1][1] == datetime(2024, 3, 1, tzinfo=UTC)


def test_no_data_is_no_error(connect):
    client = Client([RequestError(162, "HMDS query returned no data: EUR.USD")])
    assert connect(client).fetch(request()).is_empty()


def test_a_pacing_violation_is_tried_again_after_a_pause(connect):
    stop = RequestError(162, "Historical Market Data Service error: pacing violation")
    client = Client([stop, stop])
    provider, pauses = connect(client), []

    async def sleep(seconds):
        pauses.append(seconds)

    provider._sleep = sleep
    assert provider.fetch(request()).height == 29
    assert pauses == [30.0, 60.0]  # identical requests have to lie 15 s apart
    client.answers = [stop] * 4
    with pytest.raises(DataError, match="pacing violation"):
        provider.fetch(request())


@pytest.mark.parametrize(
    ("client", "words"),
    [
        (Client([RequestError(354, "not subscribed")]), "error 354: not subscribed"),
        (Client(known=False), "knows no such contract, or several"),
        (Client(["silence"]), "no answer within 0.05 s"),
        (Client([[bar(datetime(2024, 2, 1))]]), "without zone"),
    ],
)
def test_what_goes_wrong_is_named(connect, client, words):
    with pytest.raises(DataError, match=words):
        connect(client, timeout=0.05).fetch(request())


def test_a_server_that_is_not_there_stops_the_download(connect, tmp_path, monkeypatch):
    connect(Client(refuse=True))
    tickers = {
        "tickers": ["EUR.USD", "SPY"],
        "duration": "6 M",
        "bar_size": "1 hour",
        "what_to_show": "TRADES",
    }
    variables = {
        **VARIABLES,
        "DATA_SOURCE": str(tmp_path),
        "HISTORICAL_DATA_PROVIDER": "ib",
    }
    with pytest.raises(ConfigError, match=r"10\.0\.0\.7:4002 as client 17.*IB_HOST"):
        download_history(tickers, environment=Environment(variables), progress=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"IB_HOST": ""}, "IB_HOST is not set"),
        ({"IB_PORT": "paper"}, "IB_PORT must be a whole number, got 'paper'"),
        ({"IB_CLIENT_ID": ""}, "IB_CLIENT_ID is not set"),
    ],
)
def test_wrong_variables_are_named(connect, change, words):
    with pytest.raises(ConfigError, match=words):
        connect(Client(), {**VARIABLES, **change})


def test_unknown_options_are_named(connect):
    with pytest.raises(ConfigError, match=r"provider_options\.path"):
        connect(Client(), path="x")


def admitted(pacing, clock, requests):
    """Times at which requests go out."""

    async def ask():
        times = []
        for contract, weight in requests:
            await pacing.admit(contract, weight)
            times.append(clock[0])
        return times

    return asyncio.run(ask())


def pace(requests, **limits):
    clock = [0.0]

    async def sleep(seconds):
        clock[0] += seconds

    return admitted(Pacing(**limits, clock=lambda: clock[0], sleep=sleep), clock, requests)


def test_pacing_over_all_contracts():
    times = pace([(k, 1) for k in range(130)])
    assert times[59] == 0.0
    assert times[60] == 600.0
    assert times[119] == 600.0
    assert times[120] == 1200.0


def test_pacing_of_one_contract():
    times = pace([("A", 1)] * 11 + [("B", 1)])
    assert times[:5] == [0.0] * 5
    assert times[5:10] == [2.0] * 5
    assert times[10:] == [4.0, 4.0]


def test_bid_ask_counts_twice():
    times = pace([(k, 2) for k in range(31)])
    assert times[29] == 0.0
    assert times[30] == 600.0
    assert pace([(k, 2) for k in range(3)], limit=5) == [0.0, 0.0, 600.0]
