"""A market to try things on: no files, no network, same bars for the same seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastpanel._runtime import checked_seed
from fastpanel.errors import ParameterError
from fastpanel.typing import AnyArray, BoolArray, FloatArray

if TYPE_CHECKING:
    import polars as pl

_HOURS = {"1h": 1, "4h": 4, "1d": 24}
_WEEKS_PER_YEAR = 52
# calm, normal and stressed weeks: volatility and weight of the common factors
_REGIME_VOLATILITY = np.array([0.6, 1.0, 2.2])
_REGIME_COMMON = np.array([0.35, 0.5, 0.8])
_REGIME_STAY = np.array([0.96, 0.95, 0.85])
_REGIME_NEXT = np.array([[0.0, 0.9, 0.1], [0.7, 0.0, 0.3], [0.2, 0.8, 0.0]])
_TAIL = 4.0  # degrees of freedom of the shocks
_HOLIDAYS = ("01-01", "05-01", "12-25")


def simulated_market(
    *,
    n_assets: int = 10,
    years: float = 8,
    bar: Literal["1h", "4h", "1d"] = "4h",
    start: str = "2016-01-04",
    late_listers: int = 1,
    gap_rate: float = 0.001,
    seed: int = 0,
) -> pl.DataFrame:
    """Bars of a simulated market, in the form of :func:`read_bars`.

    Correlated assets with a market and two sector factors, Student-t shocks,
    three volatility regimes that switch by the week, and a slow drift per
    asset that past prices carry a little information about. Mondays to
    Fridays around the clock; holidays (1 January, 1 May, 25 December) and
    single days and bars are absent.

    Parameters
    ----------
    n_assets : int
        Assets, named ``SIM00``, ``SIM01``, ...
    years : float
        Length in years of 52 weeks.
    bar : ``"1h"``, ``"4h"`` or ``"1d"``
        Bar size.
    start : str
        First day; the market opens on the Monday on or after it.
    late_listers : int
        How many of the last assets begin late, spread over the second quarter of the range.
    gap_rate : float
        Share of bars that are missing, and of whole days, per asset; no asset
        misses a whole week of its life.
    seed : int
        Same seed, same bars.

    Returns
    -------
    polars.DataFrame
        ``timestamp, asset, open, high, low, close, volume``.

    Examples
    --------
    >>> bars = simulated_market(n_assets=2, years=1, bar="1d", gap_rate=0.0, late_listers=0)
    >>> bars.height  # 2 assets, 260 weekdays, no holiday among them in 2016
    520
    """
    _check(n_assets, years, bar, late_listers, gap_rate)
    rng = np.random.default_rng(checked_seed(seed))
    times, weeks = _bar_times(start, round(years * _WEEKS_PER_YEAR), _HOURS[bar])
    returns, scale = _returns(rng, weeks, n_assets, _HOURS[bar])
    exists = _gaps(rng, times, weeks, n_assets, gap_rate)
    exists &= _listed(weeks, n_assets, late_listers)
    prices = _bars(rng, returns, scale, start_price=np.exp(rng.uniform(0, 5, n_assets)))
    return _frame(times, exists, prices)


def _check(n_assets: int, years: float, bar: str, late_listers: int, gap_rate: float) -> None:
    if bar not in _HOURS:
        raise ParameterError(f"bar is {bar!r}; choose one of {list(_HOURS)}")
    if n_assets < 1:
        raise ParameterError(f"n_assets is {n_assets}; it has to be at least 1")
    if round(years * _WEEKS_PER_YEAR) < 1:
        raise ParameterError(f"years is {years}; that is less than a week")
    if not 0 <= late_listers < n_assets:
        raise ParameterError(f"late_listers is {late_listers}; it has to be in [0, {n_assets})")
    if not 0 <= gap_rate <= 0.2:
        raise ParameterError(f"gap_rate is {gap_rate}; it has to be in [0, 0.2]")


def _bar_times(start: str, n_weeks: int, hours: int) -> tuple[AnyArray, AnyArray]:
    """Bar starts without weekends and holidays, and the week number of each."""
    monday = np.busday_offset(start, 0, roll="forward", weekmask="Mon")
    days = (monday + 7 * np.arange(n_weeks)[:, None] + np.arange(5)).ravel()
    week = np.repeat(np.arange(n_weeks), 5)
    is_open = ~np.isin([str(day)[5:] for day in days], _HOLIDAYS)
    days, week = days[is_open], week[is_open]
    hour = np.arange(0, 24, hours).astype("timedelta64[h]")
    times = (days.astype("datetime64[h]")[:, None] + hour).ravel().astype("datetime64[ns]")
    return times, np.repeat(week, len(hour))


def _regimes(rng: np.random.Generator, n_weeks: int) -> AnyArray:
    chain = np.empty(n_weeks, np.int64)
    state = 1
    for week, (stay, jump) in enumerate(rng.random((n_weeks, 2))):
        if stay > _REGIME_STAY[state]:
            state = int(np.searchsorted(np.cumsum(_REGIME_NEXT[state]), jump))
        chain[week] = state
    return chain


def _student(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Fat-tailed shocks with variance 1."""
    shocks: FloatArray = rng.standard_t(_TAIL, shape) * np.sqrt((_TAIL - 2) / _TAIL)
    return shocks


