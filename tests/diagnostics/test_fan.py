from __future__ import annotations

import math

import numpy as np
import pytest
from tests.diagnostics.cases import weeks

from fastpanel.diagnostics import Forecasts, fan
from fastpanel.errors import ParameterError


def two_weeks():
    samples = np.broadcast_to(np.arange(101.0)[:, None, None], (101, 2, 2)).copy()
    samples[3, 1, 1] = math.nan
    return Forecasts(samples, [[5.0, 6.0], [7.0, 8.0]], weeks(2), ("a", "b"))


def test_quantiles_median_and_truth_of_one_asset():
    table = fan(two_weeks(), "a", [0.95, 0.05, 0.25, 0.75])
    assert table.levels == (0.05, 0.25, 0.75, 0.95)
    np.testing.assert_allclose(table.quantiles, [[5, 25, 75, 95]] * 2)
    assert table.median.tolist() == [50.0, 50.0]
    assert table.truth.tolist() == [5.0, 7.0]


def test_a_week_with_a_broken_draw_has_no_band():
    table = fan(two_weeks(), "b", [0.05, 0.95])
    np.testing.assert_allclose(table.quantiles, [[5, 95], [math.nan, math.nan]])


def test_bands_pair_mirrored_quantiles_widest_first():
    bands = fan(two_weeks(), "a", [0.05, 0.1, 0.25, 0.5, 0.75, 0.95]).bands()
    assert [round(share, 9) for share, _, _ in bands] == [0.9, 0.5]
    assert (bands[0][1][0], bands[0][2][0]) == (5.0, 95.0)


def test_columns_name_their_quantile():
    assert list(fan(two_weeks(), "a", [0.05, 0.5]).columns()) == [
        "timestamp",
        "truth",
        "q0.05",
        "q0.5",
    ]


def test_bad_input_is_named():
    with pytest.raises(ParameterError, match="no asset 'z'; there are a, b"):
        fan(two_weeks(), "z", [0.5])
    with pytest.raises(ParameterError, match=r"\(0, 1\)"):
        fan(two_weeks(), "a", [0.0, 0.5])
