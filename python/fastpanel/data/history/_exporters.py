"""How downloaded bars are kept: one file per asset and month."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fastpanel._files import atomic_path
from fastpanel.registry import Registry

if TYPE_CHECKING:
    import polars as pl

Exporter = Callable[[Path, str, str, "pl.DataFrame"], Path]
"""``(root, asset, month, bars) -> path``: writes ``timestamp, open, high, low, close, volume``."""

_TIME = "%Y-%m-%dT%H:%M:%S%.f+00:00"


def exporters() -> Registry[Exporter]:
    """Return the registry of exporters; add your own with ``exporters().add(name, function)``.

    An exporter writes ``<asset>/<YYYY>/hist_data_YYYY-MM.*`` below the root,
    whole or not at all, in a format that ``fp.read_bars`` reads.

    Examples
    --------
    >>> sorted(exporters())
    ['csv', 'parquet']
    """
    return _exporters


def month_file(root: Path, asset: str, month: str, suffix: str) -> Path:
    """``root/<asset>/<YYYY>/hist_data_YYYY-MM<suffix>``."""
    return root / asset / month[:4] / f"hist_data_{month}{suffix}"


def _to_csv(root: Path, asset: str, month: str, bars: pl.DataFrame) -> Path:
    import polars as pl

    path = month_file(root, asset, month, ".csv")
    with atomic_path(path) as temporary:
        bars.with_columns(pl.col("timestamp").dt.strftime(_TIME)).write_csv(temporary)
    return path


def _to_parquet(root: Path, asset: str, month: str, bars: pl.DataFrame) -> Path:
    import polars as pl

    path = month_file(root, asset, month, ".parquet")
    table = bars.select("timestamp", pl.lit(asset).alias("asset"), pl.exclude("timestamp"))
    with atomic_path(path) as temporary:
        table.write_parquet(temporary)
    return path


_exporters: Registry[Exporter] = Registry("historical data exporter")
_exporters.add("csv", _to_csv)
_exporters.add("parquet", _to_parquet)
