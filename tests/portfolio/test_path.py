from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpanel.errors import DataError, ShapeError
from fastpanel.portfolio import drawdown, equity_curve, turnover


def test_gains_are_reinvested():
    np.testing.assert_allclose(equity_curve([0.1, -0.1, 0.2]), [1.1, 0.99, 1.188])


def test_a_missing_week_leaves_the_capital():
    np.testing.assert_allclose(equity_curve([0.1, math.nan, 0.1]), [1.1, 1.1, 1.21])


def test_ruin_is_final():
    assert equity_curve([0.5, -1.4, 3.0]).tolist() == [1.5, 0.0, 0.0]
    assert drawdown([0.5, -1.4, 3.0]).tolist() == [0.0, -1.0, -1.0]


def test_drawdown_counts_from_the_start_capital_too():
    np.testing.assert_allclose(drawdown([-0.1, 0.5, -0.5]), [-0.1, 0.0, -0.5])


def test_turnover_starts_from_cash():
    assert turnover([[0.5, 0.5], [0.5, -0.5], [0.5, -0.5]]) == pytest.approx((1.0 + 1.0 + 0.0) / 3)


def test_bad_input_is_named():
    with pytest.raises(ShapeError, match=r"pnl must be \[T\]"):
        drawdown([[0.1]])
    with pytest.raises(DataError, match=r"pnl\[1\] is infinite"):
        equity_curve([0.1, math.inf])
    with pytest.raises(DataError, match=r"weights\[1, 0\]"):
        turnover([[0.5], [math.nan]])
    with pytest.raises(ShapeError, match="weights"):
        turnover([0.5])


@given(st.lists(st.floats(-2, 2) | st.just(math.nan), min_size=1, max_size=30))
def test_drawdown_lies_between_ruin_and_nothing(pnl):
    depth = drawdown(pnl)
    assert (depth <= 0.0).all()
    assert (depth >= -1.0).all()
    equity = np.concatenate([[1.0], equity_curve(pnl)])
    slow = [min(0.0, x / max(equity[: i + 1]) - 1.0) for i, x in enumerate(equity)]
    np.testing.assert_allclose(depth, slow[1:], atol=1e-15)
