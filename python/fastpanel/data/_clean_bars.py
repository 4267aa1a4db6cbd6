"""What cleaning hands over: weekly and daily bars, weekly returns, a record."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel.data._arrays import PriceArrays
from fastpanel.data._calendar import Sessions, sessions_around
from fastpanel.errors import DataError
from fastpanel.typing import FloatArray, IntArray, TimeArray

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, eq=False)
class WeeklyReturns:
    """One return per week and asset.

    Attributes
    ----------
    values : float64 array ``[T, A]``
        NaN where an asset has no bar in the week.
    times : datetime64[ns] array ``[T]``
        Week labels, UTC: the latest bar of the week over all assets.
    assets : tuple of str
    kind : ``"simple"`` or ``"log"``
    basis : ``"within_week"`` or ``"close_to_close"``
    """

    values: FloatArray
    times: TimeArray
    assets: tuple[str, ...]
    kind: str
    basis: str = "within_week"


@dataclass(frozen=True, eq=False)
class CleanBars:
    """Cleaned bars; :func:`clean_bars` makes them.

    Attributes
    ----------
    weekly : polars.DataFrame
        ``timestamp, asset, open, high, low, close, iso_week``: one row per
        week and asset with a bar; the timestamp is the week's label.
    daily : polars.DataFrame or None
        ``timestamp, asset, open, high, low, close``: one row per weekday and
        asset with a bar; the timestamp is the latest bar of that day over all
        assets. None where only weekly data were stored: then features that
        need days raise.
    returns : WeeklyReturns
    meta : dict
        JSON-ready record: ``weekly``, ``daily`` and ``returns`` parts, and the
        ``time_zone`` or the ``calendar`` that days and weeks were cut in.
    """

    weekly: pl.DataFrame
    daily: pl.DataFrame | None
    returns: WeeklyReturns
    meta: dict[str, Any]

    def __repr__(self) -> str:
        days = self.times.astype("datetime64[D]")
        return f"CleanBars({len(days)} weeks, {len(self.assets)} assets, {days[0]} .. {days[-1]})"

    @property
    def assets(self) -> tuple[str, ...]:
        """Assets, in the order of every wide array."""
        return self.returns.assets

    @property
    def times(self) -> TimeArray:
        """Week labels ``[T]``."""
        return self.returns.times

    @property
    def time_zone(self) -> str:
        """Zone in which days and weeks were cut."""
        return str(self.meta.get("time_zone", "UTC"))

    @property
    def calendar(self) -> str | None:
        """Exchange whose sessions the days are; None for plain days."""
        return self.meta.get("calendar")

    @cached_property
    def sessions(self) -> Sessions | None:
        """Sessions of the exchange over the range, with a margin; None for plain days."""
        return None if self.calendar is None else sessions_around(self.calendar, self._reach)

    @property
    def _reach(self) -> TimeArray:
        return self.times if self.daily is None else self.daily_arrays.times

    def day_numbers(self, times: TimeArray) -> IntArray:
        """Local day, or session date, of each time, as days since 1970-01-01."""
        import polars as pl

        if self.sessions is not None:
            dates: IntArray = self.sessions.dates[self.sessions.index(times)]
            return dates

        local = pl.Series(times).dt.replace_time_zone("UTC").dt.convert_time_zone(self.time_zone)
        return local.dt.date().to_physical().to_numpy().astype(np.int64)

    @cached_property
    def weekly_arrays(self) -> PriceArrays:
        """Weekly prices as ``[T, A]`` arrays; pivoted on first use."""
        return PriceArrays.from_frame(self.weekly, self.assets)

    @cached_property
    def daily_arrays(self) -> PriceArrays:
        """Daily prices as ``[D, A]`` arrays; pivoted on first use."""
        if self.daily is None:
            raise DataError("there are no daily bars (daily_ohlc); this feature needs them")
        return PriceArrays.from_frame(self.daily, self.assets)
