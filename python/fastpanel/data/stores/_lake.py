"""Cleaned data on disk: the files of one week folder of the data lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel._files import atomic_path, read_json, write_bytes, write_json
from fastpanel._tensors import load_tensors, save_tensors
from fastpanel.data._arrays import PriceArrays
from fastpanel.data._clean_bars import CleanBars, WeeklyReturns
from fastpanel.data._columns import PRICES
from fastpanel.data.stores._weeks import staged, week_of
from fastpanel.data.stores._wide import (
    parse_numbers,
    parse_times,
    read_text_table,
    read_wide,
    time_text,
    write_wide,
)
from fastpanel.errors import ArtifactError

if TYPE_CHECKING:
    import polars as pl

RETURNS = "returns.csv"
WEEKLY, WEEKLY_META = "weekly_ohlc.csv", "weekly_ohlc_meta.json"
DAILY, DAILY_META = "daily_ohlc.csv", "daily_ohlc_meta.json"
TENSOR = "return_tensor.pt"


@dataclass(frozen=True, eq=False, repr=False)
class StoredBars(CleanBars):
    """Cleaned bars of a week folder; days that are not there are missed by their file's name."""

    folder: Path = Path()

    @cached_property
    def daily_arrays(self) -> PriceArrays:
        """Daily prices as ``[D, A]`` arrays; pivoted on first use."""
        if self.daily is None:
            raise ArtifactError(
                f"missing file: {self.folder / DAILY}; daily features are computed from it"
            )
        return PriceArrays.from_frame(self.daily, self.assets)


def write_clean(
    clean: CleanBars, root: str | Path, beside: Mapping[str, bytes] | None = None
) -> Path:
    """Write cleaned bars to ``root/YYYY-WW``, all files or none.

    Parameters
    ----------
    clean : CleanBars
    root : path
        The data lake.
    beside : mapping of str to bytes, optional
        Further files, by name.

    Returns
    -------
    Path
        The week folder: the ISO week of the newest weekly row. It holds
        ``returns.csv`` (row = week, column = asset), ``weekly_ohlc.csv`` and
        ``daily_ohlc.csv`` (long), a JSON record of each, and
        ``return_tensor.pt``: ``values [T, A]``, ``timestamps`` (int64, ns
        since 1970, UTC), ``missing_mask`` (True = missing), ``assets``,
        ``iso_weeks``, ``return_type`` and ``return_basis``.
    """
    folder = Path(root) / week_of(clean.times[-1])
    returns = clean.returns
    shared = {"time_zone": clean.time_zone, "calendar": clean.calendar}
    kinds = {"return_type": returns.kind, "return_basis": returns.basis}
    with staged(folder) as stage:
        write_wide(stage / RETURNS, returns.times, returns.assets, returns.values)
        _write_bars(stage / WEEKLY, clean.weekly)
        write_json(stage / WEEKLY_META, {**clean.meta["weekly"], **shared, **kinds})
        if clean.daily is not None:
            _write_bars(stage / DAILY, clean.daily)
            write_json(stage / DAILY_META, {**clean.meta["daily"], **shared})
        content = {
            "values": returns.values,
            "timestamps": returns.times.astype("datetime64[ns]").astype(np.int64),
            "missing_mask": np.isnan(returns.values),
            "assets": list(returns.assets),
            "iso_weeks": [week_of(time) for time in returns.times],
            **kinds,
        }
        save_tensors(stage / TENSOR, content)
        for name, data in (beside or {}).items():
            write_bytes(stage / name, data)
    return folder


def read_clean(folder: str | Path) -> CleanBars:
    """Cleaned bars of a week folder.

    Without ``daily_ohlc.csv`` there are no daily bars, and features that need
    them raise an error that names the file.

    Raises
    ------
    ArtifactError
        If another file is missing, or one is damaged.
    """
    folder = Path(folder)
    meta = read_json(folder / WEEKLY_META)
    has_days = (folder / DAILY).is_file()
    record = {
        "time_zone": meta.get("time_zone", "UTC"),
        "calendar": meta.get("calendar"),
        "weekly": meta,
        "daily": read_json(folder / DAILY_META) if has_days else {},
        "returns": {key: meta[key] for key in ("return_type", "return_basis")},
    }
    return StoredBars(
        weekly=_read_bars(folder / WEEKLY, ("iso_week",)),
        daily=_read_bars(folder / DAILY, ()) if has_days else None,
        returns=_returns_of(folder, meta),
        meta=record,
        folder=folder,
    )


def read_returns(folder: str | Path) -> WeeklyReturns:
    """Weekly returns of a week folder, from ``returns.csv``."""
    folder = Path(folder)
    return _returns_of(folder, read_json(folder / WEEKLY_META))


def read_return_tensor(folder: str | Path) -> WeeklyReturns:
    """Weekly returns of a week folder, from ``return_tensor.pt``."""
    path = Path(folder) / TENSOR
    content = load_tensors(path)
    try:
        values = np.where(content["missing_mask"], np.nan, content["values"])
        times = content["timestamps"].astype("datetime64[ns]")
        assets = tuple(content["assets"])
        kinds = content["return_type"], content["return_basis"]
    except KeyError as error:
        raise ArtifactError(f"{path} is no return tensor: {error} is missing") from None
    if values.shape != (len(times), len(assets)):
        raise ArtifactError(
            f"{path}: values have shape {values.shape}, times and assets say "
            f"{(len(times), len(assets))}"
        )
    return WeeklyReturns(values, times, assets, *kinds)


def _returns_of(folder: Path, meta: dict[str, Any]) -> WeeklyReturns:
    times, assets, values = read_wide(folder / RETURNS)
    values.flags.writeable = False
    return WeeklyReturns(values, times, assets, meta["return_type"], meta["return_basis"])


def _write_bars(path: Path, bars: pl.DataFrame) -> None:
    times = time_text(bars.get_column("timestamp").dt.replace_time_zone(None).to_numpy())
    with atomic_path(path) as temporary:
        bars.with_columns(times).write_csv(temporary)


def _read_bars(path: Path, labels: tuple[str, ...]) -> pl.DataFrame:
    import polars as pl

    text = read_text_table(path)
    wanted = ["timestamp", "asset", *PRICES, *labels]
    absent = [name for name in wanted if name not in text.columns]
    if absent:
        raise ArtifactError(f"{path}: no column {absent}; found {text.columns}")
    times = pl.Series("timestamp", parse_times(text.get_column("timestamp"), path))
    prices = parse_numbers(text.select(PRICES), path)
    return text.select(wanted).with_columns(
        times.dt.replace_time_zone("UTC"),
        *[pl.Series(name, prices[:, column]) for column, name in enumerate(PRICES)],
    )
