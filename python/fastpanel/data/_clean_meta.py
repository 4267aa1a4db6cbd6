"""The record of a cleaning: what there is and what is missing, ready for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel.data._blocks import by_asset
from fastpanel.data._calendar import Sessions
from fastpanel.data._times import utc_text

if TYPE_CHECKING:
    import polars as pl


def weekly_meta(
    weekly: pl.DataFrame, assets: tuple[str, ...], partial_weeks: list[str]
) -> dict[str, Any]:
    """Assets, weeks, rows per asset and the weeks missing inside an asset's life."""
    labels = naive(weekly.get_column("timestamp").unique().sort())
    rows, missing = {}, {}
    found = by_asset(weekly)
    for asset in assets:
        own = naive(found.get(asset, weekly.clear()).get_column("timestamp"))
        rows[asset] = len(own)
        missing[asset] = [utc_text(label) for label in _gaps(labels, own)]
    return {
        "assets": list(assets),
        "n_weeks": len(labels),
        "first_week": utc_text(labels[0]),
        "last_week": utc_text(labels[-1]),
        "rows_per_asset": rows,
        "missing_weeks": missing,
        "partial_weeks_dropped": partial_weeks,
    }


def daily_meta(
    days: pl.DataFrame,
    parts: pl.DataFrame,
    assets: tuple[str, ...],
    sessions: Sessions | None = None,
) -> dict[str, Any]:
    """Weekdays, or sessions, without a bar between each asset's first and last bar.

    A missing day stands at the latest bar of that day over all assets; a day
    that all assets miss at the hour of the weekday before.
    """
    known, at = np.unique(days.get_column("session").to_numpy(), return_index=True)
    stamps = naive(days.get_column("timestamp"))[at]
    rows, missing, monthly = {}, {}, {}
    found, lives = by_asset(days), by_asset(parts)
    for asset in assets:
        own = found.get(asset, days.clear()).get_column("session").to_numpy()
        life = lives[asset].get_column("day")
        calendar = _days_between(life.min(), life.max(), sessions)
        absent = _without(calendar, own.astype("datetime64[D]"))
        rows[asset] = len(own)
        missing[asset] = [utc_text(_stamp(day, known, stamps)) for day in absent]
        months, counts = np.unique(absent.astype("datetime64[M]"), return_counts=True)
        monthly[asset] = {str(m): int(n) for m, n in zip(months, counts, strict=True)}
    return {
        "assets": list(assets),
        "n_days": len(known),
        "first_day": utc_text(stamps[0]) if len(stamps) else None,
        "last_day": utc_text(stamps[-1]) if len(stamps) else None,
        "rows_per_asset": rows,
        "missing_days": missing,
        "missing_days_per_month": monthly,
    }


def naive(times: pl.Series) -> Any:
    """UTC times as a NumPy array."""
    return times.dt.replace_time_zone(None).to_numpy()


def _gaps(labels: Any, own: Any) -> Any:
    if len(own) == 0:
        return own
    inside = labels[(labels >= own.min()) & (labels <= own.max())]
    return _without(inside, own)


def _without(times: Any, own: Any) -> Any:
    """Entries of sorted ``times`` that sorted ``own`` lacks."""
    if len(own) == 0:
        return times
    at = np.minimum(np.searchsorted(own, times), len(own) - 1)
    return times[own[at] != times]


def _days_between(first: Any, last: Any, sessions: Sessions | None) -> Any:
    """Sessions, or weekdays, of a range of dates."""
    if sessions is None:
        days = np.arange(first, np.datetime64(last, "D") + 1, dtype="datetime64[D]")
        return days[np.is_busday(days)]
    days = sessions.dates.astype("datetime64[D]")
    return days[(days >= np.datetime64(first, "D")) & (days <= np.datetime64(last, "D"))]


def _stamp(day: Any, known: Any, stamps: Any) -> Any:
    position = int(np.searchsorted(known, day))
    if position < len(known) and known[position] == day:
        return stamps[position]
    if position == 0:  # no weekday before it at all: only a weekend bar opened the data
        return day.astype("datetime64[ns]")
    earlier = stamps[position - 1]
    return earlier + (day - known[position - 1])
