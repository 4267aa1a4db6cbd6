"""Decisions trade at the next bar, weights carry over, gaps start from cash."""

from __future__ import annotations

import numpy as np
import pytest

from fastpanel.errors import ParameterError, ShapeError
from fastpanel.portfolio import Decisions, account, compute_pnl

RETURNS = np.array([[0.10, 0.20], [0.01, -0.02], [0.03, 0.00], [-0.01, 0.05], [0.02, 0.02]])
WEIGHTS = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, -1.0]])


def test_decisions_earn_the_bar_after_the_one_they_saw():
    pnl = account(Decisions([0, 1, 2], WEIGHTS).at_next_bar(), RETURNS, {"bps": 100})
    # traded value 1, 1, 2; one percent of it
    expected = [0.01 - 0.01, 0.015 + 0.0 - 0.01, -0.05 - 0.02]
    np.testing.assert_allclose(pnl, expected, atol=1e-15)


def test_the_return_of_the_seen_bar_changes_nothing_unless_asked_for():
    decided = Decisions([1], WEIGHTS[:1])
    other = RETURNS.copy()
    other[1] = 9.0
    assert account(decided.at_next_bar(), other) == account(decided.at_next_bar(), RETURNS)
    assert account(decided.at_same_bar(), other).tolist() == [9.0]
    assert decided.at_same_bar().looks_ahead
    assert not decided.at_next_bar().looks_ahead


def test_decisions_cannot_be_accounted_for():
    with pytest.raises(ParameterError, match=r"at_next_bar\(\)"):
        account(Decisions([0], WEIGHTS[:1]), RETURNS)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="at least 1 bar"):
        Decisions([0], WEIGHTS[:1]).at_next_bar(0)


def test_a_gap_starts_from_cash():
    held = np.ones((3, 1))
    pnl = account(Decisions([0, 1, 3], held).at_next_bar(), np.zeros((5, 1)), {"bps": 100})
    np.testing.assert_allclose(pnl, [-0.01, 0.0, -0.01])


def test_a_rule_of_ones_own_sees_weights_before():
    seen = []

    def rule(w, y, w_prev, costs):
        seen.append(w_prev)
        return compute_pnl(w, y, w_prev, costs)

    account(Decisions([0, 1], WEIGHTS[:2]).at_next_bar(), RETURNS, rule=rule)
    assert seen[0] is None
    assert seen[1].tolist() == [1.0, 0.0]


def test_bad_shapes_and_bars():
    with pytest.raises(ShapeError):
        Decisions([0, 1], WEIGHTS)
    with pytest.raises(ParameterError, match="ascend"):
        Decisions([1, 1, 2], WEIGHTS)
    with pytest.raises(ParameterError, match="bars 3 to 5, but returns exist for bars 0 to 4"):
        account(Decisions([2, 3, 4], WEIGHTS).at_next_bar(), RETURNS)
