from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpanel.errors import ParameterError
from fastpanel.splits import audit, build_equal_groups, make_cpcv_splits

FIVE = build_equal_groups(20, 0, 4)


def by_groups(folds, *groups):
    return next(f for f in folds if f.test_groups == groups)


def test_worked_example_of_purge_and_embargo():
    fold = by_groups(make_cpcv_splits(FIVE, q=2, horizon=1, embargo_len=2), 1, 3)
    assert fold.train.tolist() == [0, 1, 2, 19]
    assert fold.test.tolist() == [4, 5, 6, 7, 12, 13, 14, 15]
    assert fold.purged_intervals.tolist() == [[3, 4], [8, 9], [11, 12], [16, 17]]
    assert fold.embargoed_intervals.tolist() == [[9, 11], [17, 19]]


def test_purge_takes_the_rows_before_a_block():
    one = by_groups(make_cpcv_splits(FIVE, q=1, horizon=1, embargo_len=0), 1)
    assert one.train.tolist() == [0, 1, 2, *range(9, 20)]
    three = by_groups(make_cpcv_splits(FIVE, q=1, horizon=3, embargo_len=0), 1)
    assert three.train.tolist() == [0, *range(11, 20)]
    none = by_groups(make_cpcv_splits(FIVE, q=1, horizon=0, embargo_len=0), 1)
    assert none.train.tolist() == [*range(4), *range(8, 20)]


def test_negative_purge_and_embargo_act_as_zero():
    assert make_cpcv_splits(FIVE, q=2, horizon=-3, embargo_len=-1) == make_cpcv_splits(
        FIVE, q=2, horizon=0, embargo_len=0
    )


def test_adjacent_test_groups_are_one_block():
    fold = by_groups(make_cpcv_splits(FIVE, q=2, horizon=1, embargo_len=1), 1, 2)
    assert fold.test_intervals.tolist() == [[4, 12]]
    assert fold.train.tolist() == [0, 1, 2, *range(14, 20)]


def test_all_combinations_in_lexicographic_order():
    folds = make_cpcv_splits(build_equal_groups(60, 0, 10), q=2, horizon=1, embargo_len=0)
    assert [f.test_groups for f in folds] == list(combinations(range(6), 2))


@pytest.mark.parametrize(
    ("n", "q", "limit", "expected"),
    [(4, 2, 2, [(0, 1), (2, 3)]), (6, 2, 3, [(0, 1), (2, 3), (4, 5)])],
)
def test_limited_combinations_are_balanced(n, q, limit, expected):
    folds = make_cpcv_splits(
        build_equal_groups(10 * n, 0, 10), q=q, horizon=0, embargo_len=0, max_inner_combos=limit
    )
    assert [f.test_groups for f in folds] == expected


def test_five_groups_and_five_combinations_test_each_group_twice():
    folds = make_cpcv_splits(FIVE, q=2, horizon=0, embargo_len=0, max_inner_combos=5)
    assert np.bincount([g for f in folds for g in f.test_groups]).tolist() == [2] * 5


@given(n=st.integers(2, 7), q=st.integers(1, 4), limit=st.integers(1, 30))
def test_greedy_choice_follows_its_definition(reference, n, q, limit):
    if q >= n:
        return
    folds = make_cpcv_splits(
        build_equal_groups(3 * n, 0, 3), q=q, horizon=0, embargo_len=0, max_inner_combos=limit
    )
    if limit >= comb(n, q):
        expected = list(combinations(range(n), q))
    else:
        expected = reference.greedy(n, q, limit)
    assert [f.test_groups for f in folds] == expected


def test_warm_up_is_trained_on_purged_like_any_row_and_never_tested():
    groups = build_equal_groups(26, 6, 5)
    with_it = by_groups(make_cpcv_splits(groups, q=1, horizon=2, embargo_len=0, warmup_len=6), 0)
    assert with_it.train.tolist() == [0, 1, 2, 3, *range(13, 26)]
    without = by_groups(
        make_cpcv_splits(groups, q=1, horizon=2, embargo_len=0, warmup_len=6, exclude_warmup=True),
        0,
    )
    assert without.train.tolist() == list(range(13, 26))


