"""Exchange sessions as integer arrays; the library is asked once per exchange and range."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from fastpanel._extras import require
from fastpanel.data._times import as_times, lower_bound, upper_bound
from fastpanel.errors import DataError, ParameterError
from fastpanel.typing import IntArray, TimeArray

_MARGIN = np.timedelta64(14, "D")  # so that the week of the last bar is whole


@dataclass(frozen=True, eq=False)
class Sessions:
    """Trading sessions of an exchange, the earliest first.

    Attributes
    ----------
    calendar : str
        Code of the exchange, such as ``"XNYS"`` or ``"XLON"``.
    dates : int64 array ``[N]``
        Session dates, as days since 1970-01-01.
    opens, closes : int64 array ``[N]``
        First and last instant, in ns since 1970-01-01, UTC; daylight saving
        time is in them.
    """

    calendar: str
    dates: IntArray
    opens: IntArray
    closes: IntArray

    def __len__(self) -> int:
        return len(self.dates)

    def __repr__(self) -> str:
        days = self.dates.astype("datetime64[D]")
        span = f"{days[0]} .. {days[-1]}" if len(days) else "empty"
        return f"Sessions({self.calendar}, {len(self)} sessions, {span})"

    def index(self, times: Any) -> IntArray:
        """Position of the session that each time counts for.

        It is the first session that closes after the time: a bar before the
        open, in the evening before, on a holiday or at the weekend counts for
        the session that follows.

        Parameters
        ----------
        times : array of times, UTC

        Returns
        -------
        int64 array, of the shape of ``times``

        Raises
        ------
        DataError
            If a time lies outside the range.
        """
        stamps = as_times(times)
        index: IntArray = np.searchsorted(self.closes, stamps.astype(np.int64), "right")
        begin = self.opens[:1] - _MARGIN.astype("timedelta64[ns]").astype(np.int64)
        outside = (index == len(self)) | ~(stamps.astype(np.int64) >= begin)
        if outside.any():
            raise DataError(
                f"{stamps.reshape(-1)[int(outside.argmax())]} lies outside the {len(self)} "
                f"sessions of {self.calendar} that were asked for"
            )
        return index


def sessions(calendar: str, start: Any, end: Any) -> Sessions:
    """Sessions of an exchange between two days, both inclusive.

    Parameters
    ----------
    calendar : str
        A code of ``exchange_calendars`` (``XNYS``, ``XLON``, ``XTKS``,
        ``CMES``, ``24/7``, ...).
    start, end : str or datetime
        As in :func:`clean_bars`.

    Returns
    -------
    Sessions
        ``dates`` in days, ``opens`` and ``closes`` in ns since 1970, UTC: ``int64``.

    Raises
    ------
    ParameterError
        An unknown code.
    DataError
        The calendar does not reach that far.
    MissingExtraError
        ``pip install 'fastpanel[calendars]'`` brings the calendars.

    Examples
    --------
    >>> week = sessions("XNYS", "2024-03-08", "2024-03-11")   # clocks change on the 10th
    >>> week.opens.astype("datetime64[ns]").astype("datetime64[m]").tolist()
    [datetime.datetime(2024, 3, 8, 14, 30), datetime.datetime(2024, 3, 11, 13, 30)]
    """
    first = lower_bound(start).astype("datetime64[D]")
    last = (upper_bound(end, name="end") - np.timedelta64(1, "ns")).astype("datetime64[D]")
    if first > last:
        raise ParameterError(f"end {end} lies before start {start}")
    whole = _load(calendar, _year(first), _year(last))
    inside = slice(
        *np.searchsorted(whole.dates, [first.astype(np.int64), last.astype(np.int64) + 1])
    )
    return Sessions(calendar, whole.dates[inside], whole.opens[inside], whole.closes[inside])


def sessions_around(calendar: str, times: TimeArray) -> Sessions:
    """Sessions that hold all of ``times``, with a margin of two weeks on both sides.

    Weekend sessions are refused: a week of features has five days.
    """
    found = sessions(calendar, times.min() - _MARGIN, times.max() + _MARGIN)
    weekend = ~np.is_busday(found.dates.astype("datetime64[D]"))
    if weekend.any():
        day = found.dates[weekend][0].astype("datetime64[D]")
        raise DataError(
            f"calendar {calendar} has a session at the weekend ({day}), but weeks have five days "
            "here; leave the calendar out, then weekend bars are merged into Mondays"
        )
    return found


def _year(day: np.datetime64) -> int:
    return int(day.astype("datetime64[Y]").astype(int)) + 1970


@lru_cache(maxsize=16)
def _load(calendar: str, first_year: int, last_year: int) -> Sessions:
    library = require("exchange_calendars", "exchange calendars")
    if calendar not in library.get_calendar_names():
        raise ParameterError(
            f"unknown calendar {calendar!r}; exchange_calendars has "
            f"{', '.join(sorted(library.get_calendar_names(include_aliases=False)))}"
        )
    limits = {"start": f"{first_year}-01-01", "end": f"{last_year}-12-31"}
    try:
        with warnings.catch_warnings():  # what the library does with pandas is its own business
            warnings.simplefilter("ignore", DeprecationWarning)
            found = library.get_calendar(calendar, **limits)
    except ValueError as error:
        raise DataError(
            f"calendar {calendar} does not cover {first_year} to {last_year}: {error}"
        ) from None
    days = np.asarray(found.sessions.tz_localize(None), "datetime64[D]").astype(np.int64)
    opens, closes = (
        np.asarray(column.dt.tz_localize(None), "datetime64[ns]").astype(np.int64)
        for column in (found.opens, found.closes)
    )
    for array in (days, opens, closes):
        array.flags.writeable = False
    return Sessions(calendar, days, opens, closes)
