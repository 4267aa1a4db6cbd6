"""Overfitting against another library, literals, and searches whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.portfolio import effective_trials, overfitting


@pytest.fixture(scope="module")
def search():
    rng = np.random.default_rng(3)
    return 0.02 * (np.linspace(0.0, 0.15, 7) + rng.standard_normal((163, 7)))


@pytest.mark.parametrize("n_blocks", [4, 8])
def test_equals_purgedcv(search, n_blocks):
    purgedcv = pytest.importorskip("purgedcv")
    theirs = purgedcv.probability_of_backtest_overfitting(search.T, n_blocks)
    ours = overfitting(search, n_blocks=n_blocks)
    assert ours.pbo == theirs.pbo
    np.testing.assert_allclose(np.sort(ours.logits), np.sort(theirs.logits), rtol=1e-12)
    assert ours.slope == pytest.approx(theirs.slope, rel=1e-9)
    assert ours.n_divisions == theirs.n_combos


def test_mean_measure_equals_purgedcv(search):
    purgedcv = pytest.importorskip("purgedcv")
    theirs = purgedcv.probability_of_backtest_overfitting(search.T, 6, metric=np.mean)
    assert overfitting(search, n_blocks=6, measure="mean").pbo == theirs.pbo


def test_two_blocks_by_hand():
    # first half: A is best, second half: A is worst; and the other way round for C
    path = np.array([[3.0, 2.0, 1.0]] * 2 + [[1.0, 2.0, 3.0]] * 2)
    result = overfitting(path, n_blocks=2, measure="mean")
    assert result.pbo == 1.0
    np.testing.assert_allclose(result.logits, np.log((1 / 4) / (3 / 4)))


def test_skill_is_found_and_noise_is_not():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((600, 10))
    assert overfitting(noise + np.arange(10) * 0.2).pbo == 0.0
    assert overfitting(noise).pbo > 0.3


def test_paths_are_pooled(search):
    both = overfitting([search, -search], n_blocks=4)
    one, other = overfitting(search, n_blocks=4), overfitting(-search, n_blocks=4)
    assert both.n_paths == 2
    assert both.pbo == (one.pbo + other.pbo) / 2


def test_missing_periods_leave_and_a_constant_has_no_sharpe(search):
    holed = np.insert(search, 5, np.nan, axis=0)
    assert overfitting(holed, n_blocks=4).pbo == overfitting(search, n_blocks=4).pbo
    flat = np.column_stack([np.full(len(search), 0.5), search])  # would win every half otherwise
    assert overfitting(flat, n_blocks=4).slope == overfitting(search, n_blocks=4).slope


def test_bad_input(search):
    with pytest.raises(ParameterError, match="even"):
        overfitting(search, n_blocks=5)
    with pytest.raises(ShapeError, match="at least 2"):
        overfitting(search[:, :1])
    with pytest.raises(DataError, match="15 complete periods"):
        overfitting(search[:15])


def test_effective_trials():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((50, 1))
    assert effective_trials(np.tile(x, 6)) == pytest.approx(1.0)
    independent = np.linalg.qr(rng.standard_normal((50, 6)) - 0.0)[0]
    independent -= independent.mean(axis=0)
    corr = np.corrcoef(independent, rowvar=False)
    values = np.linalg.eigvalsh(corr)
    assert effective_trials(independent) == pytest.approx(values.sum() ** 2 / (values**2).sum())
    assert effective_trials(np.column_stack([x, np.zeros(50)])) == 1.0
    assert 2.9 < effective_trials(rng.standard_normal((5000, 3))) <= 3.0