def test_dropped_remainder_is_never_trained_on():
    groups = build_equal_groups(30, 4, 8)  # rows 4 and 5 belong to no group
    folds = make_cpcv_splits(groups, q=1, horizon=0, embargo_len=0, warmup_len=4)
    assert all(not {4, 5} & set(f.train.tolist()) for f in folds)


def test_empty_training_set_names_the_combination():
    with pytest.raises(ParameterError, match=r"\(0,\) leaves 0 .*purge .* 40.*embargo 7"):
        make_cpcv_splits(FIVE, q=1, horizon=40, embargo_len=7)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"q": 0}, "q"),
        ({"q": 6}, "q=6"),
        ({"max_inner_combos": 0}, "max_inner_combos"),
        ({"n_samples": 19}, "20"),
        ({"label_end": np.arange(20), "n_samples": 25}, "label_end has 20"),
        ({"label_end": np.arange(19)}, "19 rows"),
        ({"label_end": np.arange(20) * 1.0}, "label_end"),
        ({"label_end": np.arange(20) - (np.arange(20) == 7)}, r"label_end\[7\] = 6"),
    ],
)
def test_bad_options_are_errors(options, named):
    with pytest.raises(ParameterError, match=named):
        make_cpcv_splits(FIVE, **{"q": 1, "horizon": 1, "embargo_len": 0, **options})


def test_too_many_combinations_is_an_error_with_a_remedy():
    groups = build_equal_groups(40, 0, 1)
    with pytest.raises(ParameterError, match="fewer groups"):
        make_cpcv_splits(groups, q=20, horizon=0, embargo_len=0)


def test_constant_label_end_equals_horizon_and_assets_count_together():
    rows = np.arange(20)
    plain = make_cpcv_splits(FIVE, q=2, horizon=2, embargo_len=1)
    ends = np.minimum(rows + 2, 30)
    assert make_cpcv_splits(FIVE, q=2, horizon=0, embargo_len=1, label_end=ends) == plain
    per_asset = np.stack([rows, ends, rows + 1], axis=1)
    assert make_cpcv_splits(FIVE, q=2, horizon=0, embargo_len=1, label_end=per_asset) == plain


grids = st.tuples(
    st.integers(0, 5),
    st.integers(1, 4),
    st.integers(2, 5),
    st.integers(0, 3),
    st.integers(0, 7),
    st.integers(0, 6),
    st.booleans(),
    st.randoms(use_true_random=False),
    st.booleans(),
)


@given(grids)
def test_splits_agree_with_the_definition(reference, grid):
    warmup, length, count, rest, horizon, embargo, exclude, rng, labelled = grid
    n = warmup + length * count + min(rest, length - 1)
    groups = build_equal_groups(n, warmup, length)
    ends = [i + horizon for i in range(n)]
    if labelled:
        ends = [i + rng.randint(0, horizon) for i in range(n)]
    q = rng.randint(1, count)
    pool = [] if exclude else list(range(warmup))
    pool += [i for a, b in groups for i in range(a, b)]
    expected = reference.cpcv(groups, q, ends, embargo, pool)
    options = {
        "q": q,
        "horizon": horizon,
        "embargo_len": embargo,
        "warmup_len": warmup,
        "exclude_warmup": exclude,
        "label_end": np.array(ends) if labelled else None,
    }
    if any(not train for _, train, _ in expected):
        with pytest.raises(ParameterError, match="leaves 0 training rows"):
            make_cpcv_splits(groups, **options)
        return
    folds = make_cpcv_splits(groups, **options)
    assert [f.test_groups for f in folds] == [combo for combo, _, _ in expected]
    for fold, (_, train, test) in zip(folds, expected, strict=True):
        assert fold.train.tolist() == train
        assert fold.test.tolist() == test
        parts = [fold.train_intervals, fold.test_intervals]
        parts += [fold.purged_intervals, fold.embargoed_intervals]
        rows = [i for part in parts for a, b in part for i in range(a, b)]
        assert sorted(rows) == pool  # every candidate is in exactly one set
    audit(folds, horizon=horizon, embargo_len=embargo, label_end=options["label_end"])
