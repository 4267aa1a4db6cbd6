"""Windows over time, each rival in the layout it likes best.

fastpanel reads ``[T, A]`` as a panel holds it; bottleneck, numbagg and TA-Lib get ``[A, T]`` for
free, and bottleneck is also timed on ``[T, A]``. Same definition, same treatment of NaN.
"""

from __future__ import annotations

from functools import cached_property

import bottleneck as bn
import numba
import numbagg
import numpy as np
import pandas as pd
import polars as pl
import talib
from benches.harness import Rival, suite
from scipy import ndimage

from fastpanel import rolling


class Table:
    """One table in the layouts of the libraries."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        rows, columns, self.window = size
        self.x = np.random.default_rng(0).normal(size=(rows, columns))

    @cached_property
    def by_asset(self) -> np.ndarray:
        return np.ascontiguousarray(self.x.T)

    @cached_property
    def pandas(self):
        return pd.DataFrame(np.asfortranarray(self.x)).rolling(self.window)

    @cached_property
    def polars(self) -> pl.DataFrame:
        return pl.from_numpy(self.x)


def panda(of, **how):
    return Rival(lambda i: lambda: of(i.pandas), **how)


def bear(of, **how):
    return Rival(
        lambda i: lambda: i.polars.select(of(pl.all(), i.window)),
        read=lambda frame: frame.to_numpy(),
        **how,
    )


def neck(of, **how):
    return Rival(lambda i: lambda: of(i.by_asset, i.window, axis=1), read=np.transpose, **how)


def neck_as_it_is(of):
    return Rival(lambda i: lambda: of(i.x, i.window, axis=0))


@numba.njit(parallel=True)
def users_mad(x: np.ndarray, window: int) -> np.ndarray:
    out = np.full_like(x, np.nan)
    for c in numba.prange(x.shape[1]):
        column = x[:, c].copy()
        for t in range(window - 1, x.shape[0]):
            w = column[t + 1 - window : t + 1]
            out[t, c] = np.median(np.abs(w - np.median(w)))
    return out


def dense(of, **how):
    """TA-Lib: one asset at a time."""
    return Rival(
        lambda i: lambda: np.stack([of(row, i.window) for row in i.by_asset]),
        read=np.transpose,
        note="knows no missing values",
        **how,
    )


SMOKE = (1000, 64, 20)


WINDOWS = {
    "mean": {
        "fastpanel": lambda i: lambda: rolling.mean(i.x, i.window),
        "bottleneck": neck(bn.move_mean),
        "bottleneck [T, A]": neck_as_it_is(bn.move_mean),
        "numbagg": Rival(
            lambda i: lambda: numbagg.move_mean(i.by_asset, window=i.window), read=np.transpose
        ),
        "pandas": panda(lambda r: r.mean()),
        "polars": bear(lambda c, w: c.rolling_mean(w)),
    },
    "std": {
        "fastpanel": lambda i: lambda: rolling.std(i.x, i.window),
        "bottleneck": neck(lambda x, w, axis: bn.move_std(x, w, axis=axis, ddof=1)),
        "numbagg": Rival(
            lambda i: lambda: numbagg.move_std(i.by_asset, window=i.window), read=np.transpose
        ),
        "pandas": panda(lambda r: r.std()),
        "polars": bear(lambda c, w: c.rolling_std(w)),
    },
    "min": {
        "fastpanel": lambda i: lambda: rolling.min(i.x, i.window),
        "bottleneck": neck(bn.move_min),
        "pandas": panda(lambda r: r.min()),
        "polars": bear(lambda c, w: c.rolling_min(w)),
        "talib": dense(talib.MIN),
    },
    "max": {
        "fastpanel": lambda i: lambda: rolling.max(i.x, i.window),
        "bottleneck": neck(bn.move_max),
        "talib": dense(talib.MAX),
    },
    "skew": {
        "fastpanel": lambda i: lambda: rolling.skew(i.x, i.window),
        "pandas": panda(lambda r: r.skew()),
    },
    "kurt": {
        "fastpanel": lambda i: lambda: rolling.kurt(i.x, i.window),
        "pandas": panda(lambda r: r.kurt()),
    },
    "median": {
        "fastpanel": lambda i: lambda: rolling.median(i.x, i.window),
        "bottleneck": neck(bn.move_median),
        "scipy": Rival(
            lambda i: (
                lambda: ndimage.rank_filter(
                    i.by_asset, i.window // 2, size=(1, i.window), origin=(0, (i.window - 1) // 2)
                )
            ),
            read=None,
            note="the upper of the two middle values; knows no missing values",
            skip=("daily-252", "intraday-252"),
        ),
        "pandas": panda(lambda r: r.median()),
        "polars": bear(lambda c, w: c.rolling_median(w)),
    },
    "quantile": {
        "fastpanel": lambda i: lambda: rolling.quantile(i.x, i.window, 0.05),
        "pandas": panda(lambda r: r.quantile(0.05)),
        "polars": bear(
            lambda c, w: c.rolling_quantile(0.05, interpolation="linear", window_size=w)
        ),
    },
    "mad": {
        "fastpanel": lambda i: lambda: rolling.mad(i.x, i.window),
        "numba": Rival(
            lambda i: lambda: users_mad(i.x, i.window), skip=("daily-252", "intraday-252")
        ),
    },
    "rank": {
        "fastpanel": lambda i: lambda: rolling.rank(i.x, i.window),
        "bottleneck": Rival(
            lambda i: lambda: bn.move_rank(i.by_asset, i.window, axis=1),
            read=lambda r: ((r.T + 1) / 2 * (SMOKE[2] - 1) + 1) / SMOKE[2],
        ),
        "pandas": panda(lambda r: r.rank(pct=True)),
    },
}

test_windows = suite(
    "rolling",
    {
        "smoke": SMOKE,
        "daily-20": (5000, 500, 20),
        "daily-252": (5000, 500, 252),
        "intraday-20": (100_000, 50, 20),
        "intraday-252": (100_000, 50, 252),
    },
    Table,
    WINDOWS,
)


def decay(size: tuple[int, int]):
    table = Table((*size, 1))
    table.ewm = pd.DataFrame(np.asfortranarray(table.x)).ewm(alpha=0.1)
    return table


def bagg(of):
    return Rival(lambda i: lambda: of(i.by_asset, alpha=0.1), read=np.transpose)


test_ewm = suite(
    "rolling",
    {"smoke": (1000, 64), "daily": (5000, 500), "intraday": (100_000, 50)},
    decay,
    {
        "ewm_mean": {
            "fastpanel": lambda i: lambda: rolling.ewm_mean(i.x, alpha=0.1),
            "numbagg": bagg(numbagg.move_exp_nanmean),
            "pandas": lambda i: i.ewm.mean,
        },
        "ewm_std": {
            "fastpanel": lambda i: lambda: rolling.ewm_std(i.x, alpha=0.1),
            "numbagg": bagg(numbagg.move_exp_nanstd),
            "pandas": lambda i: i.ewm.std,
        },
    },
)


class Bars:
    """Random walks with a high and a low around them."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        rows, columns, self.window = size
        rng = np.random.default_rng(0)
        self.close = 100 * np.exp(0.01 * rng.normal(size=(rows, columns)).cumsum(axis=0))
        self.high = self.close * (1 + 0.01 * rng.random((rows, columns)))
        self.low = self.close * (1 - 0.01 * rng.random((rows, columns)))
        self.by_asset = [np.ascontiguousarray(x.T) for x in (self.high, self.low, self.close)]


