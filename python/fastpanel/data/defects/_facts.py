"""Numbers about bars, as ``[T, A]`` arrays over the weeks and assets of a cleaning."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fastpanel import rolling
from fastpanel.data._calendar import sessions_around
from fastpanel.data._clean_bars import CleanBars
from fastpanel.data._clean_meta import naive
from fastpanel.data._merge import with_calendar
from fastpanel.typing import AnyArray, BoolArray, FloatArray

if TYPE_CHECKING:
    import polars as pl

_THURSDAY = 3  # weekday of day number 0
_HALF_YEAR = 26
_MAD_TO_STD = 1.4826
_YEAR_OF_DAYS = 60  # a year with fewer says too little about its price steps,
_YEAR_OF_WEEKS = 8  # and with fewer of these about its hours
EXTREME = 12.0  # robust standard deviations of daily log returns
_DUST = 1e-9  # steps below this share of the price are rounding


class Facts:
    """What is known about each asset and week; everything is computed on first use."""

    def __init__(self, bars: pl.DataFrame, clean: CleanBars) -> None:
        import polars as pl

        self.names = clean.assets
        self.clean = clean
        weekly = clean.weekly_arrays
        self.has_week: BoolArray = np.isfinite(weekly.close)
        rows = np.arange(len(weekly.times))[:, None]
        first = np.where(self.has_week.any(0), self.has_week.argmax(0), len(rows))
        last = np.where(self.has_week.any(0), len(rows) - 1 - self.has_week[::-1].argmax(0), -1)
        self.before: BoolArray = rows < first
        self.after: BoolArray = rows > last
        self.alive: BoolArray = ~self.before & ~self.after
        self._week = self._week_of(clean.day_numbers(clean.times))
        self.iso_weeks = _iso(self._week)
        known = pl.Series(self._week * 7 - _THURSDAY).cast(pl.Date)
        read = ("asset", "timestamp", "close", "volume")
        own = bars.select(c for c in read if c in bars.columns).filter(
            pl.col("asset").is_in(clean.assets)
        )
        times = naive(own.get_column("timestamp"))
        sessions = None if clean.calendar is None else sessions_around(clean.calendar, times)
        table = with_calendar(own, clean.time_zone, sessions)
        self._bars = table.filter(pl.col("monday").is_in(known.implode()))

    @staticmethod
    def _week_of(days: AnyArray) -> AnyArray:
        return (days + _THURSDAY) // 7

    def _wide(self, table: pl.DataFrame, value: str) -> FloatArray:
        """``[T, A]`` of a table ``asset, monday, value``; 0 where it has no row."""
        import polars as pl

        out = np.zeros(self.has_week.shape)
        mondays = table.get_column("monday").to_physical().to_numpy()
        rows = np.searchsorted(self._week, self._week_of(mondays))
        assets = table.get_column("asset").cast(pl.Enum(list(self.names))).to_physical().to_numpy()
        out[rows, assets] = table.get_column(value).to_numpy()
        return out

    @cached_property
    def _per_week(self) -> dict[str, FloatArray]:
        import polars as pl

        day, weekday = pl.col("day"), pl.col("day").dt.weekday()
        is_weekday = weekday <= 5
        columns = {
            "bars": is_weekday.sum(),
            "days": day.filter(is_weekday).n_unique(),
            "saturday": (weekday == 6).any(),
            "zero": (pl.col("volume") == 0).sum() if "volume" in self._bars.columns else pl.lit(0),
            "all": pl.len(),
        }
        table = self._bars.group_by("asset", "monday").agg(**columns)
        return {name: self._wide(table, name) for name in columns}

    @cached_property
    def bars_per_day(self) -> FloatArray:
        """Bars per weekday with a bar; NaN without one."""
        bars, days = self._per_week["bars"], self._per_week["days"]
        return np.where(days > 0, bars / np.maximum(days, 1), np.nan)

    @cached_property
    def usual_bars_per_day(self) -> FloatArray:
        """Median of the half year before and after."""
        padded = np.vstack([self.bars_per_day, np.full((_HALF_YEAR, len(self.names)), np.nan)])
        around = rolling.median(padded, 2 * _HALF_YEAR + 1, min_periods=_HALF_YEAR // 2)
        return around[_HALF_YEAR:]

    @property
    def zero_volume(self) -> FloatArray:
        """Bars with volume 0."""
        return self._per_week["zero"]

    @property
    def zero_volume_share(self) -> FloatArray:
        """Share ``[A]`` of the bars with volume 0."""
        share: FloatArray = self.zero_volume.sum(0) / np.maximum(self._per_week["all"].sum(0), 1)
        return share

    @cached_property
    def saturday_share(self) -> FloatArray:
        """Share ``[A]`` of an asset's weeks with a Saturday bar."""
        weeks = np.maximum(self.has_week.sum(0), 1)
        share: FloatArray = (self._per_week["saturday"] * self.has_week).sum(0) / weeks
        return share

    # days

    @cached_property
    def _days(self) -> tuple[AnyArray, AnyArray, BoolArray]:
        """Day numbers ``[D]``, weekly row of each, and who has a bar ``[D, A]``."""
        daily = self.clean.daily_arrays
        days = self.clean.day_numbers(daily.times)
        row = np.searchsorted(self._week, self._week_of(days))
        known = (row < len(self._week)) & (
            self._week[np.minimum(row, len(self._week) - 1)] == self._week_of(days)
        )
        return days, np.where(known, row, -1), np.isfinite(daily.close)

    def _by_week(self, daily: AnyArray) -> FloatArray:
        """Sum ``[D, A]`` over the days of each week."""
        row = self._days[1]
        out = np.zeros(self.has_week.shape)
        np.add.at(out, row[row >= 0], daily[row >= 0])
        return out

    @cached_property
    def days_missing(self) -> FloatArray:
        """Weekdays without a bar, on which at least half of the assets alive have one."""
        there = self._days[2]
        rows = np.arange(len(there))[:, None]
        first, last = there.argmax(0), len(there) - 1 - there[::-1].argmax(0)
        alive = (rows >= first) & (rows <= last) & there.any(0)
        market = 2 * there.sum(1) >= alive.sum(1)
        return self._by_week(alive & ~there & market[:, None])

    @cached_property
    def flat_days(self) -> FloatArray:
        """Days whose high equals their low."""
        daily = self.clean.daily_arrays
        return self._by_week(daily.high == daily.low)

    @cached_property
    def _moves(self) -> tuple[FloatArray, FloatArray]:
        """Daily log returns ``[D, A]`` across gaps, and their robust deviation ``[A]``."""
        close = self.clean.daily_arrays.close
        moves = np.full(close.shape, np.nan)
        for asset in range(close.shape[1]):
            there = np.flatnonzero(np.isfinite(close[:, asset]))
            moves[there[1:], asset] = np.diff(np.log(close[there, asset]))
        sigma = np.array([_MAD_TO_STD * _median(np.abs(_centred(m))) for m in moves.T])
        return moves, sigma

    @cached_property
    def _is_extreme(self) -> BoolArray:
        """Moves ``[D, A]`` beyond ``EXTREME`` robust deviations."""
        moves, sigma = self._moves
        with np.errstate(invalid="ignore"):
            found: BoolArray = (np.abs(moves) > EXTREME * sigma) & (sigma > 0)
        return found

    @cached_property
    def extreme_move(self) -> FloatArray:
        """Largest extreme move ``[T, A]``, with its sign; NaN without one."""
        moves, row = self._moves[0], self._days[1]
        out = np.full(self.has_week.shape, np.nan)
        for day, asset in np.argwhere(self._is_extreme & (row >= 0)[:, None]):
            best = out[row[day], asset]
            if not abs(best) >= abs(moves[day, asset]):
                out[row[day], asset] = moves[day, asset]
        return out

    def largest_moves(self, asset: int, most: int = 3) -> str:
        """Words on the largest extreme moves of one asset."""
        days, row, _ = self._days
        moves = self._moves[0][:, asset]
        at = np.flatnonzero(self._is_extreme[:, asset] & (row >= 0))
        at = at[np.argsort(-np.abs(moves[at]), kind="stable")]
        text = ", ".join(
            f"{np.datetime64(int(days[d]), 'D')} {np.expm1(moves[d]):+.1%}" for d in at[:most]
        )
        return text + (f" and {len(at) - most} more" if len(at) > most else "")

    # price steps

    @cached_property
    def _steps(self) -> FloatArray:
        """Smallest step between the closes of a week's calendar year, relative to its close."""
        import polars as pl

        step = pl.col("close").unique().sort().diff()
        table = (
            self._bars.with_columns(year=pl.col("monday").dt.year())
            .group_by("asset", "year")
            .agg(step=step.filter(step > _DUST * pl.col("close").max()).min())
        )
        known = {(asset, year): value for asset, year, value in table.rows()}
        years = _year_of_monday(self._week)
        out = np.full(self.has_week.shape, np.nan)
        for column, asset in enumerate(self.names):
            out[:, column] = [known.get((asset, year)) or np.nan for year in years]
        return out / self.clean.weekly_arrays.close

    @cached_property
    def step_in_moves(self) -> FloatArray:
        """Smallest price step ``[T, A]`` in typical (median absolute) daily moves of that year."""
        moves, row = np.abs(self._moves[0]), self._days[1]
        years = _year_of_monday(self._week)
        out = np.full(self.has_week.shape, np.nan)
        for year in np.unique(years):
            weeks = years == year
            days = (row >= 0) & weeks[np.maximum(row, 0)]
            known = np.isfinite(moves[days]).sum(0) >= _YEAR_OF_DAYS
            typical = np.array([_median(column) for column in moves[days].T])
            typical[~known] = np.nan
            with np.errstate(divide="ignore", invalid="ignore"):
                out[weeks] = self._steps[weeks] / typical
        return out

    # whole assets

    def hours(self, ratio: float) -> list[list[str]]:
        """Per asset, runs of years with alike bars per day; one run if they differ too little."""
        years = _year_of_monday(self._week)
        found = []
        for column in self.bars_per_day.T:
            by_year = {int(y): _finite(column[years == y]) for y in np.unique(years)}
            medians = {y: _median(b) for y, b in by_year.items() if len(b) >= _YEAR_OF_WEEKS}
            runs: list[list[tuple[int, float]]] = []
            for item in medians.items():
                if runs and abs(np.log(item[1] / runs[-1][0][1])) < np.log(ratio) / 2:
                    runs[-1].append(item)
                else:
                    runs.append([item])
            levels = [m for run in runs for _, m in run]
            enough = bool(levels) and max(levels) >= ratio * min(levels)
            found.append([_run(run) for run in runs] if enough else [""])
        return found

    @cached_property
    def first_day(self) -> list[str]:
        """First date ``[A]`` with a bar."""
        return [str(day) for day in self._limits["first"]]

    @cached_property
    def last_day(self) -> list[str]:
        """Last date ``[A]`` with a bar."""
        return [str(day) for day in self._limits["last"]]

    @cached_property
    def _limits(self) -> pl.DataFrame:
        import polars as pl

        table = self._bars.group_by("asset").agg(
            first=pl.col("day").min(), last=pl.col("day").max()
        )
        return pl.DataFrame({"asset": list(self.names)}).join(
            table, on="asset", how="left", maintain_order="left"
        )

    def assets(self) -> pl.DataFrame:
        """One row per asset."""
        import polars as pl

        moves, _ = self._moves
        last_step = [_last(column) for column in self._steps.T]
        return self._limits.with_columns(
            weeks=pl.Series(self.has_week.sum(0)),
            weeks_without_bars=pl.Series((self.alive & ~self.has_week).sum(0)),
            days_missing=pl.Series(self.days_missing.sum(0).astype(np.int64)),
            bars_per_day=pl.Series([_median(column) for column in self.bars_per_day.T]),
            saturday_share=pl.Series(self.saturday_share),
            zero_volume_share=pl.Series(self.zero_volume_share),
            price_step=pl.Series(last_step),
            day_move=pl.Series([_median(np.abs(column)) for column in moves.T]),
            largest_move=pl.Series([_largest(column) for column in moves.T]),
        )


def _run(run: list[tuple[int, float]]) -> str:
    level = f"{np.median([m for _, m in run]):.0f}"
    first, last = run[0][0], run[-1][0]
    return f"{level} ({first})" if first == last else f"{level} ({first}-{last})"


def _iso(weeks: AnyArray) -> list[str]:
    thursdays = (weeks * 7).astype("datetime64[D]")
    return [day.strftime("%G-%V") for day in thursdays.astype(object)]


def _year_of_monday(weeks: AnyArray) -> AnyArray:
    mondays = (weeks * 7 - _THURSDAY).astype("datetime64[D]")
    return mondays.astype("datetime64[Y]").astype(np.int64) + 1970


def _finite(values: FloatArray) -> FloatArray:
    return values[np.isfinite(values)]


def _median(values: FloatArray) -> float:
    finite = _finite(values)
    return float(np.median(finite)) if finite.size else float("nan")


def _centred(values: FloatArray) -> FloatArray:
    return values - _median(values)


def _largest(values: FloatArray) -> float:
    finite = _finite(values)
    return float(finite[np.abs(finite).argmax()]) if finite.size else float("nan")


def _last(values: FloatArray) -> float:
    finite = _finite(values)
    return float(finite[-1]) if finite.size else float("nan")
