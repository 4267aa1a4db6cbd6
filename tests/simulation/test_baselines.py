from __future__ import annotations

import numpy as np
import pytest

import fastpanel as fp
from fastpanel.simulation import climatology, ewma_volatility
from fastpanel.simulation._baselines import BASELINES
from fastpanel.simulation._compare import newey_west_se


def test_climatology_draws_whole_weeks():
    y = np.arange(12.0).reshape(6, 2)
    samples = climatology(y, 500, np.random.default_rng(0))
    assert {tuple(row) for row in samples} == {tuple(row) for row in y}


def test_climatology_fills_missing_entries_from_the_same_asset():
    y = np.array([[1.0, np.nan, np.nan], [2.0, 5.0, np.nan]])
    samples = climatology(y, 100, np.random.default_rng(0))
    assert set(samples[:, 0]) == {1.0, 2.0}
    assert set(samples[:, 1]) == {5.0}
    assert np.isnan(samples[:, 2]).all()


def test_ewma_volatility_by_hand():
    y = np.array([[0.03], [0.01]])
    expected = np.sqrt((0.94 * 0.03**2 + 0.01**2) / 1.94)
    samples = ewma_volatility(y, 200_000, np.random.default_rng(0))
    assert samples.std() == pytest.approx(expected, rel=0.01)
    assert abs(samples.mean()) < 0.001


def test_ewma_volatility_keeps_the_training_correlation():
    rng = np.random.default_rng(3)
    common = rng.standard_normal((400, 1))
    y = common * [1.0, 2.0, -1.0] + 0.5 * rng.standard_normal((400, 3))
    samples = ewma_volatility(y, 100_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.corrcoef(samples.T), np.corrcoef(y.T), atol=0.02)


def test_ewma_volatility_with_ragged_histories_is_a_valid_draw():
    rng = np.random.default_rng(3)
    y = rng.standard_normal((60, 5))
    y[:50, 1], y[:, 4], y[::3, 2] = np.nan, np.nan, np.nan
    samples = ewma_volatility(y, 100, rng)
    assert np.isfinite(samples[:, :4]).all()
    assert np.isnan(samples[:, 4]).all()


def test_newey_west_equals_the_plain_error_for_white_noise_and_exceeds_it_for_a_walk():
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(5000)
    assert newey_west_se(noise) == pytest.approx(1 / np.sqrt(5000), rel=0.1)
    smooth = np.convolve(noise, np.ones(5), "valid")
    assert newey_west_se(smooth) > 1.5 * smooth.std() / np.sqrt(len(smooth))


def test_newey_west_by_hand():
    x = np.array([1.0, 2.0, 4.0, 1.0])  # n = 4 gives floor(4 * 0.04 ** (2 / 9)) = 1 lag
    e = x - 2.0
    variance = (e @ e + 2 * 0.5 * (e[1:] @ e[:-1])) / 4
    assert newey_west_se(x) == pytest.approx(np.sqrt(variance / 4))


def test_a_baseline_knows_what_the_model_knows_that_week(config, panel, monkeypatch):
    seen, streams = [], set()

    def spy(y_train, draws, rng):
        seen.append(y_train)
        streams.add(int(rng.integers(2**62)))
        return np.zeros((draws, y_train.shape[1]))

    monkeypatch.setitem(BASELINES, "climatology", spy)
    config["outer"] = {"test_groups": [2, 3]}
    config["diagnostics"] = {"fan_charts": {"enable": False}}
    result = fp.simulation.run(config, panel=panel, progress=False)
    rows = np.concatenate([fold.rows for fold in result.outer])
    assert len(rows) == len(streams) == 28  # two groups of 14 weeks, each week its own draws
    for row, y_train in zip(rows, seen, strict=True):
        np.testing.assert_array_equal(y_train, result.dataset.y[:row])  # y[row] is earned after it
