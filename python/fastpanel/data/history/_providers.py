"""Providers of historical bars: files, the simulated market, and your own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from fastpanel._environment import Environment
from fastpanel.data._bars import read_bars
from fastpanel.data._simulated import simulated_market
from fastpanel.data.history._ib import ib_provider
from fastpanel.data.history._request import BAR_SIZES, HistoryRequest
from fastpanel.data.history._vendors import (
    alpaca_provider,
    alpha_vantage_provider,
    yahoo_provider,
)
from fastpanel.errors import ConfigError, DataError, ParameterError
from fastpanel.registry import Registry

if TYPE_CHECKING:
    import polars as pl


class HistoricalProvider(Protocol):
    """A source of historical bars; called from several threads at once."""

    def fetch(self, request: HistoryRequest) -> pl.DataFrame:
        """Bars of a request, in any form that ``fp.read_bars`` takes; empty if there are none."""

    def close(self) -> None:
        """Let go of connections."""


ProviderFactory = Callable[[Mapping[str, Any], Environment], HistoricalProvider]
"""``(options, environment) -> provider``; ``options`` is a section of the ticker file."""


def providers() -> Registry[ProviderFactory]:
    """Return the registry of providers; add your own with ``providers().add(name, factory)``.

    Examples
    --------
    >>> sorted(providers())
    ['alpaca', 'alpha_vantage', 'csv', 'ib', 'parquet', 'simulated', 'yahoo']
    """
    return _providers


class _Table:
    """Bars held in memory: loaded on the first request, then cut."""

    def __init__(self, name: str, load: Callable[[str], pl.DataFrame]) -> None:
        self._name, self._load = name, load
        self._lock = Lock()
        self._bars: dict[str, pl.DataFrame] | None = None

    def fetch(self, request: HistoryRequest) -> pl.DataFrame:
        import polars as pl

        with self._lock:  # the first request loads, the others wait for it
            if self._bars is None:
                self._bars = {
                    key: part for (key,), part in self._load(request.bar_size).group_by("asset")
                }
        own = self._bars.get(request.asset)
        if own is None:
            raise DataError(
                f"unknown asset '{request.asset}'; {self._name} has {sorted(self._bars)}"
            )
        _check_size(own, request, self._name)
        time = pl.col("timestamp")
        start, end = (
            pl.lit(instant.astype("datetime64[ns]")).dt.replace_time_zone("UTC")
            for instant in (request.start, request.end)
        )
        return own.filter((time >= start) & (time < end))

    def close(self) -> None:
        self._bars = None


def _check_size(bars: pl.DataFrame, request: HistoryRequest, source: str) -> None:
    steps = bars.get_column("timestamp").diff().drop_nulls()
    found = steps.mode().min()  # the most frequent one: nights and gaps are longer
    if found is not None and found != BAR_SIZES[request.bar_size]:
        raise DataError(
            f"asset '{request.asset}': {source} holds bars every {found!s}, but bar_size is "
            f"'{request.bar_size}'"
        )


def _folder(suffix: str, options: Mapping[str, Any], environment: Environment) -> _Table:
    del environment
    _refuse_unknown(options, ("path",), suffix)
    if not isinstance(options.get("path"), str):
        raise ConfigError(
            f"provider '{suffix}' needs the option path (a file, folder or glob): add "
            "'provider_options: {path: ...}' to the ticker file"
        )
    path = Path(options["path"]).expanduser()
    source = path / f"*.{suffix}" if any(path.glob(f"*.{suffix}")) else path
    return _Table(str(path), lambda _: read_bars(str(source)))


def _simulated(options: Mapping[str, Any], environment: Environment) -> _Table:
    """Build a market whose past does not depend on the day of the download."""
    del environment
    known = ("n_assets", "years", "start", "late_listers", "gap_rate", "seed")
    _refuse_unknown(options, known, "simulated")
    settings = {"start": "2010-01-04", "years": 20, **options}
    sizes: dict[str, Any] = {"1 hour": "1h", "4 hours": "4h", "1 day": "1d"}

    def load(bar_size: str) -> pl.DataFrame:
        if bar_size not in sizes:
            raise ParameterError(
                f"bar_size is '{bar_size}'; the simulated market has {list(sizes)}"
            )
        return simulated_market(**settings, bar=sizes[bar_size])

    return _Table("the simulated market", load)


def _refuse_unknown(options: Mapping[str, Any], known: tuple[str, ...], provider: str) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ConfigError(
            f"provider_options.{unknown[0]}: provider '{provider}' does not know it; it knows "
            f"{list(known)}"
        )


_providers: Registry[ProviderFactory] = Registry("historical data provider")
_providers.add("csv", partial(_folder, "csv"))
_providers.add("parquet", partial(_folder, "parquet"))
_providers.add("simulated", _simulated)
_providers.add("ib", ib_provider)
_providers.add("alpaca", alpaca_provider)
_providers.add("alpha_vantage", alpha_vantage_provider)
_providers.add("yahoo", yahoo_provider)
