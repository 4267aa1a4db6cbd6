"""Index arrays of purged combinatorial splits, and walk-forward, against their rivals.

Every rival hands over fresh int64 index arrays of all splits, as a user receives
them. Rivals: skfolio, purgedcv, scikit-learn, and boolean masks that a careful NumPy
user fills per split.
"""

from __future__ import annotations

from collections import deque
from itertools import combinations, islice, pairwise
from math import comb

import numpy as np
import pandas as pd
import purgedcv
from benches.harness import Rival, suite
from skfolio.model_selection import CombinatorialPurgedCV as SkfolioCV
from sklearn.model_selection import TimeSeriesSplit

from fastpanel.splits import CombinatorialPurgedCV, PurgedWalkForward, make_cpcv_splits

PURGE, EMBARGO = 5, 10
MOST_SPLITS = 15  # of the slowest rival, whose time grows with the number of splits


class Blocks:
    """So many rows in n blocks, k of which are tests."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        times, self.n, self.k = size
        self.rows = np.zeros((times, 1))
        self.edges = np.linspace(0, times, self.n + 1).astype(np.int64)
        self.known = pd.Series(pd.date_range("2000-01-01", periods=times, freq="min"))


def with_fastpanel(i: Blocks):
    cv = CombinatorialPurgedCV(
        n_blocks=i.n, n_test_blocks=i.k, purge_window=PURGE, embargo_size=EMBARGO
    )
    yield from cv.split(i.rows)


def with_masks(i: Blocks):
    for combo in combinations(range(i.n), i.k):
        train = np.ones(len(i.rows), dtype=bool)
        test = np.zeros(len(i.rows), dtype=bool)
        for g in combo:
            start, stop = i.edges[g], i.edges[g + 1]
            test[start:stop] = True
            train[max(start - PURGE, 0) : stop + PURGE + EMBARGO] = False
        yield np.flatnonzero(train), np.flatnonzero(test)


def with_skfolio(i: Blocks):
    cv = SkfolioCV(n_folds=i.n, n_test_folds=i.k, purged_size=PURGE, embargo_size=EMBARGO)
    for train, tests in cv.split(i.rows):
        yield train, np.concatenate(tests)


def with_purgedcv(i: Blocks):
    cv = purgedcv.CombinatorialPurgedCV(
        n_splits=i.n,
        n_test_groups=i.k,
        prediction_times=i.known,
        evaluation_times=i.known + pd.Timedelta(minutes=PURGE),
        embargo_observations=EMBARGO,
    )
    yield from islice(cv.split(i.rows), MOST_SPLITS)


def parts(i: Blocks) -> float:
    """How often the splits that the slowest rival is timed on go into all of them."""
    return max(1.0, comb(i.n, i.k) / MOST_SPLITS)


def walk_through(splits, **how):
    """Take every pair of arrays and drop it; the last test rows are compared."""

    def prepare(i):
        def call():
            return deque(splits(i), maxlen=1)[0]

        return call

    return Rival(prepare, read=lambda pair: np.sort(pair[1]), **how)


def folds(i: Blocks):
    groups = [(int(a), int(b)) for a, b in pairwise(i.edges)]
    return lambda: make_cpcv_splits(groups, q=i.k, horizon=PURGE, embargo_len=EMBARGO)


test_cpcv = suite(
    "splits",
    {
        "smoke": (1200, 6, 2),
        "T5000-N10-k2": (5000, 10, 2),
        "T5000-N16-k8": (5000, 16, 8),
        "T100000-N10-k2": (100_000, 10, 2),
    },
    Blocks,
    {
        "cpcv": {
            "fastpanel": walk_through(with_fastpanel),
            "numpy": walk_through(with_masks, serial=True),
            "purgedcv": walk_through(
                with_purgedcv, once=True, skip=("T5000-N16-k8",), stands_for=parts
            ),
            "skfolio": walk_through(with_skfolio, once=True),
        },
        "cpcv, folds as intervals": {"fastpanel": Rival(folds, read=None)},
    },
)


class Walk:
    """So many rows and tests."""

    def __init__(self, size: tuple[int, int]) -> None:
        times, self.splits = size
        self.rows = np.zeros((times, 1))


def walk_forward(i: Walk):
    cv = PurgedWalkForward(n_splits=i.splits, horizon=1, max_train_size=1000)
    return cv.split(i.rows)


def time_series_split(i: Walk):
    return TimeSeriesSplit(n_splits=i.splits, gap=1, max_train_size=1000).split(i.rows)


test_walk_forward = suite(
    "splits",
    {"smoke": (2000, 50), "T5000-800": (5000, 800)},
    Walk,
    {
        "walk_forward": {
            "fastpanel": walk_through(walk_forward),
            "sklearn": walk_through(time_series_split),
        }
    },
)
