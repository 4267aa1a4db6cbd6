"""Times: everything becomes ``datetime64[ns]`` in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from fastpanel.errors import ParameterError
from fastpanel.typing import TimeArray

NANOSECOND = np.timedelta64(1, "ns")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"\d{4}-\d{2}")


def as_times(values: Any, *, name: str = "times") -> TimeArray:
    """Turn a sequence of times into ``datetime64[ns]``, UTC.

    Accepts NumPy arrays, polars and pandas columns, datetimes and ISO strings.
    Values without a zone are UTC already.
    """
    array = np.asarray(values)
    if array.dtype.kind != "M":
        array = np.array([_instant(value, name) for value in array.ravel()], "datetime64[ns]")
    times = array.astype("datetime64[ns]")
    if np.isnat(times).any():
        raise ParameterError(f"{name}[{int(np.argmax(np.isnat(times)))}] is not a time (NaT)")
    return times


def lower_bound(value: Any, *, name: str = "start") -> np.datetime64:
    """First instant of a day, a month or a datetime."""
    if isinstance(value, str) and _MONTH.fullmatch(value):
        return _parse(f"{value}-01", name)
    return _instant(value, name)


def upper_bound(value: Any, *, name: str = "end") -> np.datetime64:
    """First instant after a day, a month or a datetime, all of which are inclusive."""
    if isinstance(value, str) and _MONTH.fullmatch(value):
        month = _parse(f"{value}-01", name).astype("datetime64[M]")
        return np.datetime64(month + np.timedelta64(1, "M"), "ns")
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    if is_day or (isinstance(value, str) and _DAY.fullmatch(value)):
        day = _instant(value, name).astype("datetime64[D]")
        return np.datetime64(day + np.timedelta64(1, "D"), "ns")
    return _instant(value, name) + NANOSECOND


def utc_text(value: np.datetime64) -> str:
    """ISO text of a time to the second, with its zone."""
    return f"{np.datetime_as_string(value, unit='s')}+00:00"


def _instant(value: Any, name: str) -> np.datetime64:
    if isinstance(value, str):
        return _parse(str(value), name)
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    try:
        return np.datetime64(value, "ns")
    except (TypeError, ValueError):
        raise ParameterError(
            f"{name}: {value!r} is not a time; give 'YYYY-MM', 'YYYY-MM-DD' or a datetime"
        ) from None


def _parse(text: str, name: str) -> np.datetime64:
    try:
        return _instant(datetime.fromisoformat(text), name)
    except ValueError:
        raise ParameterError(
            f"{name}: {text!r} is not a time; give 'YYYY-MM', 'YYYY-MM-DD' or an ISO datetime"
        ) from None
