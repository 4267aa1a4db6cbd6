"""What bar files on disk cover."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastpanel.data import read_bars
from fastpanel.errors import ArtifactError, DataError

SUFFIXES = (".csv", ".parquet")


def bar_files(root: Path, asset: str) -> dict[str, Path]:
    """Month files of an asset, by month.

    Raises
    ------
    ArtifactError
        If a month is there in two formats.
    """
    found: dict[str, Path] = {}
    for path in sorted((root / asset).glob("[0-9][0-9][0-9][0-9]/hist_data_*")):
        if path.suffix not in SUFFIXES:
            continue
        month = path.stem.removeprefix("hist_data_")
        if month in found:
            raise ArtifactError(f"{found[month]} and {path.name} hold the same month; delete one")
        found[month] = path
    return found


def coverage_of(root: Path, asset: str, months: list[str]) -> dict[str, Any]:
    """Range, bars, months without bars, and weekdays without bars per month of an asset."""
    files = bar_files(root, asset)
    present = [files[month] for month in months if month in files]
    record: dict[str, Any] = {
        "bars": 0,
        "first": None,
        "last": None,
        "months_without_bars": [month for month in months if month not in files],
        "weekdays_without_bars": {},
    }
    if not present:
        return record
    try:
        bars = read_bars(present)
    except DataError as error:
        return {**record, "defect": str(error)}
    stamps = bars.get_column("timestamp").dt.replace_time_zone(None).to_numpy()
    days = np.unique(stamps.astype("datetime64[D]"))
    calendar = np.arange(days[0], days[-1] + 1)
    absent = np.setdiff1d(calendar[np.is_busday(calendar)], days)
    gaps, counts = np.unique(absent.astype("datetime64[M]"), return_counts=True)
    return {
        **record,
        "bars": len(stamps),
        "first": f"{np.datetime_as_string(stamps[0], unit='s')}+00:00",
        "last": f"{np.datetime_as_string(stamps[-1], unit='s')}+00:00",
        "weekdays_without_bars": {str(m): int(n) for m, n in zip(gaps, counts, strict=True)},
    }
