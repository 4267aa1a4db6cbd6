"""Bars that count for one day, or one week, as one bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastpanel.data._blocks import asset_blocks, blocks, in_order
from fastpanel.data._calendar import Sessions
from fastpanel.data._clean_meta import naive
from fastpanel.errors import ParameterError

if TYPE_CHECKING:
    import polars as pl

_SATURDAY = 6  # ISO weekday number


def with_calendar(bars: pl.DataFrame, time_zone: str, sessions: Sessions | None) -> pl.DataFrame:
    """Add to each bar the days that it counts for.

    ``session`` is the day whose row it enters, ``day`` its own date,
    ``monday`` begins its week, ``own`` says whether it lies in that session.
    """
    import polars as pl

    if sessions is not None:
        return _with_sessions(bars, sessions)
    try:
        local = bars.select(pl.col("timestamp").dt.convert_time_zone(time_zone).dt.date())
    except pl.exceptions.PolarsError:
        raise ParameterError(f"time_zone {time_zone!r} is no IANA time zone") from None
    day, weekday = pl.col("day"), pl.col("day").dt.weekday().cast(pl.Int32)
    table = bars.with_columns(day=local.to_series()).with_columns(
        monday=day - pl.duration(days=weekday - 1),
        session=pl.when(weekday >= _SATURDAY)
        .then(day + pl.duration(days=8 - weekday))
        .otherwise(day),
    )
    return table.with_columns(own=day == pl.col("session"))


def _with_sessions(bars: pl.DataFrame, sessions: Sessions) -> pl.DataFrame:
    import polars as pl

    times = naive(bars.get_column("timestamp"))
    index = sessions.index(times)
    stamps = times.astype(np.int64)
    # a daily bar stands at midnight of its date, before the open
    own = stamps >= sessions.opens[index]
    own |= times.astype("datetime64[D]").astype(np.int64) == sessions.dates[index]
    # what lies before a session reaches as far as the session before
    reached = np.where(own, index, np.maximum(index - 1, 0))
    session = pl.Series(sessions.dates[index]).cast(pl.Int32).cast(pl.Date)
    return bars.with_columns(
        day=pl.Series(sessions.dates[reached]).cast(pl.Int32).cast(pl.Date),
        monday=session.dt.truncate("1w"),
        session=session,
        own=pl.Series(own),
    )


def day_parts(
    bars: pl.DataFrame, wanted: pl.Expr, time_zone: str, sessions: Sessions | None
) -> pl.DataFrame:
    """Wanted bars of an asset that follow each other and count for one day, as one bar.

    ``bars`` are sorted by asset, then time. A block of them is merged at a
    time, so that beside them nothing is long but what is no shorter merged. A
    day on which a block ends, or over whose midnight the clock is put back,
    has several parts.
    """
    import polars as pl

    first_close = pl.col("close").first().alias("first_close")
    return pl.concat(
        _merge(
            with_calendar(block.filter(wanted), time_zone, sessions),
            ("asset", "day", "monday", "session", "own"),
            first_close,
        )
        for block in blocks(bars)
    )


def merged(parts: pl.DataFrame, key: str, *more: pl.Expr) -> pl.DataFrame:
    """Parts of an asset with the same ``key`` as one bar, and more columns of them."""
    import polars as pl

    if not in_order(parts, key):  # a clock put back over midnight
        parts = parts.sort("asset", key, maintain_order=True)
    return pl.concat(_merge(some, ("asset", key), *more) for some in asset_blocks(parts))


def _merge(bars: pl.DataFrame, keys: tuple[str, ...], *more: pl.Expr) -> pl.DataFrame:
    """Neighbours that agree in ``keys`` as one bar."""
    import polars as pl

    changed = [pl.col(key) != pl.col(key).shift() for key in keys]
    run = pl.any_horizontal(changed).fill_null(True).cum_sum().set_sorted().alias("run")
    columns = [
        *(pl.col(key).first() for key in keys),
        pl.col("timestamp").last(),
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        *more,
    ]
    return bars.group_by(run, maintain_order=True).agg(columns).drop("run")
