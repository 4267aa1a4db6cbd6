"""Bars from files and frames, in one validated form."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel.data._blocks import in_order
from fastpanel.data._checks import check_bars
from fastpanel.data._columns import normalise
from fastpanel.data._frames import to_polars
from fastpanel.errors import DataError

if TYPE_CHECKING:
    import polars as pl

_SUFFIXES = (".parquet", ".csv", ".csv.gz")
_HISTORY = re.compile(r"hist_data_\d{4}-\d{2}\.csv")


def read_bars(source: Any) -> pl.DataFrame:
    """Read price bars of any size up to a day.

    Parameters
    ----------
    source : path, glob, list of paths, or frame
        - a Parquet or CSV file, or a glob of them;
        - a folder: ``<asset>/<YYYY>/hist_data_YYYY-MM.csv`` below it, or else
          the Parquet and CSV files in it;
        - a polars, pandas or pyarrow frame.

        Columns are found by name whatever their case: ``timestamp`` (or
        ``date``, ``datetime``, ``time``), ``asset`` (or ``symbol``,
        ``ticker``), ``open``, ``high``, ``low``, ``close`` and, if there,
        ``volume``; others are left out. A file without an asset column holds
        one asset, named as the file (or as the top folder of the layout above).

    Returns
    -------
    polars.DataFrame
        ``timestamp`` (``datetime[ns, UTC]``: the bar's start), ``asset``
        (str), ``open, high, low, close`` (f64) and ``volume`` (f64, null =
        unknown) if the source has one; sorted by asset, then timestamp.

    Raises
    ------
    DataError
        No file; a missing column; a price that is no number, missing, not
        finite or not positive; ``high < low``; open or close outside
        ``[low, high]``; two bars of one asset at one time. The message names
        asset, time and column.

    Warns
    -----
    UserWarning
        If times of day come without a zone; they are taken as UTC. Plain
        dates are UTC dates without further ado.

    Notes
    -----
    Files are read by ``min(assets, max(1, cpu_count - 1))`` threads; the result does
    not depend on their number.

    Examples
    --------
    >>> import polars as pl
    >>> read_bars(pl.DataFrame({
    ...     "Date": ["2024-01-02", "2024-01-03"], "Symbol": ["A", "A"], "Open": [10.0, 11.0],
    ...     "High": [12.0, 12.0], "Low": [9.0, 10.0], "Close": [11.0, 10.5]})).columns
    ['timestamp', 'asset', 'open', 'high', 'low', 'close']
    """
    if isinstance(source, str | os.PathLike):
        bars, zoneless = _read_files(_files_of(source))
    elif isinstance(source, list | tuple) and source and isinstance(source[0], str | os.PathLike):
        bars, zoneless = _read_files([path for item in source for path in _files_of(item)])
    else:
        bars, has_zone = normalise(to_polars(source), "the frame", None)
        zoneless = [] if has_zone else ["the frame"]
    if zoneless:
        warnings.warn(f"{zoneless[0]}: timestamps without a zone are taken as UTC", stacklevel=2)
    if not in_order(bars, "timestamp"):
        bars = _sorted(bars)
    check_bars(bars)
    return bars


def _sorted(bars: pl.DataFrame) -> pl.DataFrame:
    """By asset, then time: by numbers, which takes less time and memory than by text."""
    import polars as pl

    names = pl.Enum(bars.get_column("asset").unique().sort())
    assets = bars.get_column("asset").cast(names).to_physical().to_numpy()
    return bars[np.lexsort((bars.get_column("timestamp").to_physical().to_numpy(), assets))]


def _files_of(source: str | os.PathLike[str]) -> list[Path]:
    path = Path(source)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(path.glob("*/*/hist_data_*.csv"))
        found = [file for file in found if _HISTORY.fullmatch(file.name)]
        found = found or [file for file in sorted(path.iterdir()) if _is_bar_file(file)]
    else:
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
        found = [file for file in found if _is_bar_file(file)]
    if not found:
        raise DataError(f"no Parquet or CSV file at {source}")
    return found


def _is_bar_file(file: Path) -> bool:
    return file.is_file() and file.name.lower().endswith(_SUFFIXES)


def _asset_of(file: Path) -> str:
    if _HISTORY.fullmatch(file.name):
        return file.parent.parent.name
    return file.name.split(".csv")[0].removesuffix(".parquet")


def workers(n_assets: int) -> int:
    """Threads that load ``n_assets`` assets."""
    return min(n_assets, max(1, (os.cpu_count() or 1) - 1))


def _read_files(files: Sequence[Path]) -> tuple[pl.DataFrame, list[str]]:
    import polars as pl

    by_asset: dict[str, list[Path]] = {}
    for file in files:
        by_asset.setdefault(_asset_of(file), []).append(file)
    with ThreadPoolExecutor(workers(len(by_asset))) as pool:
        groups = list(pool.map(_read_asset, by_asset, by_asset.values()))
    parts = [part for group in groups for part in group]
    zoneless = [name for name, _, has_zone in parts if not has_zone]
    return pl.concat([frame for _, frame, _ in parts], how="diagonal"), zoneless


def _read_asset(asset: str, files: list[Path]) -> list[tuple[str, pl.DataFrame, bool]]:
    import polars as pl

    parts = []
    for file in files:
        try:
            if file.suffix == ".parquet":
                table = pl.read_parquet(file)
            else:  # as text, so that a value that is no number can be named
                table = pl.read_csv(file, infer_schema=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"cannot read {file}: {error}") from error
        parts.append((str(file), *normalise(table, str(file), asset)))
    return parts