def asset_by_asset(of, read):
    return Rival(
        lambda i: lambda: np.stack([of(*rows, i.window) for rows in zip(*i.by_asset, strict=True)]),
        read=read,
        note="knows no missing values",
    )


def after_start(values: np.ndarray) -> np.ndarray:
    """The rows on which both agree: TA-Lib starts Wilder's average elsewhere, and forgets it."""
    return np.asarray(values)[-400:]


test_technical = suite(
    "rolling",
    {
        "smoke": (1000, 64, 14),
        "daily-14": (5000, 500, 14),
        "daily-252": (5000, 500, 252),
        "intraday-14": (100_000, 50, 14),
    },
    Bars,
    {
        "atr": {
            "fastpanel": Rival(
                lambda i: lambda: rolling.atr(i.high, i.low, i.close, i.window, method="wilder"),
                read=after_start,
            ),
            "talib": asset_by_asset(talib.ATR, lambda r: after_start(r.T)),
        },
        "rsi": {
            "fastpanel": Rival(
                lambda i: lambda: rolling.rsi(i.close, i.window, method="wilder"), read=after_start
            ),
            "talib": asset_by_asset(
                lambda high, low, close, window: talib.RSI(close, window),
                lambda r: after_start(r.T),
            ),
        },
        "donchian": {
            "fastpanel": lambda i: (
                lambda: (
                    rolling.max(i.high, i.window),
                    rolling.min(i.low, i.window),
                )
            ),
            "talib": asset_by_asset(
                lambda high, low, close, window: (talib.MAX(high, window), talib.MIN(low, window)),
                lambda r: r.transpose(1, 2, 0),
            ),
        },
    },
)


class Market:
    """Returns with a common factor."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        rows, columns, self.window = size
        rng = np.random.default_rng(0)
        self.x = 0.01 * (rng.normal(size=(rows, columns)) + rng.normal(size=(rows, 1)))


def per_window(of):
    """Call ``of`` on every full window."""

    def prepare(i: Market):
        def call() -> np.ndarray:
            out = np.full(len(i.x), np.nan)
            for t in range(i.window - 1, len(i.x)):
                out[t] = of(i.x[t + 1 - i.window : t + 1])
            return out

        return call

    return Rival(prepare, rtol=1e-9)


def corr_by_identity(window: np.ndarray) -> float:
    """Standardised columns add up: |sum z|^2 = A + sum of the correlations."""
    assets = window.shape[1]
    z = window - window.mean(axis=0)
    z /= np.sqrt((z * z).sum(axis=0))
    return ((z.sum(axis=1) ** 2).sum() - assets) / (assets * (assets - 1))


def corr_by_corrcoef(window: np.ndarray) -> float:
    return np.corrcoef(window.T)[np.triu_indices(window.shape[1], 1)].mean()


def share_by_eigvalsh(window: np.ndarray) -> float:
    """The smaller of the two Gram matrices of the centred window."""
    z = window - window.mean(axis=0)
    values = np.linalg.eigvalsh(z.T @ z if z.shape[1] < z.shape[0] else z @ z.T)
    return values[-1] / values.sum()


test_market = suite(
    "rolling",
    {"smoke": (300, 20, 60), "assets-50": (1000, 50, 126), "assets-500": (300, 500, 126)},
    Market,
    {
        "corr_mean": {
            "fastpanel": lambda i: lambda: rolling.corr_mean(i.x, i.window),
            "numpy": per_window(corr_by_identity),
            "numpy corrcoef": per_window(corr_by_corrcoef),
        },
        "pc1_share": {
            "fastpanel": lambda i: lambda: rolling.pc1_share(i.x, i.window),
            "numpy": per_window(share_by_eigvalsh),
        },
    },
)
