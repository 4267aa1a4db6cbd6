from __future__ import annotations

import math

import numpy as np
import pytest

from fastpanel.diagnostics import Forecasts, pool_splits
from fastpanel.errors import DataError, ShapeError

NAN = math.nan
TIMES = np.array(["2024-01-05", "2024-01-12", "2024-01-19"], dtype="datetime64[ns]")


def test_arrays_are_read_only_copies():
    samples = np.zeros((4, 3, 2))
    f = Forecasts(samples, np.zeros((3, 2)), TIMES, ["a", "b"])
    samples[0] = 7.0
    assert f.samples.max() == 0.0
    assert f.assets == ("a", "b")
    with pytest.raises(ValueError, match="read-only"):
        f.truth[0, 0] = 1.0


def test_scored_cells_need_truth_and_every_draw():
    samples, truth = np.zeros((4, 3, 2)), np.zeros((3, 2))
    samples[1, 0, 0] = NAN
    truth[2, 1] = NAN
    f = Forecasts(samples, truth, TIMES, ("a", "b"))
    assert f.scored.tolist() == [[False, True], [True, True], [True, False]]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"samples": np.zeros((4, 6))}, ShapeError, "samples must be"),
        ({"truth": np.zeros((2, 2))}, ShapeError, r"truth must be \[N, A\] = \(3, 2\)"),
        ({"times": TIMES[:2]}, ShapeError, "times"),
        ({"assets": ("a",)}, ShapeError, "1 assets"),
        ({"assets": ("a", "a")}, DataError, "twice"),
        ({"times": TIMES[::-1]}, DataError, "strictly increasing"),
    ],
)
def test_bad_input_is_named(change, error, text):
    arguments = {
        "samples": np.zeros((4, 3, 2)), "truth": np.zeros((3, 2)), "times": TIMES,
        "assets": ("a", "b"),
    } | change  # fmt: skip
    with pytest.raises(error, match=text):
        Forecasts(**arguments)


# ---------------------------------------------------------------- pooling over splits


def pool(samples, rows, scales, truth=None, assets=("a",)):
    times = np.arange("2024-01-05", "2024-03-29", 7, dtype="datetime64[D]")
    truth = np.arange(12.0)[:, None] if truth is None else truth
    return pool_splits(samples, rows, scales, truth=truth, times=times, assets=assets)


def test_draws_and_truth_are_brought_to_the_median_scale():
    # one week in three splits of scales 1, 2 and 4: the shared scale is 2
    draws = [np.full((2, 1, 1), 10.0), np.full((2, 1, 1), 20.0), np.full((2, 1, 1), 30.0)]
    f = pool(draws, [[6], [6], [6]], [[1.0], [2.0], [4.0]])
    assert sorted(f.samples[:, 0, 0]) == [5.0, 5.0, 20.0, 20.0, 60.0, 60.0]
    assert f.truth.tolist() == [[3.0]]


def test_only_test_weeks_appear_in_order():
    draws = [np.zeros((3, 2, 1)), np.zeros((3, 2, 1))]
    f = pool(draws, [[4, 5], [1, 2]], [[1.0], [1.0]])
    assert f.truth[:, 0].tolist() == [1.0, 2.0, 4.0, 5.0]
    assert str(f.times[0])[:10] == "2024-01-12"


def test_every_week_gets_the_same_number_of_draws_evenly_from_its_splits():
    # week 3 is tested by both splits, weeks 2 and 4 by one
    one = np.array([1.0, 2.0, 3.0, 4.0])[:, None, None] * np.ones((1, 2, 1))
    f = pool([one, 10 * one], [[2, 3], [3, 4]], [[1.0], [1.0]])
    assert f.samples[:, 0, 0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert f.samples[:, 1, 0].tolist() == [1.0, 10.0, 2.0, 20.0]
    assert f.samples[:, 2, 0].tolist() == [10.0, 20.0, 30.0, 40.0]


def test_draws_stay_joint_over_assets():
    draws = np.arange(8.0).reshape(4, 1, 2)
    f = pool([draws, 100 + draws], [[0], [0]], [[1, 1], [1, 1]], np.zeros((12, 2)), ("a", "b"))
    assert set(map(tuple, f.samples[:, 0])) == {
        *map(tuple, draws[:, 0]),
        *map(tuple, 100 + draws[:, 0]),
    }


@pytest.mark.parametrize("bad", [0.0, NAN])
def test_an_asset_without_scale_in_one_split_has_no_whole_forecast_there(bad):
    draws = [np.ones((2, 1, 2)), np.ones((2, 1, 2))]
    f = pool(draws, [[0], [1]], [[1.0, 2.0], [1.0, bad]], np.ones((12, 2)), ("a", "b"))
    assert f.scored.tolist() == [[True, True], [True, False]]
    assert f.truth[0].tolist() == [1.0, 0.5]


def test_splits_must_fit_together():
    with pytest.raises(ShapeError, match="2, 1 and 1 splits"):
        pool([np.zeros((2, 1, 1))] * 2, [[0]], [[1.0]])
    with pytest.raises(ShapeError, match="split 1"):
        pool([np.zeros((2, 1, 1)), np.zeros((3, 1, 1))], [[0], [1]], [[1.0], [1.0]])
