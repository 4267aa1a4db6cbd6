"""Readers of vendors' HTTP services: Alpaca, Alpha Vantage, Yahoo.

They follow the vendors' published protocols and have been tested against a
server on the local machine that speaks them, never against a live account. The
option ``base_url`` says where the service is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from fastpanel._environment import Environment
from fastpanel.data.history._http import JsonClient
from fastpanel.data.history._request import HistoryRequest
from fastpanel.errors import ConfigError, DataError, ParameterError

if TYPE_CHECKING:
    import polars as pl

_PRICES = ("open", "high", "low", "close", "volume")
_COMMON = ("base_url", "per_minute", "timeout")
_MOST_PAGES = 10_000

Fetch = Callable[[JsonClient, HistoryRequest, Mapping[str, Any]], "pl.DataFrame"]


class HttpProvider:
    """Bars of one vendor; ``fetch`` may be called from several threads."""

    def __init__(self, client: JsonClient, fetch: Fetch, options: Mapping[str, Any]) -> None:
        self._client, self._fetch, self._options = client, fetch, options

    def fetch(self, request: HistoryRequest) -> pl.DataFrame:
        """Bars that begin in ``[request.start, request.end)``."""
        import polars as pl

        bars = self._fetch(self._client, request, self._options)
        limits = [
            pl.lit(instant.astype("datetime64[ns]")).dt.replace_time_zone("UTC")
            for instant in (request.start, request.end)
        ]
        time = pl.col("timestamp")
        return bars.filter((time >= limits[0]) & (time < limits[1]))

    def close(self) -> None:
        """Nothing is kept open."""


# Alpaca: GET /v2/stocks/{symbol}/bars, pages linked by next_page_token

_ALPACA_SIZES = {
    "1 min": "1Min", "2 mins": "2Min", "3 mins": "3Min", "5 mins": "5Min", "10 mins": "10Min",
    "15 mins": "15Min", "20 mins": "20Min", "30 mins": "30Min", "1 hour": "1Hour",
    "2 hours": "2Hour", "3 hours": "3Hour", "4 hours": "4Hour", "8 hours": "8Hour", "1 day": "1Day",
}  # fmt: skip


def alpaca_provider(options: Mapping[str, Any], environment: Environment) -> HttpProvider:
    """Provider from ``ALPACA_API_KEY_ID`` and ``ALPACA_API_SECRET_KEY``."""
    settings = _settings(options, "alpaca", ("feed", "adjustment", "limit"))
    key = environment.require("ALPACA_API_KEY_ID", "the key of Alpaca")
    secret = environment.require("ALPACA_API_SECRET_KEY", "the secret of Alpaca")
    client = JsonClient(
        "Alpaca",
        settings.get("base_url", "https://data.alpaca.markets"),
        {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret},
        per_minute=float(settings.get("per_minute", 200)),
        timeout=float(settings.get("timeout", 30)),
        secrets=(key, secret),
    )
    return HttpProvider(client, _alpaca, settings)


def _alpaca(
    client: JsonClient, request: HistoryRequest, options: Mapping[str, Any]
) -> pl.DataFrame:
    query = {
        "timeframe": _size(request, _ALPACA_SIZES, "Alpaca"),
        "start": _iso(request.start),
        # the vendor's end is inclusive
        "end": _iso(request.end - np.timedelta64(1, "s")),
        "limit": str(options.get("limit", 10_000)),
        "adjustment": str(options.get("adjustment", "all")),
        "feed": str(options.get("feed", "sip")),
        "sort": "asc",
    }
    path = f"/v2/stocks/{_symbol(request)}/bars"
    rows: list[Any] = []
    seen: set[str] = set()
    for _ in range(_MOST_PAGES):
        page = _mapping(client.get(path, query), "Alpaca")
        rows += page.get("bars") or []
        token = page.get("next_page_token")
        if not token:
            break
        if token in seen:
            raise DataError(f"Alpaca: page {token!r} comes twice for {request.asset}")
        seen.add(token)
        query["page_token"] = token
    columns = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
    return _table(
        [_parse(_field(row, "t", "Alpaca")) for row in rows],
        {name: [_field(row, key, "Alpaca") for row in rows] for name, key in columns.items()},
        "Alpaca",
    )


# Alpha Vantage: GET /query, one month of intraday bars, or all days

_VANTAGE_SIZES = {
    "1 min": "1min", "5 mins": "5min", "15 mins": "15min", "30 mins": "30min", "1 hour": "60min",
    "1 day": "",
}  # fmt: skip
_NOTES = ("Note", "Information", "Error Message")


def alpha_vantage_provider(options: Mapping[str, Any], environment: Environment) -> HttpProvider:
    """Provider from ``ALPHA_VANTAGE_API_KEY``."""
    settings = _settings(options, "alpha_vantage", ())
    key = environment.require("ALPHA_VANTAGE_API_KEY", "the key of Alpha Vantage")
    client = JsonClient(
        "Alpha Vantage",
        settings.get("base_url", "https://www.alphavantage.co"),
        {},
        per_minute=float(settings.get("per_minute", 5)),
        timeout=float(settings.get("timeout", 30)),
        secrets=(key,),
    )
    return HttpProvider(client, _alpha_vantage, {**settings, "key": key})


def _alpha_vantage(
    client: JsonClient, request: HistoryRequest, options: Mapping[str, Any]
) -> pl.DataFrame:
    size = _size(request, _VANTAGE_SIZES, "Alpha Vantage")
    query = {"symbol": _symbol(request), "outputsize": "full", "apikey": options["key"]}
    if size:
        query |= {"function": "TIME_SERIES_INTRADAY", "interval": size, "month": request.month}
    else:
        query["function"] = "TIME_SERIES_DAILY"
    answer = _mapping(client.get("/query", query), "Alpha Vantage")
    # refusals come with status 200
    for note in _NOTES:
        if note in answer:
            raise DataError(f"Alpha Vantage: {str(answer[note]).replace(options['key'], '***')}")
    series = next((part for name, part in answer.items() if name.startswith("Time Series")), None)
    if not isinstance(series, dict):
        raise DataError(f"Alpha Vantage: no time series in the answer; it has {sorted(answer)}")
    stamps = sorted(series)
    if size:
        zone = ZoneInfo(_vantage_zone(answer))
        times = [datetime.fromisoformat(text).replace(tzinfo=zone) for text in stamps]
    else:
        times = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in stamps]
    keys = {name: f"{place}. {name}" for place, name in enumerate(_PRICES, start=1)}
    return _table(
        times,
        {
            name: [_field(series[text], key, "Alpha Vantage") for text in stamps]
            for name, key in keys.items()
        },
        "Alpha Vantage",
    )


def _vantage_zone(answer: Mapping[str, Any]) -> str:
    meta = answer.get("Meta Data")
    if isinstance(meta, dict):
        for name, value in meta.items():
            if "Time Zone" in name:
                return str(value)
    raise DataError("Alpha Vantage: the answer does not say its time zone")


# Yahoo: GET /v8/finance/chart/{symbol}, the service that the package yfinance reads

_YAHOO_SIZES = {
    "1 min": "1m", "2 mins": "2m", "5 mins": "5m", "15 mins": "15m", "30 mins": "30m",
    "1 hour": "1h", "1 day": "1d",
}  # fmt: skip


def yahoo_provider(options: Mapping[str, Any], environment: Environment) -> HttpProvider:
    """Provider without credentials; prices are as traded, adjusted for splits only."""
    del environment
    settings = _settings(options, "yahoo", ())
    client = JsonClient(
        "Yahoo",
        settings.get("base_url", "https://query1.finance.yahoo.com"),
        {"User-Agent": "Mozilla/5.0"},
        per_minute=float(settings.get("per_minute", 30)),
        timeout=float(settings.get("timeout", 30)),
    )
    return HttpProvider(client, _yahoo, settings)


def _yahoo(client: JsonClient, request: HistoryRequest, options: Mapping[str, Any]) -> pl.DataFrame:
    del options
    query = {
        "period1": str(_seconds(request.start)),
        "period2": str(_seconds(request.end)),
        "interval": _size(request, _YAHOO_SIZES, "Yahoo"),
        "includePrePost": "false",
        "events": "",
    }
    chart = _field(_mapping(client.get(f"/v8/finance/chart/{_symbol(request)}", query), "Yahoo"),
                   "chart", "Yahoo")  # fmt: skip
    if chart.get("error"):
        raise DataError(f"Yahoo: {chart['error'].get('description', chart['error'])}")
    result = (chart.get("result") or [{}])[0]
    seconds = result.get("timestamp") or []
    quote = (result.get("indicators", {}).get("quote") or [{}])[0]
    columns = {name: quote.get(name) or [] for name in _PRICES}
    short = [name for name, values in columns.items() if len(values) != len(seconds)]
    if short:
        raise DataError(f"Yahoo: column '{short[0]}' does not have a value per time")
    # holes come as rows of nulls
    kept = [row for row in range(len(seconds)) if columns["close"][row] is not None]
    times = [datetime.fromtimestamp(seconds[row], UTC) for row in kept]
    if request.bar_size == "1 day":  # stamped with the open; a daily bar stands at its date
        zone = ZoneInfo(result.get("meta", {}).get("exchangeTimezoneName", "UTC"))
        days = [time.astimezone(zone).date() for time in times]
        times = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days]
    return _table(
        times, {name: [values[row] for row in kept] for name, values in columns.items()}, "Yahoo"
    )


# shared


def _settings(options: Mapping[str, Any], name: str, own: tuple[str, ...]) -> dict[str, Any]:
    known = (*_COMMON, *own)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ConfigError(
            f"provider_options.{unknown[0]}: provider '{name}' does not know it; it knows "
            f"{list(known)}"
        )
    return dict(options)


def _size(request: HistoryRequest, sizes: Mapping[str, str], vendor: str) -> str:
    if request.bar_size not in sizes:
        raise ParameterError(f"bar_size is '{request.bar_size}'; {vendor} has {list(sizes)}")
    return sizes[request.bar_size]


def _symbol(request: HistoryRequest) -> str:
    from urllib.parse import quote

    return quote(str(request.contract.get("symbol", request.asset)), safe="")


def _iso(instant: np.datetime64) -> str:
    return f"{np.datetime_as_string(instant, unit='s')}Z"


def _seconds(instant: np.datetime64) -> int:
    return int(instant.astype("datetime64[s]").astype(np.int64))


def _parse(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise DataError(f"Alpaca: {text!r} is no time") from None


def _mapping(answer: Any, vendor: str) -> Mapping[str, Any]:
    if not isinstance(answer, dict):
        raise DataError(f"{vendor}: the answer is a {type(answer).__name__}, not an object")
    return answer


def _field(row: Any, key: str, vendor: str) -> Any:
    try:
        return row[key]
    except (KeyError, TypeError):
        raise DataError(f"{vendor}: '{key}' is missing in {str(row)[:80]}") from None


def _table(times: list[datetime], columns: Mapping[str, list[Any]], vendor: str) -> pl.DataFrame:
    import polars as pl

    stamps = pl.Series([time.astimezone(UTC) for time in times], dtype=pl.Datetime("us", "UTC"))
    try:
        numbers = {
            name: pl.Series([None if v is None else float(v) for v in values], dtype=pl.Float64)
            for name, values in columns.items()
        }
    except (TypeError, ValueError) as error:
        raise DataError(f"{vendor}: a price is no number: {error}") from None
    return pl.DataFrame({"timestamp": stamps, **numbers})
