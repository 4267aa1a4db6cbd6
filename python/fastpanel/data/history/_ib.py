"""Interactive Brokers, through a running TWS or gateway and the package ``ib_async``.

Limits are those of the vendor's documentation of historical data: per bar size
a longest duration of one request, 60 requests in ten minutes, fewer than six
for one contract in two seconds, no identical ones within 15 seconds, and
``BID_ASK`` counts twice.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fastpanel._environment import Environment
from fastpanel._extras import require
from fastpanel.data.history._pacing import Pacing
from fastpanel.data.history._request import BAR_SIZES, HistoryRequest
from fastpanel.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

_PRICES = ("open", "high", "low", "close")
_OPTIONS = ("use_rth", "requests_per_10_minutes", "timeout")
_PAIR = re.compile(r"([A-Z]{3})\.([A-Z]{3})")
_HISTORY_ERROR = 162
_RETRY_PAUSE, _TRIES = 30.0, 4
# longest request by bar size: (bars shorter than this, days)
_STEPS = ((timedelta(minutes=3), 1), (timedelta(minutes=30), 7), (timedelta.max, 31))


class IBProvider:
    """Bars from Interactive Brokers.

    Parameters
    ----------
    client : ib_async.IB
    make_contract : callable
        ``ib_async.Contract``.
    host, port, client_id
        Where TWS or the gateway listens.
    use_rth : bool
        Regular trading hours only.
    timeout : float
        Seconds until a request counts as failed.
    pacing : Pacing
    """

    def __init__(
        self,
        client: Any,
        make_contract: Callable[..., Any],
        host: str,
        port: int,
        client_id: int,
        *,
        use_rth: bool = False,
        timeout: float = 120.0,
        pacing: Pacing,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        self._client, self._make_contract = client, make_contract
        self._address = host, port, client_id
        self._use_rth, self._timeout = use_rth, timeout
        self._pacing, self._sleep = pacing, sleep
        self._contracts: dict[str, Any] = {}
        self._setup = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def fetch(self, request: HistoryRequest) -> pl.DataFrame:
        """Bars of a request."""
        return self._run(self._fetch(request))

    def close(self) -> None:
        """Disconnect and end the thread that talks to the server."""
        if self._loop.is_closed():
            return

        async def disconnect() -> None:
            self._client.disconnect()

        self._run(disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, task: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(task, self._loop).result()

    async def _fetch(self, request: HistoryRequest) -> pl.DataFrame:
        import polars as pl

        contract = await self._contract(request)
        bars: list[Any] = []
        for start, end in steps(request):
            bars += await self._bars(contract, request, start, end)
        stamps = np.array([_instant(bar.date) for bar in bars], "datetime64[ns]")
        rows = {
            "timestamp": pl.Series(stamps).dt.replace_time_zone("UTC"),
            **{name: [getattr(bar, name) for bar in bars] for name in _PRICES},
            # the server says -1 where there is no volume, as for MIDPOINT
            "volume": [float(bar.volume) if bar.volume >= 0 else None for bar in bars],
        }
        table = pl.DataFrame(rows, schema_overrides={"volume": pl.Float64})
        return table.unique("timestamp", maintain_order=True)  # steps overlap by what is open

    async def _contract(self, request: HistoryRequest) -> Any:
        async with self._setup:
            if not self._client.isConnected():
                await self._connect()
            if request.asset not in self._contracts:
                wanted = self._make_contract(**contract_fields(request))
                found = await self._client.qualifyContractsAsync(wanted)
                if not found or found[0] is None:
                    raise DataError(
                        f"asset '{request.asset}': Interactive Brokers knows no such contract, or "
                        f"several: {contract_fields(request)}; add what tells it apart"
                    )
                self._contracts[request.asset] = found[0]
            return self._contracts[request.asset]

    async def _connect(self) -> None:
        host, port, client_id = self._address
        self._client.RaiseRequestErrors = True
        try:
            await self._client.connectAsync(host, port, clientId=client_id, readonly=True)
        except (OSError, TimeoutError) as error:
            raise ConfigError(
                f"cannot connect to Interactive Brokers at {host}:{port} as client {client_id} "
                f"({error or type(error).__name__}): is TWS or the gateway running, and are "
                "IB_HOST, IB_PORT and IB_CLIENT_ID right?"
            ) from None

    async def _bars(
        self, contract: Any, request: HistoryRequest, start: datetime, end: datetime
    ) -> list[Any]:
        days = -(-(end - start) // timedelta(days=1))
        weight = 2 if request.what_to_show == "BID_ASK" else 1
        for attempt in range(1, _TRIES + 1):
            await self._pacing.admit((request.asset, request.what_to_show), weight)
            try:
                # the client's own timeout would pass for an empty answer
                answer = self._client.reqHistoricalDataAsync(
                    contract,
                    end,
                    f"{days} D",
                    request.bar_size,
                    request.what_to_show,
                    self._use_rth,
                    formatDate=2,
                    timeout=0,
                )
                return list(await asyncio.wait_for(answer, self._timeout))
            except TimeoutError:
                raise DataError(f"no answer within {self._timeout:g} s") from None
            except Exception as error:
                code, text = getattr(error, "code", None), str(getattr(error, "message", error))
                if code is None:
                    raise
                if code == _HISTORY_ERROR and "no data" in text.lower():
                    return []
                if "pacing violation" not in text.lower() or attempt == _TRIES:
                    raise DataError(f"Interactive Brokers: error {code}: {text}") from None
            await self._sleep(_RETRY_PAUSE * attempt)
        raise AssertionError("every attempt returns or raises")


def ib_provider(options: Mapping[str, Any], environment: Environment) -> IBProvider:
    """Provider from ``IB_HOST``, ``IB_PORT`` and ``IB_CLIENT_ID``."""
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise ConfigError(
            f"provider_options.{unknown[0]}: provider 'ib' does not know it; it knows "
            f"{list(_OPTIONS)}"
        )
    host = environment.require("IB_HOST", "the host of TWS or the gateway")
    port = environment.integer("IB_PORT", "the port of TWS or the gateway")
    client_id = environment.integer("IB_CLIENT_ID", "the client id for TWS or the gateway")
    ib = require("ib_async", "the provider 'ib'")
    return IBProvider(
        ib.IB(),
        ib.Contract,
        host,
        port,
        client_id,
        use_rth=bool(options.get("use_rth", False)),
        timeout=float(options.get("timeout", 120.0)),
        pacing=Pacing(int(options.get("requests_per_10_minutes", 60))),
    )


def contract_fields(request: HistoryRequest) -> dict[str, Any]:
    """Fields of the vendor's contract: ``EUR.USD`` is a currency pair, other names are stocks.

    Keys of the ticker file come as ``sec_type`` or ``secType``.
    """
    given = {
        re.sub(r"_(\w)", lambda letter: letter[1].upper(), key): value
        for key, value in request.contract.items()
    }
    symbol = str(given.get("symbol", request.asset))
    pair = _PAIR.fullmatch(symbol)
    if pair and given.get("secType", "CASH") == "CASH":
        given.pop("symbol", None)
        preset = {
            "secType": "CASH",
            "symbol": pair[1],
            "currency": pair[2],
            "exchange": "IDEALPRO",
        }
    else:
        preset = {"secType": "STK", "symbol": symbol, "currency": "USD", "exchange": "SMART"}
    return {**preset, **given}


def steps(request: HistoryRequest) -> list[tuple[datetime, datetime]]:
    """Parts of a request that the server answers in one piece, UTC."""
    start, stop = (
        t.astype("datetime64[us]").item().replace(tzinfo=UTC) for t in (request.start, request.end)
    )
    size = BAR_SIZES[request.bar_size]
    length = timedelta(days=next(days for limit, days in _STEPS if size < limit))
    parts = []
    while start < stop:
        end = min(start + length, stop)
        parts.append((start, end))
        start = end
    return parts


def _instant(value: date | datetime) -> np.datetime64:
    """UTC time of a bar; a plain date is a daily bar."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise DataError(f"Interactive Brokers sent a time without zone: {value}")
        value = value.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(value, "ns")