def _returns(
    rng: np.random.Generator, weeks: AnyArray, n_assets: int, hours: int
) -> tuple[FloatArray, FloatArray]:
    """Log returns ``[N, A]`` per bar, and each bar's volatility."""
    n_weeks, n_bars = int(weeks[-1]) + 1, len(weeks)
    regime = _regimes(rng, n_weeks)[weeks]
    yearly = rng.uniform(0.06, 0.35, n_assets)
    bars_per_year = 260 * 24 / hours
    scale = _REGIME_VOLATILITY[regime][:, None] * yearly / np.sqrt(bars_per_year)
    loading = rng.normal(0.8, 0.3, (1, n_assets)), rng.normal(0.0, 0.8, (2, n_assets))
    common = _student(rng, (n_bars, 1)) @ loading[0] + _student(rng, (n_bars, 2)) @ loading[1]
    common /= np.sqrt((loading[0] ** 2).sum(0) + (loading[1] ** 2).sum(0))
    weight = _REGIME_COMMON[regime][:, None]
    shocks = np.sqrt(weight) * common + np.sqrt(1 - weight) * _student(rng, (n_bars, n_assets))
    drift = _drift(rng, n_weeks, n_assets)[weeks] / (bars_per_year / _WEEKS_PER_YEAR)
    return scale * shocks + drift * yearly, scale


def _drift(rng: np.random.Generator, n_weeks: int, n_assets: int) -> FloatArray:
    """Slow drift per week, in units of the yearly volatility."""
    from scipy.signal import lfilter

    persistence = 0.95
    noise = rng.normal(0, np.sqrt(1 - persistence**2), (n_weeks, n_assets))
    drift: FloatArray = 0.02 * lfilter([1.0], [1.0, -persistence], noise, axis=0)
    return drift


def _gaps(
    rng: np.random.Generator, times: AnyArray, weeks: AnyArray, n_assets: int, gap_rate: float
) -> BoolArray:
    """Bars ``[N, A]`` that are there after single bars and whole days got lost."""
    day = np.unique(times.astype("datetime64[D]"), return_inverse=True)[1]
    gaps = rng.random((len(times), n_assets)) < gap_rate
    day_gaps = rng.random((int(day[-1]) + 1, n_assets)) < gap_rate
    exists: BoolArray = ~(gaps | day_gaps[day])
    # a week's first and last bar always exist, so no asset loses a whole week
    edges = np.flatnonzero(np.diff(weeks, prepend=-1, append=-1))
    exists[edges[:-1]] = True
    exists[edges[1:] - 1] = True
    return exists


def _listed(weeks: AnyArray, n_assets: int, late_listers: int) -> BoolArray:
    n_weeks = int(weeks[-1]) + 1
    first = np.zeros(n_assets)
    for k in range(late_listers):
        first[n_assets - 1 - k] = round(n_weeks * (0.25 + 0.25 * k / late_listers))
    listed: BoolArray = weeks[:, None] >= first
    return listed


def _bars(
    rng: np.random.Generator, returns: FloatArray, scale: FloatArray, start_price: FloatArray
) -> dict[str, FloatArray]:
    close = np.exp(np.log(start_price) + np.cumsum(returns, axis=0))
    gap = scale * rng.normal(0, 0.1, returns.shape)
    open_ = np.vstack([start_price, close[:-1]]) * np.exp(gap)
    reach = scale * np.abs(rng.normal(0, 0.5, (2, *returns.shape)))
    high = np.maximum(open_, close) * np.exp(reach[0])
    low = np.minimum(open_, close) * np.exp(-reach[1])
    volume = np.round(1000 * np.exp(rng.normal(0, 0.5, returns.shape)))
    return {"open": open_, "high": high, "low": low, "close": close, "volume": volume}


def _frame(times: AnyArray, present: AnyArray, prices: dict[str, FloatArray]) -> pl.DataFrame:
    import polars as pl

    asset, row = np.nonzero(present.T)
    names = [f"SIM{number:02d}" for number in range(present.shape[1])]
    columns: dict[str, Any] = {
        "timestamp": pl.Series(times[row]).dt.replace_time_zone("UTC"),
        "asset": pl.Series(asset.astype(np.uint32)).replace_strict(range(len(names)), names),
    }
    for name, values in prices.items():
        columns[name] = values[row, asset]
    return pl.DataFrame(columns)
