"""The open side: a user's ``@njit`` function against the built-in twin and the user's own loop.

The twin is the yardstick for what the open side costs; the rival to beat is the loop
that the user would write with ``prange``.
"""

from __future__ import annotations

import numba
import numpy as np
from benches.harness import Rival, suite

import fastpanel as fp


class Table:
    def __init__(self, size: tuple[int, int, int]) -> None:
        rows, columns, self.window = size
        self.x = np.random.default_rng(0).normal(size=(rows, columns))


@numba.njit
def median_distance(values):
    return np.median(np.abs(values - np.median(values)))


@numba.njit
def average(values):
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


def users_loop(reduce):
    @numba.njit(parallel=True)
    def loop(x, window):
        out = np.full_like(x, np.nan)
        for c in numba.prange(x.shape[1]):
            column = x[:, c].copy()
            for t in range(window - 1, x.shape[0]):
                out[t, c] = reduce(column[t + 1 - window : t + 1])
        return out

    return lambda i: lambda: loop(i.x, i.window)


def users_rows(reduce):
    @numba.njit(parallel=True)
    def loop(x):
        out = np.empty(x.shape[0])
        for t in numba.prange(x.shape[0]):
            out[t] = reduce(x[t])
        return out

    return lambda i: lambda: loop(i.x)


def windows(reduce):
    return lambda i: lambda: fp.rolling.apply(i.x, i.window, reduce)


test_apply = suite(
    "apply",
    {"smoke": (500, 50, 20), "w20": (5000, 100, 20), "w126": (2000, 100, 126)},
    Table,
    {
        "rolling.apply": {
            "fastpanel": windows(median_distance),
            "fastpanel rolling.mad": lambda i: lambda: fp.rolling.mad(i.x, i.window),
            "numba": users_loop(median_distance),
        },
        "rolling.apply, mean": {
            "fastpanel": windows(average),
            "fastpanel rolling.mean": lambda i: lambda: fp.rolling.mean(i.x, i.window),
            "numba": users_loop(average),
        },
        "cross_section.apply": {
            "fastpanel": lambda i: lambda: fp.cross_section.apply(i.x, median_distance),
            "fastpanel mad_dispersion": lambda i: lambda: fp.cross_section.mad_dispersion(i.x),
            "numba": users_rows(median_distance),
        },
    },
)


class Fields:
    def __init__(self, size: tuple[int, int, int]) -> None:
        weeks, members, assets = size
        rng = np.random.default_rng(0)
        self.y = rng.normal(size=(weeks, assets))
        self.x = rng.normal(size=(weeks, members, assets))


@numba.njit
def minus_norm(a, b):
    total = 0.0
    for i in range(a.size):
        total += (a[i] - b[i]) ** 2
    return -np.sqrt(total)


@numba.njit(parallel=True)
def users_score(y, x):
    out = np.empty(len(y))
    members = x.shape[1]
    for t in numba.prange(len(y)):
        cross, own = 0.0, 0.0
        for m in range(members):
            cross += minus_norm(x[t, m], y[t])
            for k in range(members):
                own += minus_norm(x[t, m], x[t, k])
        out[t] = own / (2 * members**2) - cross / members
    return out


test_kernel_score = suite(
    "apply",
    {"smoke": (8, 60, 10), "T52-S400-A20": (52, 400, 20)},
    Fields,
    {
        "kernel_score": {
            "fastpanel": lambda i: lambda: fp.scoring.kernel_score(i.y, i.x, minus_norm),
            "fastpanel energy_score": lambda i: lambda: fp.scoring.energy_score(i.y, i.x),
            "numba": lambda i: lambda: users_score(i.y, i.x),
        }
    },
)


class Market:
    def __init__(self, size: tuple[int, int]) -> None:
        assets, years = size
        self.clean = fp.clean_bars(
            fp.data.simulated_market(
                n_assets=assets, years=years, bar="1d", late_listers=0, gap_rate=0.0
            )
        )
        self.clean.weekly_arrays, self.clean.daily_arrays  # noqa: B018  built once, not timed
        fp.features.register(
            "bench_range", inputs=("high", "low"), frequency="daily", per_asset=True, replace=True
        )(range_share)
        self.high, self.low = self.clean.daily_arrays.high, self.clean.daily_arrays.low


@numba.njit
def range_share(high, low):
    out = np.full(len(high), np.nan)
    for t in range(19, len(high)):
        out[t] = np.max(high[t - 19 : t + 1]) - np.min(low[t - 19 : t + 1])
    return out


test_register = suite(
    "apply",
    {"smoke": (5, 2), "A50-20y": (50, 20)},
    Market,
    {
        "features.register": {
            "fastpanel": Rival(
                lambda i: lambda: fp.features.compute(i.clean, features="bench_range"), read=None
            ),
            "fastpanel donch_pos": Rival(
                lambda i: lambda: fp.features.compute(i.clean, features="donch_pos"), read=None
            ),
        }
    },
)
