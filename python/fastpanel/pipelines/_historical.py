"""Download historical bars: one file per asset and month, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel._environment import Environment
from fastpanel._files import read_json, write_json
from fastpanel.data import read_bars
from fastpanel.data.history import (
    BAR_SIZES,
    Exporter,
    HistoricalProvider,
    HistoryRequest,
    exporters,
    month_file,
    providers,
)
from fastpanel.errors import ArtifactError, ConfigError, DataError, FastPanelError
from fastpanel.pipelines._coverage import SUFFIXES, coverage_of
from fastpanel.pipelines._tickers import DEFAULT_TICKERS, TickerFile, load_tickers
from fastpanel.progress import Reporter, reporter

DEFAULT_PROVIDER, DEFAULT_EXPORTER = "csv", "csv"
DEFAULT_PARALLEL = 4
COVERAGE = "coverage.json"
_COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]
# providers correct their newest bars for a while
_SETTLED = timedelta(days=1)


@dataclass(frozen=True)
class HistoryReport:
    """What a download has brought.

    Attributes
    ----------
    folder : Path
        ``DATA_SOURCE``.
    files : tuple of Path
        Month files written.
    skipped : int
        Month files that were complete already.
    coverage : dict
        Content of ``coverage.json``: per asset the range, the months without
        bars, and the weekdays without bars per month.
    failed : dict
        Requests that failed, ``"asset month"`` to the reason.
    """

    folder: Path
    files: tuple[Path, ...]
    skipped: int
    coverage: dict[str, Any]
    failed: dict[str, str]

    def raise_if_failed(self) -> None:
        """Raise :class:`DataError` if a request failed."""
        if self.failed:
            name, reason = next(iter(self.failed.items()))
            more = f" ({len(self.failed) - 1} more failed)" if len(self.failed) > 1 else ""
            raise DataError(
                f"download of {name} failed: {reason}{more}; what came is kept, run the command "
                "again for the rest"
            )


def download_history(
    tickers: str | Path | Mapping[str, Any] | TickerFile = DEFAULT_TICKERS,
    *,
    environment: Environment | None = None,
    refresh: bool = False,
    progress: bool | Reporter = True,
    now: datetime | None = None,
) -> HistoryReport:
    """Download bars to ``DATA_SOURCE/<asset>/<YYYY>/hist_data_YYYY-MM.csv``.

    Parameters
    ----------
    tickers : path or mapping
        The ticker file: ``tickers``, ``duration``, ``bar_size``,
        ``what_to_show``; optional ``end`` and ``provider_options``.
    environment : Environment, optional
        Reads ``DATA_SOURCE``, ``MAX_PARALLEL_REQUESTS`` (default 4),
        ``HISTORICAL_DATA_PROVIDER`` and ``HISTORICAL_DATA_EXPORTER`` (both
        default ``csv``).
    refresh : bool
        Fetch months again that were complete when they were fetched.
    progress : bool or Reporter
    now : datetime, optional
        Bars that are not complete by then are left out.

    Returns
    -------
    HistoryReport
        A failed request does not stop the others; look at ``failed``.

    Raises
    ------
    ConfigError, UnknownNameError
        A variable is missing, the ticker file has mistakes, or provider or
        exporter are not registered.

    Notes
    -----
    Whole calendar months are fetched, one request each, at most
    ``MAX_PARALLEL_REQUESTS`` at a time. A month whose file was written a day
    or more after its end, with the same provider, bar size and kind of price,
    is not fetched again.
    """
    environment = environment or Environment()
    settings = load_tickers(tickers)
    root = environment.folder("DATA_SOURCE")
    parallel = environment.integer(
        "MAX_PARALLEL_REQUESTS", "the number of requests at a time", default=DEFAULT_PARALLEL
    )
    if parallel < 1:
        raise ConfigError(f"MAX_PARALLEL_REQUESTS must be at least 1, got {parallel}")
    provider_name = environment.get("HISTORICAL_DATA_PROVIDER") or DEFAULT_PROVIDER
    exporter_name = environment.get("HISTORICAL_DATA_EXPORTER") or DEFAULT_EXPORTER
    make_provider, export = providers()[provider_name], exporters()[exporter_name]
    now = now or datetime.now(UTC)
    record = {
        "provider": provider_name,
        "exporter": exporter_name,
        "bar_size": settings.bar_size,
        "what_to_show": settings.what_to_show,
    }
    everything = _requests(settings, now)
    known = not refresh and _settings_of(root) == record
    wanted = [r for r in everything if not (known and _is_settled(root, r, exporter_name))]
    _refuse_second_format(root, wanted, exporter_name)
    say = reporter(progress)
    provider = make_provider(settings.provider_options, environment)
    try:
        files, failed = _fetch_all(wanted, provider, export, root, parallel, say)
    finally:
        provider.close()
    say.say("Looking for gaps")
    coverage = {**record, "failed": failed, "assets": _coverage(root, everything)}
    write_json(root / COVERAGE, coverage)
    return HistoryReport(root, tuple(files), len(everything) - len(wanted), coverage, failed)


def _requests(settings: TickerFile, now: datetime) -> list[HistoryRequest]:
    first, end = settings.limits(now)
    months = np.arange(first, end.astype("datetime64[M]") + 1, dtype="datetime64[M]")
    requests = []
    for ticker in settings.tickers:
        for month in months:
            start = month.astype("datetime64[ns]")
            stop = min((month + 1).astype("datetime64[ns]"), end)
            if start < stop:
                requests.append(
                    HistoryRequest(
                        ticker.asset,
                        start,
                        stop,
                        settings.bar_size,
                        settings.what_to_show,
                        ticker.contract,
                    )
                )
    return requests


def _refuse_second_format(root: Path, requests: list[HistoryRequest], exporter: str) -> None:
    """Refuse to keep a month in two formats: cleaning could not tell which one counts."""
    others = [suffix for suffix in SUFFIXES if suffix != f".{exporter}"]
    for request in requests:
        for suffix in others:
            path = month_file(root, request.asset, request.month, suffix)
            if path.is_file():
                raise ConfigError(
                    f"{path} is there already, but HISTORICAL_DATA_EXPORTER is '{exporter}'; "
                    "choose another DATA_SOURCE, or delete the older files"
                )


def _fetch_all(
    requests: list[HistoryRequest],
    provider: HistoricalProvider,
    export: Exporter,
    root: Path,
    parallel: int,
    say: Reporter,
) -> tuple[list[Path], dict[str, str]]:
    files: list[Path] = []
    failed: dict[str, str] = {}
    pool = ThreadPoolExecutor(parallel)
    try:
        running: dict[Future[Path | None], HistoryRequest] = {
            pool.submit(_fetch, request, provider, export, root): request for request in requests
        }
        with say.task("Downloading", len(requests)) as task:
            for done in as_completed(running):
                request = running[done]
                try:
                    file = done.result()
                except (ArtifactError, ConfigError):
                    raise  # a full disk or a wrong setting fails every request
                except (FastPanelError, OSError) as error:
                    failed[f"{request.asset} {request.month}"] = str(error)
                else:
                    files += [file] if file else []
                task.advance(note=f"{request.asset} {request.month}")
    finally:
        pool.shutdown(cancel_futures=True)
    return sorted(files), dict(sorted(failed.items()))


def _fetch(
    request: HistoryRequest, provider: HistoricalProvider, export: Exporter, root: Path
) -> Path | None:
    import polars as pl

    raw = provider.fetch(request)
    if not len(raw):
        return None
    if "asset" not in raw.columns:
        raw = raw.with_columns(asset=pl.lit(request.asset))
    bars = read_bars(raw)
    size = BAR_SIZES[request.bar_size]
    time = pl.col("timestamp")
    limits = [
        pl.lit(instant.astype("datetime64[ns]")).dt.replace_time_zone("UTC")
        for instant in (request.start, request.end)
    ]
    bars = bars.filter((time >= limits[0]) & (time + size <= limits[1]))
    if bars.is_empty():
        return None
    if "volume" not in bars.columns:
        bars = bars.with_columns(volume=pl.lit(None, pl.Float64))
    return export(root, request.asset, request.month, bars.select(_COLUMNS))


def _settings_of(root: Path) -> dict[str, Any]:
    """Settings of the download before; none if its record is missing or damaged."""
    try:
        stored = read_json(root / COVERAGE)
    except ArtifactError:
        return {}
    names = ("provider", "exporter", "bar_size", "what_to_show")
    return {name: stored.get(name) for name in names} if isinstance(stored, dict) else {}


def _is_settled(root: Path, request: HistoryRequest, exporter: str) -> bool:
    path = month_file(root, request.asset, request.month, f".{exporter}")
    if not path.is_file():
        return False
    month_end = (request.start.astype("datetime64[M]") + 1).astype("datetime64[s]")
    end = month_end.item().replace(tzinfo=UTC)
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return bool(written >= end + _SETTLED)


def _coverage(root: Path, requests: list[HistoryRequest]) -> dict[str, Any]:
    months: dict[str, list[str]] = {}
    for request in requests:
        months.setdefault(request.asset, []).append(request.month)
    return {asset: coverage_of(root, asset, wanted) for asset, wanted in months.items()}
