"""Quantile loss and ensemble quantiles."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from fastpanel.errors import ParameterError, ShapeError
from fastpanel.scoring import ensemble_quantile, quantile_score, tail_quantile_loss


def test_literal_values() -> None:
    samples = np.random.default_rng(0).permutation(np.arange(101.0))
    assert ensemble_quantile(samples, 0.05) == 5.0
    assert tail_quantile_loss(3.0, samples, 0.05) == pytest.approx(1.9, abs=1e-14)
    assert tail_quantile_loss(10.0, samples, 0.05) == pytest.approx(0.25, abs=1e-14)
    assert quantile_score(0.3, 0.5, 0.2) == pytest.approx(0.16, abs=1e-15)


def test_agrees_with_scoringrules() -> None:
    scoringrules = pytest.importorskip("scoringrules")
    rng = np.random.default_rng(1)
    y, q, alpha = rng.normal(size=(20, 3)), rng.normal(size=(20, 3)), rng.uniform(size=3)
    want = scoringrules.quantile_score(y, q, alpha)
    np.testing.assert_allclose(quantile_score(y, q, alpha), want, rtol=1e-14)


def test_loss_is_smallest_at_the_quantile() -> None:
    y = np.random.default_rng(2).normal(size=20_000)
    grid = np.linspace(-2, 2, 81)
    loss = quantile_score(y[:, None], grid, 0.25).mean(axis=0)
    assert grid[loss.argmin()] == pytest.approx(np.quantile(y, 0.25), abs=0.05)


@settings(max_examples=80, deadline=None)
@given(
    x=hnp.arrays(np.float64, st.integers(1, 70), elements=st.floats(-1e6, 1e6)),
    level=st.floats(0, 1),
)
def test_quantiles_are_numpys_to_the_bit(x: np.ndarray, level: float) -> None:
    assert ensemble_quantile(x, level) == np.quantile(x, level)


def test_quantiles_of_many_points() -> None:
    x = np.random.default_rng(3).normal(size=(50, 6, 9))
    x[4, 2, 3] = np.nan
    levels = [0.0, 0.1, 0.5, 1.0]
    got = ensemble_quantile(x, levels, 0)
    assert got.shape == (4, 6, 9)
    np.testing.assert_array_equal(got, np.quantile(x, levels, axis=0))
    np.testing.assert_array_equal(ensemble_quantile(np.moveaxis(x, 0, -1), levels), got)
    np.testing.assert_array_equal(ensemble_quantile(x, 0.1, 0), got[1])


def test_missing_truth_is_nan() -> None:
    x = np.random.default_rng(4).normal(size=(30, 4))
    loss = tail_quantile_loss(np.array([0.0, np.nan, 1.0, -1.0]), x, 0.1, 0)
    np.testing.assert_array_equal(np.isnan(loss), [False, True, False, False])


def test_errors_name_what_is_wrong() -> None:
    for bad in (-0.1, 1.1, np.nan):
        with pytest.raises(ParameterError, match=r"\[0, 1\]"):
            quantile_score(0.0, 0.0, bad)
        with pytest.raises(ParameterError, match=r"\[0, 1\]"):
            ensemble_quantile(np.ones(3), bad)
    with pytest.raises(ParameterError, match="one axis"):
        ensemble_quantile(np.ones(3), [[0.1]])
    with pytest.raises(ShapeError, match="no members"):
        ensemble_quantile(np.ones((3, 0)), 0.5)
    with pytest.raises(ShapeError, match=r"\(4,\)"):
        tail_quantile_loss(np.zeros(4), np.zeros((5, 9)), 0.5)
