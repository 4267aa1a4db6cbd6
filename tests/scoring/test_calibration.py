"""PIT and coverage."""

from __future__ import annotations

import numpy as np
import pytest

from fastpanel.errors import ParameterError, ShapeError
from fastpanel.scoring import coverage, pit


def test_pit_counts_ties_half() -> None:
    samples = np.array([1.0, 2.0, 2.0, 4.0])
    assert pit(2.0, samples) == (1 + 0.5 * 2) / 4
    assert [pit(v, samples) for v in (0.0, 3.0, 9.0)] == [0.0, 0.75, 1.0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pit_in_any_layout(axis: int) -> None:
    rng = np.random.default_rng(0)
    y, x = rng.integers(0, 5, size=(6, 11)).astype(float), rng.integers(0, 5, size=(6, 11, 40))
    want = ((x < y[..., None]) + 0.5 * (x == y[..., None])).mean(axis=-1)
    fct = np.ascontiguousarray(np.moveaxis(x.astype(float), -1, axis))
    np.testing.assert_allclose(pit(y, fct, axis), want, rtol=1e-15)


def test_pit_is_uniform_if_calibrated_and_not_if_narrow() -> None:
    rng = np.random.default_rng(1)
    y, x = rng.normal(size=20_000), rng.normal(size=(99, 20_000))
    density = np.histogram(pit(y, x, 0), bins=20, range=(0, 1), density=True)[0]
    assert density.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(density, 1.0, atol=0.15)
    narrow = np.histogram(pit(y, 0.5 * x, 0), bins=20, range=(0, 1), density=True)[0]
    assert narrow[0] > 2 and narrow[-1] > 2


def test_pit_of_missing_values() -> None:
    x = np.random.default_rng(2).normal(size=(4, 10))
    x[1, 3] = np.nan
    got = pit(np.array([0.0, 0.0, np.nan, 0.0]), x)
    np.testing.assert_array_equal(np.isnan(got), [False, True, True, False])


def test_coverage_is_of_closed_intervals() -> None:
    samples = np.tile(np.arange(11.0), (4, 1))  # quantile q is 10 q
    y = np.array([1.0, 5.0, 9.0, 10.0])
    np.testing.assert_array_equal(coverage(y, samples, [0.8, 1.0]), [0.75, 1.0])
    assert coverage(y, samples, 0.8) == 0.75
    assert coverage(5.0, np.arange(11.0), 0.5) == 1.0


def test_coverage_over_time() -> None:
    rng = np.random.default_rng(3)
    y, x = rng.normal(size=(5, 4)), rng.normal(size=(200, 5, 4))
    y[2] = np.quantile(x[:, 2], [0.5, 0.4, 0.6, 1.0], axis=0).diagonal()  # 3 of 4 inside 80 %
    weekly = coverage(y, x, [0.5, 0.8], 0, axis=-1)
    assert weekly.shape == (2, 5)
    assert weekly[1, 2] == 0.75
    np.testing.assert_allclose(weekly.mean(axis=1), coverage(y, x, [0.5, 0.8], 0))
    by_asset = coverage(y, x, [0.5, 0.8], 0, axis=0)
    np.testing.assert_array_equal(by_asset, coverage(y, x, [0.5, 0.8], 0, axis=-2))
    assert by_asset.shape == (2, 4)
    np.testing.assert_array_equal(coverage(y, x, 0.8, 0, axis=(0, 1)), coverage(y, x, 0.8, 0))


def test_coverage_leaves_missing_truth_out() -> None:
    samples = np.tile(np.arange(11.0), (3, 1))
    assert coverage(np.array([5.0, np.nan, 0.0]), samples, 0.8) == 0.5
    assert np.isnan(coverage(np.full(3, np.nan), samples, 0.8))
    samples[2, 4] = np.nan
    assert np.isnan(coverage(np.array([5.0, np.nan, 0.0]), samples, 0.8))
    assert coverage(np.array([5.0, 0.0, np.nan]), samples, 0.8) == 0.5


def test_nominal_coverage_is_met_if_calibrated() -> None:
    rng = np.random.default_rng(4)
    y, x = rng.normal(size=20_000), rng.normal(size=(400, 20_000))
    levels = [0.5, 0.8, 0.95]
    np.testing.assert_allclose(coverage(y, x, levels, 0), levels, atol=0.015)


def test_errors_name_what_is_wrong() -> None:
    for bad in (1.2, [-0.1], [[0.5]]):
        with pytest.raises(ParameterError, match="levels"):
            coverage(np.zeros(3), np.zeros((3, 5)), bad)
    with pytest.raises(ShapeError, match=r"\(3, 5\)"):
        coverage(np.zeros(4), np.zeros((3, 5)), 0.5)
    with pytest.raises(ShapeError, match=r"\(3, 5\)"):
        pit(np.zeros(4), np.zeros((3, 5)))


def test_coverage_of_one_forecast_for_many_truths() -> None:
    members = np.arange(11.0)
    truth = np.array([5.0, 9.5])
    np.testing.assert_array_equal(coverage(truth, members, [0.8, 1.0]), [0.5, 1.0])
    table = np.array([[5.0, 9.5, 5.0], [20.0, 5.0, 0.5]])
    np.testing.assert_allclose(coverage(table, members, [0.8, 1.0]), [3 / 6, 5 / 6])
