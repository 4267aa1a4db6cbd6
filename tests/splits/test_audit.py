from __future__ import annotations

import numpy as np
import pytest

from fastpanel.errors import LeakageError
from fastpanel.splits import (
    CombinatorialPurgedCV,
    Fold,
    audit,
    build_equal_groups,
    make_cpcv_splits,
    make_outer_folds,
)

GROUPS = build_equal_groups(40, 0, 8)


def clean():
    return make_cpcv_splits(GROUPS, q=2, horizon=2, embargo_len=3)


def with_row(fold, row):
    rows = np.union1d(fold.train, [row])
    return (rows, fold.test)


def test_clean_plans_pass():
    audit(clean(), horizon=2, embargo_len=3)
    audit(make_outer_folds(GROUPS, warmup_len=0, horizon=3), horizon=3)


def test_every_row_that_was_taken_out_is_found_when_put_back():
    folds = clean()
    for k, fold in enumerate(folds):
        purged = [i for a, b in fold.purged_intervals for i in range(a, b)]
        embargoed = [i for a, b in fold.embargoed_intervals for i in range(a, b)]
        for rows, reason in ((purged, "its label"), (embargoed, "embargo of 3 rows")):
            for row in rows:
                tampered = [*folds[:k], with_row(fold, row), *folds[k + 1 :]]
                with pytest.raises(LeakageError, match=f"fold {k}, row {row}: .*{reason}"):
                    audit(tampered, horizon=2, embargo_len=3)


@pytest.mark.parametrize(
    ("fold", "named"),
    [
        (([0, 1, 2], [2, 3]), "fold 0, row 2: it is in the training set and in the test set"),
        (([0, 1, 1], [5]), "row 1: repeated training row"),
        (([0], [5, 5]), "row 5: repeated test row"),
        (([-1, 0], [5]), "row -1: negative training row"),
        (([0.5], [5]), "whole numbers"),
        (Fold([[0, 4]], [[6, 8]], [[2, 3]]), "row 2: .*marked as purged"),
        (Fold([[0, 4]], [[6, 8]], [], [[3, 4]]), "row 3: .*marked as embargoed"),
        (Fold([[0, 4], [9, 11]], [[6, 8]], causal=True), "row 9: .*test starts at row 6"),
    ],
)
def test_broken_folds_are_named_without_a_horizon(fold, named):
    with pytest.raises(LeakageError, match=named):
        audit([fold])


def test_causal_folds_may_use_labels_known_at_the_first_test_row():
    audit([Fold([[0, 5]], [[5, 7]], causal=True)], horizon=1)
    with pytest.raises(LeakageError, match="row 4: its label is not known"):
        audit([Fold([[0, 5]], [[5, 7]], causal=True)], horizon=2)
    with pytest.raises(LeakageError, match=r"row 4: its label \[4, 5\]"):
        audit([Fold([[0, 5]], [[5, 7]])], horizon=1)


def test_label_ends_decide_where_given():
    ends = np.arange(20) + 1
    ends[2] = 9
    folds = CombinatorialPurgedCV(n_blocks=4, n_test_blocks=1, purge_window=1).folds(20)
    with pytest.raises(LeakageError, match=r"fold 0, row 2: its label \[2, 9\]"):
        audit(folds[1:], label_end=ends)
    with pytest.raises(LeakageError, match="label_end has 12 rows only"):
        audit(folds, label_end=ends[:12])
    audit(
        CombinatorialPurgedCV(n_blocks=4, n_test_blocks=1, label_end=ends).folds(20),
        label_end=ends,
    )


def test_scikit_learn_splitters_can_be_audited():
    selection = pytest.importorskip("sklearn.model_selection")
    rows = np.zeros((20, 1))
    audit(selection.TimeSeriesSplit(4, gap=2).split(rows), horizon=2)
    with pytest.raises(LeakageError, match="fold 0, row 3"):
        audit(selection.TimeSeriesSplit(4).split(rows), horizon=1)
    with pytest.raises(LeakageError, match="fold 0"):
        audit(selection.KFold(4, shuffle=True, random_state=0).split(rows), horizon=1)


def test_a_fold_without_test_rows_is_left_to_its_user():
    audit([([0, 1], [])], horizon=1)
