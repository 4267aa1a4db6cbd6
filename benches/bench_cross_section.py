"""Cross-sections against bottleneck, pandas, polars and NumPy on one thread.

The ratio to fastpanel's row is the time of the rival over its own. ``FASTPANEL_BENCH=smoke`` runs
the small size alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import bottleneck as bn
import numpy as np
import pandas as pd
import polars as pl
import pytest

import fastpanel as fp
from fastpanel import _core, cross_section

SMOKE_ONLY = os.environ.get("FASTPANEL_BENCH") == "smoke"
full = [pytest.mark.slow, pytest.mark.skipif(SMOKE_ONLY, reason="smoke sizes only")]
sizes = pytest.mark.parametrize(
    "size",
    [
        pytest.param((100, 50), id="smoke"),
        pytest.param((5000, 500), id="assets-500", marks=full),
        pytest.param((5000, 2000), id="assets-2000", marks=full),
    ],
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = _core.num_threads()
    fp.set_num_threads(1)
    yield
    fp.set_num_threads(before)


def polars_rank(frame: pl.DataFrame) -> pl.DataFrame:
    """Times as columns, which is the layout that polars ranks fastest."""
    return frame.select((pl.all().rank() - 0.5) / pl.all().count())


def numpy_zscore(x: np.ndarray) -> np.ndarray:
    return (x - np.nanmean(x, axis=1, keepdims=True)) / np.nanstd(x, axis=1, ddof=1, keepdims=True)


def bottleneck_mad(x: np.ndarray) -> np.ndarray:
    return bn.nanmedian(np.abs(x - bn.nanmedian(x, axis=1)[:, None]), axis=1)


CASES: dict[str, dict[str, Callable[[Any], Any]]] = {
    "rank": {
        "fastpanel": cross_section.rank,
        "bottleneck": lambda x: (bn.nanrankdata(x, axis=1) - 0.5) / x.shape[1],
        "pandas": lambda x: pd.DataFrame(x).rank(axis=1),
        "polars": polars_rank,
    },
    "zscore": {"fastpanel": cross_section.zscore, "numpy": numpy_zscore},
    "demean": {
        "fastpanel": cross_section.demean,
        "bottleneck": lambda x: x - bn.nanmean(x, axis=1)[:, None],
    },
    "mad_dispersion": {"fastpanel": cross_section.mad_dispersion, "bottleneck": bottleneck_mad},
}
cases = [(name, library) for name, libraries in CASES.items() for library in libraries]


@sizes
@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize(("name", "library"), cases)
def test_cross_section(
    benchmark: Any, name: str, library: str, ties: bool, size: tuple[int, int]
) -> None:
    if ties and name != "rank":
        pytest.skip("ties matter to ranks alone")
    x = np.random.default_rng(0).normal(size=size)
    if ties:
        x = np.round(x, 1)
    ready = pl.from_numpy(np.asfortranarray(x.T)) if library == "polars" else x
    benchmark.group = f"{name} {size} {'ties' if ties else ''}"
    rounds = 7 if library == "fastpanel" else 2
    benchmark.pedantic(CASES[name][library], (ready,), rounds=rounds, warmup_rounds=1)
