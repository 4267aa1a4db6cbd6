"""Raw bars to weekly returns and OHLC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastpanel._environment import Environment
from fastpanel.data import CleanBars, Quality, clean_bars, quality, read_bars
from fastpanel.data.stores import write_clean
from fastpanel.diagnostics import draw_quality, png
from fastpanel.errors import DataError, MissingExtraError, ParameterError
from fastpanel.pipelines._coverage import bar_files
from fastpanel.progress import Reporter, reporter

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Cleaned:
    """Result of :func:`clean_data`: the week folder, what is in it, and what is wrong with it."""

    folder: Path
    clean: CleanBars
    quality: Quality


def clean_data(
    start: str,
    end: str | None = None,
    *,
    return_type: Literal["simple", "log"] = "simple",
    assets: Sequence[str] | None = None,
    return_basis: Literal["within_week", "close_to_close"] = "within_week",
    keep_partial: bool = False,
    time_zone: str = "UTC",
    calendar: str | None = None,
    environment: Environment | None = None,
    progress: bool | Reporter = True,
) -> Cleaned:
    """Clean the bars of ``DATA_SOURCE`` into ``DATA_LAKE_SOURCE/YYYY-WW``.

    Parameters
    ----------
    start, end : str, ``"YYYY-MM"``
        First and last month; by default the last one is the newest on disk.
    return_type, assets, return_basis, keep_partial, time_zone, calendar
        As in :func:`fastpanel.clean_bars`; by default every asset that has a
        folder.
    environment : Environment, optional
        Reads ``DATA_SOURCE`` and ``DATA_LAKE_SOURCE``.
    progress : bool or Reporter

    Returns
    -------
    Cleaned
        The week folder is the ISO week of the newest weekly row. An older run
        of the same week is overwritten, all files at once. Beside the data
        stand ``quality_findings.csv``, ``quality_weeks.csv``,
        ``quality_assets.csv`` and, with matplotlib, ``quality.png``.

    Raises
    ------
    ConfigError
        A variable is missing.
    ParameterError
        A malformed month, or an end before the start.
    DataError
        An unknown asset, no bars in the range, or defective bars.
    """
    environment = environment or Environment()
    source = environment.folder("DATA_SOURCE")
    lake = environment.folder("DATA_LAKE_SOURCE")
    _check_months(start, end)
    names = _assets(source, assets)
    say = reporter(progress)
    files = [
        path
        for name in names
        for month, path in bar_files(source, name).items()
        if start <= month and (end is None or month <= end)
    ]
    if not files:
        raise DataError(f"{source} has no bars of {names} between {start} and {end or 'now'}")
    say.say(f"Reading {len(files)} files of {len(names)} assets")
    bars = read_bars(files)
    say.say(f"Cleaning {bars.height} bars")
    clean = clean_bars(
        bars,
        return_type=return_type,
        start=start,
        end=end,
        assets=assets,
        return_basis=return_basis,
        keep_partial=keep_partial,
        time_zone=time_zone,
        calendar=calendar,
    )
    report = quality(bars, clean)
    return Cleaned(write_clean(clean, lake, _quality_files(report, say)), clean, report)


def _quality_files(report: Quality, say: Reporter) -> dict[str, bytes]:
    files = {
        f"{name}.csv": table.write_csv().encode("utf-8") for name, table in report.tables().items()
    }
    try:
        files["quality.png"] = png(draw_quality(report))
    except MissingExtraError as error:
        say.say(f"No quality.png: {error}")
    return files


def _check_months(start: str, end: str | None) -> None:
    for name, month in (("start", start), ("end", end)):
        if month is not None and not _MONTH.fullmatch(month):
            raise ParameterError(f"{name} must be a month YYYY-MM, got {month!r}")
    if end is not None and end < start:
        raise ParameterError(f"end {end} lies before start {start}")


def _assets(source: Path, assets: Sequence[str] | None) -> list[str]:
    known = sorted(path.parent.name for path in source.glob("*/[0-9][0-9][0-9][0-9]"))
    known = list(dict.fromkeys(known))
    if not known:
        raise DataError(f"{source} holds no <asset>/<YYYY>/hist_data_YYYY-MM files")
    unknown = [name for name in assets or () if name not in known]
    if unknown:
        raise DataError(f"unknown asset '{unknown[0]}'; {source} has {known}")
    return known if assets is None else list(assets)
