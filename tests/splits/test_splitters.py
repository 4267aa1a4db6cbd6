from __future__ import annotations

import inspect
import random
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpanel.errors import ParameterError, UnknownNameError
from fastpanel.splits import CV_REGISTRY, CombinatorialPurgedCV, audit


def lists(pairs):
    return [(train.tolist(), test.tolist()) for train, test in pairs]


def test_signature_and_defaults():
    parameters = inspect.signature(CombinatorialPurgedCV).parameters
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    defaults = {n: p.default for n, p in parameters.items() if p.default is not p.empty}
    assert defaults == {
        "purge_window": 0,
        "embargo_size": 0,
        "label_end": None,
        "max_splits": None,
        "shuffle_splits": False,
        "random_state": None,
        "min_train_size": 1,
    }
    with pytest.raises(TypeError, match="foo"):
        CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2, foo=1)


@pytest.mark.parametrize("n_blocks", [0, -1])
def test_n_blocks_must_be_positive(n_blocks):
    with pytest.raises(ValueError, match=r"^n_blocks must be positive\.$"):
        CombinatorialPurgedCV(n_blocks=n_blocks, n_test_blocks=1)


@pytest.mark.parametrize("n_test", [0, 6])
def test_n_test_blocks_must_lie_in_range(n_test):
    with pytest.raises(ValueError, match=r"^n_test_blocks must be in \[1, n_blocks\]\.$"):
        CombinatorialPurgedCV(n_blocks=5, n_test_blocks=n_test)


def test_too_few_rows():
    cv = CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2)
    with pytest.raises(ValueError, match=r"Number of samples \(n\) must be >= n_blocks \(m\)\."):
        cv.split(range(3))
    with pytest.raises(ParameterError, match="X or y"):
        cv.split()


def test_first_blocks_take_the_remainder():
    cv = CombinatorialPurgedCV(n_blocks=5, n_test_blocks=1)
    tests = [test.tolist() for _, test in cv.split(range(13))]
    assert tests == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10], [11, 12]]


def test_worked_example_and_index_types():
    cv = CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2, purge_window=1, embargo_size=2)
    splits = list(cv.split(range(20)))
    train, test = splits[list(combinations(range(5), 2)).index((1, 3))]
    assert train.tolist() == [0, 1, 2, 19]
    assert test.tolist() == [4, 5, 6, 7, 12, 13, 14, 15]
    assert train.dtype == test.dtype == np.int64
    assert [f.test_groups for f in cv.folds(20)] == list(combinations(range(5), 2))
    assert lists((f.train, f.test) for f in cv.folds(20)) == lists(splits)


def test_negative_sizes_act_as_zero_and_values_are_cast():
    odd = CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2, purge_window=-3, embargo_size=-1)
    plain = CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2)
    assert lists(odd.split(range(20))) == lists(plain.split(range(20)))
    assert CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2, purge_window=2.0).purge_window == 2


def test_number_of_splits_needs_no_data_and_always_agrees():
    cv = CombinatorialPurgedCV(n_blocks=6, n_test_blocks=2)
    assert cv.get_n_splits() == 15 == len(list(cv.split(range(60))))
    assert CombinatorialPurgedCV(n_blocks=6, n_test_blocks=2, max_splits=99).get_n_splits() == 15


def test_max_splits_takes_the_first_combinations():
    cv = CombinatorialPurgedCV(n_blocks=6, n_test_blocks=2, max_splits=3)
    assert [f.test_groups for f in cv.folds(60)] == [(0, 1), (0, 2), (0, 3)]
    huge = CombinatorialPurgedCV(n_blocks=60, n_test_blocks=30, max_splits=2)
    assert [f.test_groups[-1] for f in huge.folds(120)] == [29, 30]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_shuffling_is_that_of_random_random(seed):
    everything = list(combinations(range(6), 2))
    options = {"n_blocks": 6, "n_test_blocks": 2, "shuffle_splits": True, "random_state": seed}
    expected = list(everything)
    random.Random(seed).shuffle(expected)
    assert [f.test_groups for f in CombinatorialPurgedCV(**options).folds(60)] == expected
    sample = random.Random(seed).sample(everything, 4)
    limited = CombinatorialPurgedCV(**options, max_splits=4)
    assert [f.test_groups for f in limited.folds(60)] == sample
    assert lists(limited.split(range(60))) == lists((f.train, f.test) for f in limited.folds(60))


def test_random_sample_from_more_combinations_than_fit_in_memory():
    cv = CombinatorialPurgedCV(
        n_blocks=60, n_test_blocks=30, max_splits=5, shuffle_splits=True, random_state=3
    )
    groups = [f.test_groups for f in cv.folds(120)]
    assert len(set(groups)) == 5
    assert all(len(g) == 30 == len(set(g)) and list(g) == sorted(g) for g in groups)


def test_annihilating_parameters_name_the_combination():
    cv = CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2, purge_window=30, embargo_size=4)
    with pytest.raises(ValueError, match=r"\(0, 1\) .*purge \(horizon\) 30 with embargo 4"):
        cv.split(range(20))
    with pytest.raises(ValueError, match="at least 9"):
        CombinatorialPurgedCV(n_blocks=5, n_test_blocks=3, min_train_size=9).split(range(20))


def test_one_test_block_is_purged_k_fold():
    cv = CombinatorialPurgedCV(n_blocks=5, n_test_blocks=1)
    folds = cv.folds(20)
    assert [f.test_intervals.tolist() for f in folds] == [[[4 * k, 4 * k + 4]] for k in range(5)]


