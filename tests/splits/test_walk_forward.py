from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpanel.errors import ParameterError
from fastpanel.splits import CV_REGISTRY, PurgedWalkForward, audit


def lists(pairs):
    return [(train.tolist(), test.tolist()) for train, test in pairs]


def test_closed_labels_keep_one_row_away_with_horizon_one():
    cv = PurgedWalkForward(n_splits=3, horizon=1)
    assert lists(cv.split(range(8))) == [
        ([0], [2, 3]),
        ([0, 1, 2], [4, 5]),
        ([0, 1, 2, 3, 4], [6, 7]),
    ]


@pytest.mark.parametrize(("n", "splits", "gap", "size"), [(23, 4, 0, None), (50, 7, 3, 20)])
def test_agrees_with_time_series_split(n, splits, gap, size):
    selection = pytest.importorskip("sklearn.model_selection")
    theirs = selection.TimeSeriesSplit(splits, gap=gap, max_train_size=size)
    ours = PurgedWalkForward(n_splits=splits, horizon=gap, max_train_size=size)
    assert lists(ours.split(range(n))) == lists(theirs.split(np.zeros(n)))


def test_test_size_gives_consecutive_tests_that_end_on_the_newest_row():
    cv = PurgedWalkForward(test_size=3, horizon=2, min_train_size=4)
    assert lists(cv.split(range(14))) == [
        ([0, 1, 2, 3, 4, 5], [8, 9, 10]),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], [11, 12, 13]),
    ]
    assert cv.get_n_splits(range(14)) == 2
    with pytest.raises(ParameterError, match="X or y"):
        cv.get_n_splits()


def test_min_and_max_train_size():
    cv = PurgedWalkForward(n_splits=2, horizon=1, min_train_size=5, max_train_size=4)
    assert lists(cv.split(range(12))) == [([1, 2, 3, 4], [6, 7, 8]), ([4, 5, 6, 7], [9, 10, 11])]


def test_labels_of_their_own_length():
    ends = np.array([0, 5, 2, 3, 4, 5, 6, 7])
    cv = PurgedWalkForward(test_size=2, label_end=ends, min_train_size=2)
    assert lists(cv.split(range(8))) == [([0, 2, 3], [4, 5]), ([0, 1, 2, 3, 4, 5], [6, 7])]
    assert cv.get_n_splits() == 2
    assert cv.folds(8)[0].purged_intervals.tolist() == [[1, 2]]
    assert cv.folds(8)[0].train_intervals.tolist() == [[0, 1], [2, 4]]
    with pytest.raises(ParameterError, match="label_end has 8"):
        cv.split(range(9))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_splits": 2, "test_size": 2},
        {"n_splits": 0},
        {"test_size": 0},
        {"n_splits": 2, "min_train_size": 0},
        {"n_splits": 2, "max_train_size": -1},
    ],
)
def test_bad_parameters(options):
    with pytest.raises(ParameterError):
        PurgedWalkForward(**options)


@pytest.mark.parametrize(
    ("cv", "n"),
    [
        (PurgedWalkForward(n_splits=5), 5),
        (PurgedWalkForward(n_splits=5, horizon=4), 12),
        (PurgedWalkForward(test_size=5), 6),
        (PurgedWalkForward(n_splits=3, min_train_size=50), 40),
    ],
)
def test_too_few_rows(cv, n):
    with pytest.raises(ParameterError, match=f"{n} rows are too few"):
        cv.split(range(n))


def test_embargo_has_nothing_to_remove():
    plain, with_it = (PurgedWalkForward(n_splits=3, embargo_size=e) for e in (0, 4))
    assert lists(plain.split(range(40))) == lists(with_it.split(range(40)))
    audit(with_it.folds(40), horizon=1, embargo_len=4)


def test_registered_by_name():
    assert CV_REGISTRY["walk_forward"]({"n_splits": 3}).get_n_splits() == 3


@given(
    n=st.integers(2, 50),
    count=st.integers(1, 6),
    size=st.integers(1, 6),
    by_count=st.booleans(),
    horizon=st.integers(0, 4),
    least=st.none() | st.integers(1, 8),
    most=st.none() | st.integers(1, 8),
    seed=st.none() | st.integers(0, 5),
)
def test_folds_follow_the_definition(*, n, count, size, by_count, horizon, least, most, seed):
    ends = np.arange(n) + horizon
    labels = None
    if seed is not None:
        labels = ends = np.arange(n) + np.random.default_rng(seed).integers(0, horizon + 1, n)
    kind = {"n_splits": count} if by_count else {"test_size": size}
    cv = PurgedWalkForward(
        **kind, horizon=horizon, min_train_size=least, max_train_size=most, label_end=labels
    )
    try:
        splits = list(cv.split(range(n)))
    except ParameterError:
        assert n <= (count + horizon + 1) * (count + size + (least or 1)) + horizon + 8
        return
    assert len(splits) == cv.get_n_splits(range(n))
    tests = np.concatenate([test for _, test in splits])
    assert tests.tolist() == list(range(tests[0], n))  # consecutive, each once, to the newest
    assert len({len(test) for _, test in splits}) == 1
    for fold, (train, test) in zip(cv.folds(n), splits, strict=True):
        allowed = [i for i in range(test[0]) if ends[i] < test[0]]
        assert len(allowed) >= (least or 1)
        assert train.tolist() == (allowed if most is None else allowed[-most:])
        assert (fold.train.tolist(), fold.test.tolist()) == (train.tolist(), test.tolist())
    if not by_count:  # one more test would have left too few training rows
        first = tests[0] - size
        assert sum(ends[i] < first for i in range(max(first, 0))) < (least or 1)
    audit(splits, horizon=horizon, label_end=labels)
