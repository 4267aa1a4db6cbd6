from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpanel.errors import ParameterError
from fastpanel.splits import audit, build_equal_groups, make_outer_folds, skipped_outer_groups

GROUPS = build_equal_groups(260, 52, 52)


def test_train_is_everything_before_the_group():
    fold = make_outer_folds(GROUPS, warmup_len=52, test_groups=[2])[0]
    assert fold.train_intervals.tolist() == [[0, 156]]
    assert fold.test_intervals.tolist() == [[156, 208]]
    assert fold.test_groups == (2,)
    assert fold.causal
    without = make_outer_folds(GROUPS, warmup_len=52, test_groups=[2], exclude_warmup=True, q=1)
    assert without[0].train_intervals.tolist() == [[52, 156]]


def test_dropped_remainder_is_in_no_training_set():
    groups = build_equal_groups(300, 52, 52)
    fold = make_outer_folds(groups, warmup_len=52, test_groups="last")[0]
    assert fold.train_intervals.tolist() == [[0, 52], [92, 248]]
    assert fold.test_intervals.tolist() == [[248, 300]]


def test_horizon_keeps_rows_whose_label_is_known_at_the_first_test_row():
    fold = make_outer_folds(GROUPS, warmup_len=52, horizon=4, test_groups=[3])[0]
    assert fold.train_intervals.tolist() == [[0, 205]]  # row 204: 204 + 4 = 208 = s
    assert fold.purged_intervals.tolist() == [[205, 208]]
    one = make_outer_folds(GROUPS, warmup_len=52, horizon=1, test_groups=[3])[0]
    assert one.train_intervals.tolist() == [[0, 208]]
    for below in (0, -3):
        zero = make_outer_folds(GROUPS, warmup_len=52, horizon=below, test_groups=[3])[0]
        assert zero.train_intervals.tolist() == [[0, 208]]


def test_groups_with_too_few_earlier_ones_are_skipped_and_named():
    folds = make_outer_folds(GROUPS, warmup_len=52)
    assert [fold.test_groups for fold in folds] == [(2,), (3,)]
    skipped = skipped_outer_groups(GROUPS, warmup_len=52)
    assert list(skipped) == [0, 1]
    assert "1 earlier groups, but q=2 needs 2" in skipped[1]
    assert list(skipped_outer_groups(GROUPS, warmup_len=52, exclude_warmup=True)) == [0, 1, 2]
    assert list(skipped_outer_groups(GROUPS, warmup_len=52, q=0)) == []
    assert list(skipped_outer_groups(GROUPS, warmup_len=52, q=0, exclude_warmup=True)) == [0]


def test_smallest_usable_lengths():
    assert make_outer_folds(build_equal_groups(208, 52, 52), warmup_len=52)
    assert make_outer_folds(build_equal_groups(207, 52, 52), warmup_len=52) == []
    assert make_outer_folds(build_equal_groups(260, 52, 52), warmup_len=52, exclude_warmup=True)
    shorter = build_equal_groups(259, 52, 52)
    assert make_outer_folds(shorter, warmup_len=52, exclude_warmup=True) == []


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ([2], "group 2 .*q=2 needs 3"),
        ([4], r"0\.\.3"),
        ([3, 3], "distinct"),
        ([], "distinct"),
        ("first", "all"),
        ([-1], "test_groups"),
    ],
)
def test_bad_choices_are_errors(chosen, named):
    with pytest.raises(ParameterError, match=named):
        make_outer_folds(GROUPS, warmup_len=52, exclude_warmup=True, test_groups=chosen)


def test_a_horizon_that_leaves_no_training_row():
    with pytest.raises(ParameterError, match="horizon=300"):
        make_outer_folds(GROUPS, warmup_len=52, horizon=300, test_groups=[3])
    assert "horizon=300" in skipped_outer_groups(GROUPS, warmup_len=52, horizon=300)[3]


@given(
    n=st.integers(1, 60),
    warmup=st.integers(0, 9),
    length=st.integers(1, 9),
    horizon=st.integers(0, 12),
    exclude=st.booleans(),
    q=st.integers(0, 3),
)
def test_folds_follow_the_definition(*, n, warmup, length, horizon, exclude, q):
    if n - warmup < length:
        return
    groups = build_equal_groups(n, warmup, length)
    options = {"warmup_len": warmup, "horizon": horizon, "exclude_warmup": exclude, "q": q}
    skipped = skipped_outer_groups(groups, **options)
    folds = make_outer_folds(groups, **options)
    assert [f.test_groups[0] for f in folds] == [k for k in range(len(groups)) if k not in skipped]
    for fold in folds:
        k = fold.test_groups[0]
        start = groups[k][0]
        pool = [] if exclude else list(range(warmup))
        pool += [i for a, b in groups[:k] for i in range(a, b)]
        expected = [i for i in pool if i + horizon <= start and i < start]
        np.testing.assert_array_equal(fold.train, expected)
        np.testing.assert_array_equal(fold.test, range(*groups[k]))
        assert fold.train.max() < fold.test.min()
    if folds:
        audit(folds, horizon=horizon)