def test_registry_builds_it_and_refuses_unknown_keys():
    cv = CV_REGISTRY["cpcv"]({"n_blocks": 6, "n_test_blocks": 2})
    assert isinstance(cv, CombinatorialPurgedCV)
    with pytest.raises(TypeError, match="embargo"):
        CV_REGISTRY["cpcv"]({"n_blocks": 6, "n_test_blocks": 2, "embargo": 1})
    with pytest.raises(UnknownNameError, match="walk_forward"):
        CV_REGISTRY["kfold"]


@given(n=st.integers(2, 9), k=st.integers(1, 9), seed=st.integers(0, 9), shuffle=st.booleans())
def test_every_path_covers_every_block_once(n, k, seed, shuffle):
    if k >= n:
        return
    cv = CombinatorialPurgedCV(
        n_blocks=n, n_test_blocks=k, shuffle_splits=shuffle, random_state=seed
    )
    paths = cv.get_path_ids()
    blocks = np.array([f.test_groups for f in cv.folds(3 * n)])
    assert paths.shape == blocks.shape == (cv.get_n_splits(), k)
    for path in range(paths.max() + 1):
        assert sorted(blocks[paths == path]) == list(range(n))


@pytest.mark.parametrize(("n", "k"), [(4, 2), (6, 3), (8, 2)])
@pytest.mark.parametrize(("purge", "embargo"), [(0, 0), (2, 0), (1, 3)])
def test_agrees_with_skfolio(n, k, purge, embargo):
    skfolio = pytest.importorskip("skfolio.model_selection")
    rows = np.zeros((n * 12, 1))  # equal blocks: skfolio gives the remainder to the last one
    theirs = skfolio.CombinatorialPurgedCV(
        n_folds=n, n_test_folds=k, purged_size=purge, embargo_size=embargo
    )
    ours = CombinatorialPurgedCV(
        n_blocks=n, n_test_blocks=k, purge_window=purge, embargo_size=embargo
    )
    for (train, test), (their_train, their_tests) in zip(
        ours.split(rows), theirs.split(rows), strict=True
    ):
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, np.concatenate(their_tests))
    np.testing.assert_array_equal(ours.get_path_ids(), theirs.get_path_ids())


@pytest.mark.parametrize("embargo", [0, 3])
def test_agrees_with_purgedcv_where_labels_differ_by_row(embargo):
    purgedcv = pytest.importorskip("purgedcv")
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(5)
    n = 67
    ends = np.minimum(np.arange(n) + rng.integers(0, 5, n), n - 1)
    start = pandas.date_range("2024-01-01", periods=n, freq="D")
    # Its intervals are half-open: half a day more makes the last row of a label count.
    stop = start[ends] + pandas.Timedelta(hours=12)
    theirs = purgedcv.CombinatorialPurgedCV(
        n_splits=6,
        n_test_groups=2,
        prediction_times=pandas.Series(start),
        evaluation_times=pandas.Series(stop),
        purge_horizon=pandas.Timedelta(0),
        embargo=pandas.Timedelta(days=embargo),
    )
    ours = CombinatorialPurgedCV(n_blocks=6, n_test_blocks=2, label_end=ends, embargo_size=embargo)
    for (train, test), (their_train, their_test) in zip(
        ours.split(range(n)), theirs.split(np.zeros((n, 1))), strict=True
    ):
        np.testing.assert_array_equal(test, their_test)
        np.testing.assert_array_equal(train, their_train)


def test_scikit_learn_accepts_it():
    selection = pytest.importorskip("sklearn.model_selection")
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    cv = CombinatorialPurgedCV(n_blocks=6, n_test_blocks=2, purge_window=1)
    scores = selection.cross_val_score(linear.LinearRegression(), x, x[:, 0], cv=cv)
    assert len(scores) == 15
    np.testing.assert_allclose(scores, 1.0)


def test_length_of_a_panel_like_or_frame_counts():
    class Timed:
        def __len__(self):
            return 20

    cv = CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2)
    expected = lists(cv.split(np.zeros((20, 3))))
    assert lists(cv.split(Timed())) == expected
    assert lists(cv.split(y=np.zeros(20))) == expected


@given(
    n=st.integers(6, 40),
    blocks=st.integers(2, 5),
    purge=st.integers(0, 3),
    embargo=st.integers(0, 3),
    data=st.data(),
)
def test_splits_agree_with_the_definition(reference, *, n, blocks, purge, embargo, data):
    k = data.draw(st.integers(1, blocks))
    edges = [0, *np.cumsum([n // blocks + (b < n % blocks) for b in range(blocks)]).tolist()]
    groups = list(pairwise(edges))
    expected = reference.cpcv(groups, k, [i + purge for i in range(n)], embargo, range(n))
    cv = CombinatorialPurgedCV(
        n_blocks=blocks, n_test_blocks=k, purge_window=purge, embargo_size=embargo
    )
    if any(not train for _, train, _ in expected):
        with pytest.raises(ParameterError, match="training rows"):
            cv.split(range(n))
        return
    assert lists(cv.split(range(n))) == [(train, test) for _, train, test in expected]
    audit(cv.split(range(n)), horizon=purge, embargo_len=embargo)


def test_representation_names_the_parameters():
    text = repr(CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2, label_end=np.arange(20)))
    assert "n_blocks=5" in text
    assert "label_end=<20 rows>" in text
