from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpanel.errors import ConfigError, DataError, ParameterError, ShapeError
from fastpanel.portfolio import CostSpec, compute_pnl, simple_returns

NAN = math.nan


def test_long_short_without_costs():
    assert compute_pnl([1.0, -1.0], [0.02, 0.01]) == pytest.approx(0.01)


def test_costs_charge_the_traded_value():
    w, before = [0.5, -0.5], [0.5, 0.25]
    # traded 0 + 0.75; 20 bps of it = 0.0015
    pnl = compute_pnl(w, [0.02, 0.01], before, {"bps": 20})
    assert pnl == pytest.approx(0.5 * 0.02 - 0.5 * 0.01 - 0.0015)


def test_no_weights_before_means_cash():
    assert compute_pnl([1.0, -1.0], [0.0, 0.0], None, {"bps": 10}) == pytest.approx(-0.002)


def test_min_fee_applies_to_traded_assets_only():
    costs = CostSpec(bps=10, min_fee=0.0005)
    # asset 0: 1.0 traded -> 0.001; asset 1: 0.1 traded -> min 0.0005; asset 2: nothing
    assert compute_pnl([1.0, 0.1, 0.3], [0.0] * 3, [0.0, 0.0, 0.3], costs) == pytest.approx(-0.0015)


def test_slippage_comes_on_top():
    pnl = compute_pnl([1.0], [0.0], None, {"bps": 10, "min_fee": 0.002, "slippage_bps": 5})
    assert pnl == pytest.approx(-0.002 - 0.0005)


def test_missing_return_of_an_asset_not_held_is_ignored():
    assert compute_pnl([0.0, 1.0], [NAN, 0.01], None, {"missing_return": None}) == 0.01


def test_missing_return_of_a_held_asset():
    assert compute_pnl([0.5, 0.5], [NAN, 0.02]) == pytest.approx(0.01)
    assert compute_pnl([0.5, 0.5], [NAN, 0.02], None, {"missing_return": -1.0}) == -0.49
    with pytest.raises(DataError, match="asset 1 is held but its return is NaN"):
        compute_pnl([0.5, 0.5], [0.02, NAN], None, {"missing_return": None})


def test_log_returns_become_simple_ones_first():
    log = np.log1p([0.5, -0.2, NAN])
    np.testing.assert_allclose(simple_returns(log, "log"), [0.5, -0.2, NAN])
    assert compute_pnl([1.0, 1.0, 0.0], simple_returns(log, "log")) == pytest.approx(0.3)
    assert simple_returns([0.5], "simple").tolist() == [0.5]
    with pytest.raises(ParameterError, match="'weird'"):
        simple_returns([0.0], "weird")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("w", "y", "before", "error", "text"),
    [
        ([1.0], [0.1, 0.2], None, ShapeError, "must be equal"),
        ([1.0, 0.0], [0.1, 0.2], [1.0], ShapeError, "w_prev"),
        ([[1.0]], [[0.1]], None, ShapeError, r"w must be \[A\]"),
        ([NAN], [0.1], None, DataError, r"w\[0\] is nan"),
        ([1.0], [0.1], [math.inf], DataError, r"w_prev\[0\]"),
        ([0.0, 1.0], [0.1, math.inf], None, DataError, r"y_t\[1\] is infinite"),
    ],
)
def test_bad_input_is_named(w, y, before, error, text):
    with pytest.raises(error, match=text):
        compute_pnl(w, y, before)


@pytest.mark.parametrize("costs", [{"bps": -1}, {"min_fee": -1}, {"missing_return": -2}, {"bp": 1}])
def test_bad_costs_are_named(costs):
    with pytest.raises(ConfigError, match=next(iter(costs))):
        compute_pnl([1.0], [0.1], None, costs)


weights = st.lists(st.floats(-1, 1), min_size=3, max_size=3)


@given(weights, weights, weights, st.floats(0, 100))
def test_costs_never_help_and_staying_is_free(w, before, y, bps):
    assert compute_pnl(w, y, before, {"bps": bps}) <= compute_pnl(w, y, before)
    assert compute_pnl(w, y, w, {"bps": bps, "min_fee": 0.1}) == compute_pnl(w, y, w)


def test_closing_a_position_without_a_price_costs_the_forced_sale():
    costs = {"bps": 10, "liquidation_bps": 200}
    # the asset has left: 0.5 is sold for 10 + 200 basis points of it
    assert compute_pnl([0.0], [NAN], [0.5], costs) == pytest.approx(-0.5 * 0.021)
    assert compute_pnl([0.2], [NAN], [-0.5], costs) == pytest.approx(-0.7 * 0.021)
    # with a price, or while it is only held or entered, there is no forced sale
    assert compute_pnl([0.0], [0.1], [0.5], costs) == pytest.approx(-0.0005)
    assert compute_pnl([0.5], [NAN], [0.5], costs) == 0.0
    assert compute_pnl([0.5], [NAN], None, costs) == pytest.approx(-0.0005)
