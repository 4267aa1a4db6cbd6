"""Bars to weeks and days: the calendar rules in one place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastpanel.data._bars import read_bars
from fastpanel.data._blocks import blocks
from fastpanel.data._calendar import Sessions, sessions_around
from fastpanel.data._clean_bars import CleanBars, WeeklyReturns
from fastpanel.data._clean_meta import daily_meta, naive, weekly_meta
from fastpanel.data._merge import day_parts, merged
from fastpanel.data._times import lower_bound, upper_bound
from fastpanel.errors import DataError, ParameterError
from fastpanel.typing import FloatArray

if TYPE_CHECKING:
    import polars as pl

_FRIDAY = 5  # ISO weekday number
_OHLC = ["timestamp", "asset", "open", "high", "low", "close"]


def clean_bars(
    bars: Any,
    *,
    return_type: Literal["simple", "log"] = "simple",
    start: Any = None,
    end: Any = None,
    assets: Sequence[str] | None = None,
    return_basis: Literal["within_week", "close_to_close"] = "within_week",
    keep_partial: bool = False,
    time_zone: str = "UTC",
    calendar: str | None = None,
) -> CleanBars:
    """Group bars into weeks and days and compute weekly returns.

    Parameters
    ----------
    bars : frame, path or glob
        Whatever :func:`read_bars` takes; bars of any size up to a day.
    return_type : ``"simple"`` or ``"log"``
        ``P_t / P_0 - 1`` or ``log P_t - log P_0``.
    start, end : str or datetime, optional
        ``"YYYY-MM"``, ``"YYYY-MM-DD"`` or a datetime; both inclusive, a month
        or day as a whole. UTC.
    assets : sequence of str, optional
        Assets to keep, in this order; by default all, sorted by name.
    return_basis : ``"within_week"`` or ``"close_to_close"``
        ``P_0`` is the close of the week's first bar (the weekend gap is not in
        the return), or the last close of the week before.
    keep_partial : bool
        Keep a first or last week that the data cut.
    time_zone : str
        IANA zone in which days and weeks begin.
    calendar : str, optional
        Exchange whose sessions are the days (``"XNYS"``, ``"XLON"``, ...; needs
        ``fastpanel[calendars]``); see the notes.

    Returns
    -------
    CleanBars
        Weekly and daily bars (first open, highest high, lowest low, last
        close), weekly returns, and a record of what is missing.

    Raises
    ------
    DataError
        Defective bars (see :func:`read_bars`), an unknown asset, no bar in
        the range, or no complete week.
    ParameterError
        An argument outside its domain.

    Notes
    -----
    - A week runs from Monday to Sunday and is labelled with its latest bar
      over all assets, so labels depend on the universe; ``iso_week``
      (``YYYY-WW``) does not. A week without any bar has no row.
    - Only the first and the last week can be partial: the first is kept if
      its Monday is not before the first bar's date, the last if some asset
      has a bar on its Friday or later.
    - Weekend bars belong to the week that began the Monday before. In the
      daily table they are merged into the Monday that follows; without a bar
      on that Monday they are not used there.
    - With ``calendar``, days are sessions and their dates those of the
      exchange, so a change of the clocks moves nothing. A bar counts for the
      first session that closes after the bar's start: what happens after the
      close, on a holiday or at the weekend belongs to the session that follows,
      and makes no daily row without a bar of that session itself. The first
      week is kept if the data begin by its first session, the last if some
      asset has a bar in its last session.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.clean_bars(fp.data.simulated_market(n_assets=3, years=2, seed=1))
    CleanBars(104 weeks, 3 assets, 2016-01-08 .. 2017-12-29)
    """
    import polars as pl

    _check_choice("return_type", return_type, ("simple", "log"))
    _check_choice("return_basis", return_basis, ("within_week", "close_to_close"))
    table = read_bars(bars)
    wanted, names, found = _select(table, start, end, assets)
    if calendar is not None and time_zone != "UTC":
        raise ParameterError(f"calendar {calendar!r} has its own time zone; leave time_zone out")
    span = naive(found.get_column("first").append(found.get_column("last")))
    sessions = None if calendar is None else sessions_around(calendar, span)
    parts = day_parts(table, wanted, time_zone, sessions)
    del table  # a copy, if the bars came unsorted or in other types
    weeks, dropped = _complete_weeks(_weeks(parts), parts, sessions, keep_partial)
    if weeks.is_empty():
        raise DataError(
            f"the history is too short: no complete week in {found['bars'].sum()} bars from "
            f"{found['first'].min()!s} to {found['last'].max()!s} "
            "(weeks cut by the range are dropped; keep_partial=True keeps them)"
        )
    weekly = weeks.select(*_OHLC, iso_week=pl.col("monday").dt.strftime("%G-%V"))
    days = _days(parts)
    returns = _returns(weeks, names, return_type, return_basis)
    meta = {
        "time_zone": time_zone,
        "calendar": calendar,
        "weekly": weekly_meta(weekly, names, dropped),
        "daily": daily_meta(days, parts, names, sessions),
        "returns": {"return_type": return_type, "return_basis": return_basis},
    }
    return CleanBars(weekly=weekly, daily=days.select(_OHLC), returns=returns, meta=meta)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ParameterError(f"{name} is {value!r}; choose one of {list(choices)}")


def _select(
    bars: pl.DataFrame, start: Any, end: Any, assets: Sequence[str] | None
) -> tuple[pl.Expr, tuple[str, ...], pl.DataFrame]:
    """Which bars are wanted, their assets, and how many there are from when to when."""
    import polars as pl

    known = bars.get_column("asset").unique().sort().to_list()
    wanted = pl.lit(True)
    if assets is not None:
        if isinstance(assets, str):
            raise ParameterError(f"assets must be a sequence of names, got {assets!r}")
        unknown = [asset for asset in assets if asset not in known]
        if unknown:
            raise DataError(f"unknown asset {', '.join(map(repr, unknown))}; the bars have {known}")
        if len(set(assets)) != len(assets):
            raise ParameterError(f"assets: a name occurs twice in {list(assets)}")
        wanted &= pl.col("asset").is_in(list(assets))
    if start is not None:
        wanted &= pl.col("timestamp") >= _utc(lower_bound(start))
    if end is not None:
        wanted &= pl.col("timestamp") < _utc(upper_bound(end))
    time = pl.col("timestamp")
    found = pl.concat(
        block.filter(wanted).group_by("asset").agg(first=time.min(), last=time.max(), bars=pl.len())
        for block in blocks(bars)
    )
    if found.is_empty():
        raise DataError(f"no bars between start={start} and end={end}")
    left = set(found.get_column("asset"))
    names = tuple(assets) if assets is not None else tuple(name for name in known if name in left)
    empty = [name for name in names if name not in left]
    if empty:
        raise DataError(f"asset '{empty[0]}' has no bar between start={start} and end={end}")
    return wanted, names, found


def _utc(instant: np.datetime64) -> pl.Expr:
    import polars as pl

    return pl.lit(instant).dt.replace_time_zone("UTC")


def _weeks(parts: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    weeks = merged(parts, "monday", pl.col("first_close").first())
    return weeks.with_columns(pl.col("timestamp").max().over("monday"))


def _complete_weeks(
    weeks: pl.DataFrame, parts: pl.DataFrame, sessions: Sessions | None, keep_partial: bool
) -> tuple[pl.DataFrame, list[str]]:
    """Weeks that count, and the ISO weeks that the data cut."""
    import polars as pl

    mondays = weeks.get_column("monday")
    first, last = _date(mondays.min()), _date(mondays.max())
    begins, ends = _limits(first, last, sessions)
    cut = []
    if begins < _date(parts.filter(pl.col("monday") == first).get_column("session").min()):
        cut.append(first)
    if ends > _date(parts.get_column("day").max()) and last not in cut:
        cut.append(last)
    if keep_partial:
        cut = []
    kept = weeks.filter(~pl.col("monday").is_in(cut))
    return kept, [monday.strftime("%G-%V") for monday in cut]


def _date(value: object) -> date:
    assert isinstance(value, date)
    return value


def _limits(first: date, last: date, sessions: Sessions | None) -> tuple[date, date]:
    """Day on which the first week begins, and on which the last one ends."""
    if sessions is None:
        return first, last + timedelta(days=_FRIDAY - 1)
    days = sessions.dates.astype("datetime64[D]")
    begin, end = np.datetime64(first), np.datetime64(last) + np.timedelta64(7, "D")
    return days[days >= begin][0].item(), days[days < end][-1].item()


def _days(parts: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    days = merged(parts, "session", pl.col("own").any()).filter("own")
    return days.with_columns(pl.col("timestamp").max().over("session"))


def _returns(
    weeks: pl.DataFrame, assets: tuple[str, ...], return_type: str, basis: str
) -> WeeklyReturns:
    import polars as pl

    times = weeks.get_column("timestamp").unique().sort()
    rows = times.search_sorted(weeks.get_column("timestamp")).to_numpy()
    columns = weeks.get_column("asset").cast(pl.Enum(list(assets))).to_physical().to_numpy()

    def wide(price: str) -> FloatArray:
        array = np.full((len(times), len(assets)), np.nan)
        array[rows, columns] = weeks.get_column(price).to_numpy()
        return array

    last = wide("close")
    if basis == "within_week":
        first = wide("first_close")
    else:
        first = np.vstack([np.full((1, len(assets)), np.nan), last[:-1]])
    values = last / first - 1 if return_type == "simple" else np.log(last) - np.log(first)
    values.flags.writeable = False
    return WeeklyReturns(values, naive(times), assets, return_type, basis)
