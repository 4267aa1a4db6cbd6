"""Rolling kernels against their rivals on one thread, each rival in the layout it likes best.

fastpanel reads ``[T, A]`` as a panel holds it; bottleneck and numbagg get ``[A, T]``. Same
definition, same treatment of NaN. The ratio to fastpanel's row is the time of the rival over its
own. ``FASTPANEL_BENCH=smoke`` runs the small size alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import bottleneck as bn
import numba
import numbagg
import numpy as np
import pandas as pd
import polars as pl
import pytest

import fastpanel as fp
from fastpanel import _core, rolling

SMOKE_ONLY = os.environ.get("FASTPANEL_BENCH") == "smoke"
full = [pytest.mark.slow, pytest.mark.skipif(SMOKE_ONLY, reason="smoke sizes only")]
sizes = pytest.mark.parametrize(
    "size",
    [
        pytest.param((300, 20, 20), id="smoke"),
        pytest.param((5000, 500, 20), id="daily-20", marks=full),
        pytest.param((5000, 500, 252), id="daily-252", marks=full),
        pytest.param((100_000, 50, 20), id="intraday-20", marks=full),
        pytest.param((100_000, 50, 252), id="intraday-252", marks=full),
    ],
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = _core.num_threads()
    fp.set_num_threads(1)
    numba.set_num_threads(1)
    yield
    fp.set_num_threads(before)


@dataclass(frozen=True)
class Inputs:
    """One table in the layouts of the libraries."""

    x: np.ndarray
    window: int

    @classmethod
    def make(cls, size: tuple[int, int, int]) -> Inputs:
        rows, cols, window = size
        return cls(np.random.default_rng(0).normal(size=(rows, cols)), window)

    def prepare(self, library: str) -> Any:
        if library in ("bottleneck", "numbagg"):
            return np.ascontiguousarray(self.x.T)
        if library == "pandas":
            return pd.DataFrame(np.asfortranarray(self.x)).rolling(self.window)
        if library == "polars":
            return pl.from_numpy(self.x)
        return self.x


def columns(of: Callable[[pl.Expr, int], pl.Expr]) -> Callable[[Any, int], Any]:
    return lambda frame, window: frame.select(of(pl.all(), window))


@numba.njit(parallel=True)
def users_mad(x: np.ndarray, window: int) -> np.ndarray:
    out = np.full_like(x, np.nan)
    for c in numba.prange(x.shape[1]):
        for t in range(window - 1, x.shape[0]):
            w = x[t + 1 - window : t + 1, c]
            out[t, c] = np.median(np.abs(w - np.median(w)))
    return out


WINDOWS: dict[str, dict[str, Callable[[Any, int], Any]]] = {
    "mean": {
        "fastpanel": rolling.mean,
        "bottleneck": lambda x, w: bn.move_mean(x, w, axis=1),
        "numbagg": lambda x, w: numbagg.move_mean(x, window=w),
        "pandas": lambda x, w: x.mean(),
        "polars": columns(lambda c, w: c.rolling_mean(w)),
    },
    "std": {
        "fastpanel": rolling.std,
        "bottleneck": lambda x, w: bn.move_std(x, w, axis=1, ddof=1),
        "numbagg": lambda x, w: numbagg.move_std(x, window=w),
        "pandas": lambda x, w: x.std(),
        "polars": columns(lambda c, w: c.rolling_std(w)),
    },
    "min": {
        "fastpanel": rolling.min,
        "bottleneck": lambda x, w: bn.move_min(x, w, axis=1),
        "pandas": lambda x, w: x.min(),
    },
    "skew": {"fastpanel": rolling.skew, "pandas": lambda x, w: x.skew()},
    "kurt": {"fastpanel": rolling.kurt, "pandas": lambda x, w: x.kurt()},
    "median": {
        "fastpanel": rolling.median,
        "bottleneck": lambda x, w: bn.move_median(x, w, axis=1),
        "pandas": lambda x, w: x.median(),
        "polars": columns(lambda c, w: c.rolling_median(w)),
    },
    "quantile": {
        "fastpanel": lambda x, w: rolling.quantile(x, w, 0.05),
        "pandas": lambda x, w: x.quantile(0.05),
        "polars": columns(
            lambda c, w: c.rolling_quantile(0.05, interpolation="linear", window_size=w)
        ),
    },
    "mad": {"fastpanel": rolling.mad, "numba": users_mad},
    "rank": {
        "fastpanel": rolling.rank,
        "bottleneck": lambda x, w: bn.move_rank(x, w, axis=1),
        "pandas": lambda x, w: x.rank(pct=True),
    },
}
window_cases = [(name, library) for name, libraries in WINDOWS.items() for library in libraries]


@sizes
@pytest.mark.parametrize(("name", "library"), window_cases)
def test_window(benchmark: Any, name: str, library: str, size: tuple[int, int, int]) -> None:
    inputs = Inputs.make(size)
    ready, run = inputs.prepare(library), WINDOWS[name][library]
    benchmark.group = f"{name} {size}"
    benchmark.extra_info["library"] = library
    benchmark.pedantic(run, (ready, inputs.window), rounds=rounds(library), warmup_rounds=1)


def rounds(library: str) -> int:
    return 15 if library == "fastpanel" else 3


EWM: dict[str, dict[str, Callable[[Any], Any]]] = {
    "ewm_mean": {
        "fastpanel": lambda x: rolling.ewm_mean(x, alpha=0.1),
        "numbagg": lambda x: numbagg.move_exp_nanmean(x, alpha=0.1),
        "pandas": lambda x: x.mean(),
    },
    "ewm_std": {
        "fastpanel": lambda x: rolling.ewm_std(x, alpha=0.1),
        "numbagg": lambda x: numbagg.move_exp_nanstd(x, alpha=0.1),
        "pandas": lambda x: x.std(),
    },
}
ewm_cases = [(name, library) for name, libraries in EWM.items() for library in libraries]


@sizes
@pytest.mark.parametrize(("name", "library"), ewm_cases)
def test_ewm(benchmark: Any, name: str, library: str, size: tuple[int, int, int]) -> None:
    if size[2] != 20:
        pytest.skip("no window to vary")
    inputs = Inputs.make(size)
    ready = inputs.prepare(library)
    if library == "pandas":
        ready = pd.DataFrame(np.asfortranarray(inputs.x)).ewm(alpha=0.1)
    benchmark.group = f"{name} {size[:2]}"
    benchmark.pedantic(EWM[name][library], (ready,), rounds=rounds(library), warmup_rounds=1)


def corr_by_identity(x: np.ndarray, window: int) -> np.ndarray:
    """Standardised columns add up: |sum z|^2 = A + sum of the correlations."""
    out = np.full(len(x), np.nan)
    assets = x.shape[1]
    for t in range(window - 1, len(x)):
        z = x[t + 1 - window : t + 1]
        z = z - z.mean(axis=0)
        z /= np.sqrt((z * z).sum(axis=0))
        out[t] = ((z.sum(axis=1) ** 2).sum() - assets) / (assets * (assets - 1))
    return out


def corr_by_corrcoef(x: np.ndarray, window: int) -> np.ndarray:
    out = np.full(len(x), np.nan)
    upper = np.triu_indices(x.shape[1], 1)
    for t in range(window - 1, len(x)):
        out[t] = np.corrcoef(x[t + 1 - window : t + 1].T)[upper].mean()
    return out


def share_by_eigvalsh(x: np.ndarray, window: int) -> np.ndarray:
    """The smaller of the two Gram matrices of the centred window."""
    out = np.full(len(x), np.nan)
    for t in range(window - 1, len(x)):
        z = x[t + 1 - window : t + 1]
        z = z - z.mean(axis=0)
        gram = z.T @ z if z.shape[1] < z.shape[0] else z @ z.T
        values = np.linalg.eigvalsh(gram)
        out[t] = values[-1] / values.sum()
    return out


MARKET: dict[str, dict[str, Callable[[Any, int], Any]]] = {
    "corr_mean": {
        "fastpanel": rolling.corr_mean,
        "numpy_identity": corr_by_identity,
        "corrcoef": corr_by_corrcoef,
    },
    "pc1_share": {"fastpanel": rolling.pc1_share, "numpy_eigvalsh": share_by_eigvalsh},
}
market_cases = [(name, library) for name, libraries in MARKET.items() for library in libraries]


@pytest.mark.parametrize(
    "size",
    [
        pytest.param((200, 10, 60), id="smoke"),
        pytest.param((1000, 50, 126), id="assets-50", marks=full),
        pytest.param((400, 500, 126), id="assets-500", marks=full),
    ],
)
@pytest.mark.parametrize(("name", "library"), market_cases)
def test_market(benchmark: Any, name: str, library: str, size: tuple[int, int, int]) -> None:
    rows, cols, window = size
    rng = np.random.default_rng(0)
    x = 0.01 * (rng.normal(size=(rows, cols)) + rng.normal(size=(rows, 1)))
    benchmark.group = f"{name} {size}"
    run = MARKET[name][library]
    benchmark.pedantic(run, (x, window), rounds=5 if library == "fastpanel" else 1)


@numba.njit
def reduce_range(window: np.ndarray) -> float:
    return window.max() - window.min()


@numba.njit(parallel=True)
def users_loop(x: np.ndarray, window: int) -> np.ndarray:
    out = np.full_like(x, np.nan)
    for c in numba.prange(x.shape[1]):
        column = x[:, c].copy()
        for t in range(window - 1, x.shape[0]):
            out[t, c] = reduce_range(column[t + 1 - window : t + 1])
    return out


@pytest.mark.parametrize("library", ["fastpanel", "numba"])
@pytest.mark.parametrize(
    "size",
    [
        pytest.param((300, 20, 20), id="smoke"),
        pytest.param((5000, 100, 20), id="window-20", marks=full),
        pytest.param((5000, 100, 252), id="window-252", marks=full),
    ],
)
def test_apply(benchmark: Any, library: str, size: tuple[int, int, int]) -> None:
    inputs = Inputs.make(size)
    benchmark.group = f"apply {size}"
    if library == "fastpanel":
        arguments: tuple[Any, ...] = (inputs.x, inputs.window, reduce_range)
        run: Callable[..., Any] = rolling.apply
    else:
        arguments, run = (inputs.x, inputs.window), users_loop
    benchmark.pedantic(run, arguments, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["median", "mad", "rank", "skew"])
@pytest.mark.parametrize("size", [pytest.param((5000, 500, 126), id="daily-126", marks=full)])
def test_threads(benchmark: Any, name: str, threads: int, size: tuple[int, int, int]) -> None:
    inputs = Inputs.make(size)
    fp.set_num_threads(threads)
    benchmark.group = f"{name} by threads {size}"
    benchmark.pedantic(WINDOWS[name]["fastpanel"], (inputs.x, inputs.window), rounds=5)
