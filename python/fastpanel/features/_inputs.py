"""Arrays that features are computed from, each built once per computation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from fastpanel import rolling
from fastpanel.data import CleanBars, PriceArrays
from fastpanel.errors import ParameterError
from fastpanel.features._column import FeatureColumn
from fastpanel.typing import AnyArray, BoolArray, FloatArray, IntArray

EPS = 1e-6
DAYS_PER_WEEK = 5
_THURSDAY = 3  # weekday of day number 0, 1970-01-01; Monday = 0


class DailyPrices(NamedTuple):
    """Daily prices without gaps, ``[., A]`` each."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray


def lag(values: FloatArray, rows: int) -> FloatArray:
    """Values of ``rows`` rows before; the first ``rows`` rows are NaN."""
    out = np.empty(values.shape)
    out[:rows] = np.nan
    out[rows:] = values[: max(len(values) - rows, 0)]
    return out


def change(values: FloatArray) -> FloatArray:
    """Values less those of the row before; the first row is NaN."""
    out = np.empty(values.shape)
    out[:1] = np.nan
    np.subtract(values[1:], values[:-1], out=out[1:])
    return out


class Inputs:
    """Weekly arrays ``[T, A]``, daily ones, and the way from days to weeks.

    Daily arrays have no gaps: each asset's valid days stand one below the
    other, so a window of 20 rows holds 20 of its trading days, and what is
    left at the bottom is NaN. :meth:`sample` takes each week's last daily
    value.
    """

    def __init__(self, clean: CleanBars, columns: dict[str, FeatureColumn], eps: float) -> None:
        self.eps = eps
        self.weekly: PriceArrays = clean.weekly_arrays
        self._clean = clean
        self._columns = columns
        self._done: dict[object, FloatArray] = {}
        self._pending: set[str] = set()

    def column(self, name: str) -> FloatArray:
        """Values ``[T, A]`` of a column of the catalogue."""
        if name in self._pending:
            raise ParameterError(f"feature '{name}' is built on itself")
        self._pending.add(name)
        try:
            return self.once(name, lambda: self._columns[name].compute(self))
        finally:
            self._pending.remove(name)

    def once(self, key: object, build: Callable[[], FloatArray]) -> FloatArray:
        """Build an array that several columns share, once."""
        if key not in self._done:
            self._done[key] = build()
        return self._done[key]

    @cached_property
    def log_close(self) -> FloatArray:
        """Log weekly close ``[T, A]``."""
        return np.log(self.weekly.close)

    @cached_property
    def log_return(self) -> FloatArray:
        """Close-to-close weekly log return ``[T, A]``."""
        return change(self.log_close)

    # days

    @cached_property
    def _valid(self) -> BoolArray:
        valid: BoolArray = np.isfinite(self._clean.daily_arrays.close)
        return valid

    @cached_property
    def _count(self) -> AnyArray:
        """Valid days of each asset before daily row ``d``, ``[D + 1, A]``."""
        days, assets = self._valid.shape
        if self._valid.all():
            return np.broadcast_to(np.arange(days + 1)[:, None], (days + 1, assets))
        count = np.zeros((days + 1, assets), np.int64)
        np.cumsum(self._valid, axis=0, out=count[1:])
        return count

    @cached_property
    def _places(self) -> tuple[AnyArray, AnyArray] | None:
        """Flat positions of valid days in the calendar and without gaps; None if the same."""
        if self._valid.all():
            return None
        calendar = np.flatnonzero(self._valid)
        n_assets = self._valid.shape[1]
        packed = self._count[:-1].reshape(-1)[calendar] * n_assets + calendar % n_assets
        return calendar, packed

    def _pack(self, values: FloatArray) -> FloatArray:
        if self._places is None:
            return values
        calendar, packed = self._places
        out = np.full((int(self._count[-1].max()), values.shape[1]), np.nan)
        out.reshape(-1)[packed] = values.reshape(-1)[calendar]
        return out

    def on_calendar(self, values: FloatArray) -> FloatArray:
        """Put daily values without gaps ``[., A]`` back on the market's days ``[D, A]``."""
        if self._places is None:
            return values
        calendar, packed = self._places
        out = np.full(self._valid.shape, np.nan)
        out.reshape(-1)[calendar] = values.reshape(-1)[packed]
        return out

    @cached_property
    def daily(self) -> DailyPrices:
        """Daily prices without gaps."""
        wide = self._clean.daily_arrays
        return DailyPrices(*map(self._pack, (wide.open, wide.high, wide.low, wide.close)))

    @cached_property
    def daily_return(self) -> FloatArray:
        """Daily log return without gaps; one across missing days belongs to the later day."""
        return change(np.log(self.daily.close))

    # from days to weeks

    @cached_property
    def weekday(self) -> AnyArray:
        """Weekday of each market day ``[D]``, Monday = 0."""
        return (self._days + _THURSDAY) % 7

    @cached_property
    def week_row(self) -> AnyArray:
        """Weekly row of each market day ``[D]``; -1 = its week has no row."""
        begin, end = self.day_range
        week = np.searchsorted(begin, np.arange(len(self._days)), "right") - 1
        inside = (week >= 0) & (np.arange(len(self._days)) < end[week])
        return np.where(inside, week, -1)

    @cached_property
    def _days(self) -> AnyArray:
        return self._clean.day_numbers(self._clean.daily_arrays.times)

    @cached_property
    def day_range(self) -> tuple[AnyArray, AnyArray]:
        """First daily row of each week, and the one after its last, ``[T]`` each."""
        week_of_day = (self._days + _THURSDAY) // 7
        week = (self._clean.day_numbers(self.weekly.times) + _THURSDAY) // 7
        return np.searchsorted(week_of_day, week), np.searchsorted(week_of_day, week, "right")

    @cached_property
    def has_day(self) -> BoolArray:
        """Whether an asset has a daily bar in a week, ``[T, A]``."""
        begin, end = self.day_range
        some: BoolArray = self._count[end] > self._count[begin]
        return some

    @cached_property
    def _last_row(self) -> IntArray:
        """Row of a week's last day without gaps: ``[T]`` if one for all assets, or ``[T, A]``."""
        end = self.day_range[1]
        rows: IntArray = np.maximum((end if self._places is None else self._count[end]) - 1, 0)
        return rows

    def at_last_day(self, values: FloatArray, back: int = 0) -> FloatArray:
        """Daily values ``[T, A]`` of ``back`` rows before each week's last day, or of row 0."""
        rows = np.maximum(self._last_row - back, 0)
        if rows.ndim == 1:
            return values[rows]
        return np.take_along_axis(values, rows, axis=0)

    def sample(self, values: FloatArray) -> FloatArray:
        """Take each week's last daily value ``[T, A]``; NaN without a day in the week."""
        out = self.at_last_day(values)
        if self._dayless is not None:
            out[self._dayless] = np.nan
        return out

    @cached_property
    def _dayless(self) -> BoolArray | None:
        """Where :attr:`has_day` is not; None if it is everywhere."""
        return None if self.has_day.all() else ~self.has_day

    # shared statistics

    def channel(self, weeks: int) -> FloatArray:
        """Highest high and lowest low of the last ``weeks`` weeks, ``[2, T, A]``."""
        week = self.weekly
        return self.once(
            ("channel", weeks), lambda: np.stack(rolling.donchian(week.high, week.low, weeks))
        )

    def volatility(self, days: int) -> FloatArray:
        """Std of the last ``days`` daily log returns, sampled weekly."""
        return self.once(
            ("volatility", days), lambda: self.sample(rolling.std(self.daily_return, days))
        )
