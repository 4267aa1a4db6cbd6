from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from fastpanel.errors import ParameterError
from fastpanel.splits import Fold, make_cpcv_splits, plan_hash


def test_rows_come_from_intervals():
    fold = Fold([[0, 3], [6, 8]], [[3, 5]])
    assert fold.train.dtype == np.int64
    assert fold.train.tolist() == [0, 1, 2, 6, 7]
    assert fold.test.tolist() == [3, 4]
    assert fold.purged_intervals.shape == (0, 2)


def test_fold_is_frozen_and_its_arrays_are_read_only():
    fold = make_cpcv_splits([(0, 3), (3, 6)], q=1, horizon=1, embargo_len=0)[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        fold.test_groups = (1,)
    for made in (fold, Fold([[0, 3]], [[3, 5]])):
        with pytest.raises(ValueError, match="read-only"):
            made.train_intervals[0, 0] = 1
    rows = fold.train
    rows[0] = 99  # a caller's change never reaches the fold
    assert fold.train[0] != 99


def test_dict_round_trip_through_json():
    for fold in make_cpcv_splits([(2, 5), (5, 9), (9, 14)], q=1, horizon=1, embargo_len=1):
        again = Fold.from_dict(json.loads(json.dumps(fold.to_dict())))
        assert again == fold
        assert hash(again) == hash(fold)
    causal = Fold([[0, 2]], [[2, 3]], causal=True)
    assert Fold.from_dict(causal.to_dict()) == causal
    assert Fold([[0, 2]], [[2, 3]]) != causal
    assert (Fold([[0, 2]], [[2, 3]]) == 3) is False


def test_from_dict_rejects_unknown_and_missing_keys():
    data = Fold([[0, 2]], [[2, 3]]).to_dict()
    with pytest.raises(ParameterError, match="extra"):
        Fold.from_dict({**data, "extra": 1})
    del data["causal"]
    with pytest.raises(ParameterError, match="causal"):
        Fold.from_dict(data)


@pytest.mark.parametrize(
    "bad", [[[3, 3]], [[4, 2]], [[0, 3], [2, 5]], [[-1, 2]], [[0.0, 1.0]], [0, 1], [[0, 1, 2]]]
)
def test_bad_intervals_are_refused(bad):
    with pytest.raises(ParameterError, match="train_intervals"):
        Fold(bad, [[9, 10]])


def test_plan_hash_depends_on_every_set_and_on_order():
    a, b = Fold([[0, 2]], [[2, 3]]), Fold([[0, 2]], [[2, 3]], [[4, 5]])
    assert plan_hash([a, b]) != plan_hash([b, a])
    assert plan_hash([a]) != plan_hash([b])
    # A literal value: the hash is the same on every machine and in every version.
    assert plan_hash([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
