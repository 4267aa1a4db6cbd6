"""Index arrays of purged combinatorial splits, and walk-forward, against their rivals.

Every rival hands over fresh int64 index arrays of all splits, as a user receives
them. Rivals: skfolio, and boolean masks that a careful NumPy user fills per split.
``FASTPANEL_BENCH=smoke`` runs the smoke size alone.
"""

from __future__ import annotations

import os
from itertools import combinations

import numpy as np
import pytest
from skfolio.model_selection import CombinatorialPurgedCV as SkfolioCV
from sklearn.model_selection import TimeSeriesSplit

from fastpanel import _core
from fastpanel.splits import CombinatorialPurgedCV, PurgedWalkForward

PURGE, EMBARGO = 5, 10
SMOKE_ONLY = os.environ.get("FASTPANEL_BENCH") == "smoke"
FULL = [pytest.mark.slow, pytest.mark.skipif(SMOKE_ONLY, reason="smoke sizes only")]
SIZES = [
    pytest.param((1200, 6, 2), id="smoke"),
    pytest.param((5000, 10, 2), id="T5000-N10-k2", marks=FULL),
    pytest.param((5000, 16, 8), id="T5000-N16-k8", marks=FULL),
    pytest.param((100_000, 10, 2), id="T100000-N10-k2", marks=FULL),
]


def with_fastpanel(rows, n, k):
    cv = CombinatorialPurgedCV(
        n_blocks=n, n_test_blocks=k, purge_window=PURGE, embargo_size=EMBARGO
    )
    yield from cv.split(rows)


def with_masks(rows, n, k):
    edges = np.linspace(0, len(rows), n + 1).astype(int)
    for combo in combinations(range(n), k):
        train = np.ones(len(rows), dtype=bool)
        test = np.zeros(len(rows), dtype=bool)
        for g in combo:
            start, stop = edges[g], edges[g + 1]
            test[start:stop] = True
            train[max(start - PURGE, 0) : stop + PURGE + EMBARGO] = False
        yield np.flatnonzero(train), np.flatnonzero(test)


def with_skfolio(rows, n, k):
    cv = SkfolioCV(n_folds=n, n_test_folds=k, purged_size=PURGE, embargo_size=EMBARGO)
    for train, tests in cv.split(rows):
        yield train, np.concatenate(tests)


@pytest.mark.parametrize("library", [with_fastpanel, with_masks, with_skfolio])
@pytest.mark.parametrize("size", SIZES)
def test_index_arrays(benchmark, size, library):
    benchmark.group = f"CPCV {size}"
    times, n, k = size
    rows = np.zeros((times, 1))
    if library is with_skfolio and size == (5000, 16, 8):
        benchmark.pedantic(lambda: sum(1 for _ in library(rows, n, k)), rounds=1)
        return
    benchmark(lambda: sum(1 for _ in library(rows, n, k)))


@pytest.mark.parametrize("size", SIZES)
def test_interval_plan(benchmark, size):
    benchmark.group = f"plan {size}"
    times, n, k = size
    edges = np.linspace(0, times, n + 1).astype(np.int64)
    groups = np.ascontiguousarray(np.stack([edges[:-1], edges[1:]], axis=1))
    pool = np.array([[0, times]])
    combos = _core.combinations(n, k, 1 << 22)
    benchmark(lambda: _core.split_plan(groups, pool, combos, times, PURGE, None, EMBARGO, False))


@pytest.mark.parametrize("library", [PurgedWalkForward, TimeSeriesSplit])
@pytest.mark.parametrize(
    "size", [pytest.param((2000, 50), id="smoke"), pytest.param((5000, 800), id="800", marks=FULL)]
)
def test_walk_forward(benchmark, size, library):
    benchmark.group = f"walk-forward {size}"
    times, splits = size
    rows = np.zeros((times, 1))
    if library is PurgedWalkForward:
        cv = library(n_splits=splits, horizon=1, max_train_size=1000)
    else:
        cv = library(n_splits=splits, gap=1, max_train_size=1000)
    benchmark(lambda: sum(1 for _ in cv.split(rows)))
