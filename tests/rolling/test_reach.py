"""Donchian channel, drawdown and semideviation: worked examples, definitions and laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fastpanel as fp
from fastpanel.errors import ParameterError, ShapeError

donchian, drawdown = fp.rolling.donchian, fp.rolling.drawdown
semideviation = fp.rolling.semideviation


def prices(gaps: float = 0.0, shape: tuple[int, int] = (200, 11)) -> np.ndarray:
    rng = np.random.default_rng(41)
    close = 100 * np.exp(np.cumsum(0.02 * rng.normal(size=shape), axis=0))
    return np.where(rng.random(shape) < gaps, np.nan, close)


@pytest.mark.parametrize("gaps", [0.0, 0.1])
@pytest.mark.parametrize(("window", "needed"), [(1, 1), (4, None), (20, 5), (500, 1)])
def test_donchian_is_the_extremes(gaps, window, needed, level):
    low = prices(gaps)
    high = low * 1.03
    upper, lower = donchian(high, low, window, min_periods=needed)
    roll = {"window": window, "min_periods": needed}
    np.testing.assert_array_equal(upper, pd.DataFrame(high).rolling(**roll).max())
    np.testing.assert_array_equal(lower, pd.DataFrame(low).rolling(**roll).min())


@pytest.mark.parametrize("gaps", [0.0, 0.1])
@pytest.mark.parametrize(("window", "needed"), [(None, None), (None, 7), (21, None), (63, 5)])
def test_drawdown_is_the_drop_from_the_top(gaps, window, needed, level):
    close = prices(gaps)
    want = np.full(close.shape, np.nan)
    for t, c in np.ndindex(close.shape):
        w = close[0 if window is None else max(0, t + 1 - window) : t + 1, c]
        known = w[~np.isnan(w)]
        enough = len(known) >= (needed or (1 if window is None else window))
        if enough and not np.isnan(w[-1]):
            want[t, c] = w[-1] / known.max() - 1
    got = drawdown(close, window, min_periods=needed)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)


def test_drawdown_worked_example():
    assert drawdown([100.0, 120.0, 90.0], 3)[-1] == -0.25
    np.testing.assert_array_equal(drawdown(prices())[0], 0.0)
    assert np.nanmax(drawdown(prices(0.1), 5, min_periods=1)) == 0.0


def test_semideviation_worked_example():
    x = np.repeat([-0.02, 0.01], [5, 15])
    assert semideviation(x, 20, "down")[-1] == pytest.approx(0.02, rel=1e-15)
    assert semideviation(x, 20, "up")[-1] == pytest.approx(0.01, rel=1e-15)
    # one value has no spread, zero is on neither side
    assert np.isnan(semideviation([-1.0, 0.0, 0.0], 3)[-1])
    assert semideviation([-3.0, 0.0, -4.0], 3)[-1] == pytest.approx(np.sqrt(12.5), rel=1e-15)


@pytest.mark.parametrize("run", [drawdown, lambda x: drawdown(x, 21), lambda x: donchian(x, x, 9)])
def test_later_rows_and_threads_change_no_bit(run, threads):
    close = prices(0.02, (2000, 130))
    whole = np.atleast_3d(np.array(run(close)))
    for cut in (1, 20, 21, 500):
        later = close.copy()
        later[cut:] = 1e15
        part = np.atleast_3d(np.array(run(close[:cut])))
        planted = np.atleast_3d(np.array(run(later)))
        rows = slice(None, cut)
        axis = 1 if whole.shape[0] == 2 else 0
        for other in (part, planted):
            np.testing.assert_array_equal(
                np.moveaxis(other, axis, 0)[rows], np.moveaxis(whole, axis, 0)[rows]
            )
    fp.set_num_threads(1)
    np.testing.assert_array_equal(np.atleast_3d(np.array(run(close))), whole)


def test_any_axis():
    close = prices()
    np.testing.assert_array_equal(drawdown(close.T, 9, axis=1), drawdown(close, 9).T)
    np.testing.assert_array_equal(drawdown(close.T, axis=-1), drawdown(close).T)
    turned_back = zip(donchian(close.T, close.T, 9, axis=1), donchian(close, close, 9), strict=True)
    for turned, want in turned_back:
        np.testing.assert_array_equal(turned, want.T)


def test_wrong_input():
    with pytest.raises(ShapeError, match=r"high and low must have one shape.*\(4, 2\).*\(5, 2\)"):
        donchian(np.zeros((4, 2)), np.zeros((5, 2)), 2)
    with pytest.raises(ParameterError, match="side must be 'down' or 'up', got 'both'"):
        semideviation([1.0], 1, "both")
    with pytest.raises(ParameterError, match="min_periods must be at most window = 2, got 3"):
        drawdown([1.0], 2, min_periods=3)
    with pytest.raises(ParameterError, match="min_periods must be a whole number of at least 1"):
        drawdown([1.0], min_periods=0)
    with pytest.raises(ShapeError, match="close of shape"):
        drawdown([1.0], axis=1)
