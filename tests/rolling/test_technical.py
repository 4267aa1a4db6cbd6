"""True range, ATR and RSI: worked examples, definitions and laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fastpanel as fp
from fastpanel.errors import ParameterError, ShapeError

true_range, atr, rsi = fp.rolling.true_range, fp.rolling.atr, fp.rolling.rsi


def bars(gaps: float = 0.0, shape: tuple[int, int] = (200, 11)) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(40)
    close = 100 * np.exp(np.cumsum(0.02 * rng.normal(size=shape), axis=0))
    high, low = close * (1 + 0.02 * rng.random(shape)), close * (1 - 0.02 * rng.random(shape))
    missing = rng.random(shape) < gaps
    return tuple(np.where(missing, np.nan, v) for v in (high, low, close))


def wilder(values: np.ndarray, n: int) -> np.ndarray:
    """Mean of the first n, then (n - 1) parts old and one part new; missing rows are skipped."""
    out = np.full(values.shape, np.nan)
    for c in range(values.shape[1]):
        seen: list[float] = []
        mean = np.nan
        for t, v in enumerate(values[:, c]):
            if np.isnan(v):
                continue
            seen.append(v)
            if len(seen) == n:
                mean = np.mean(seen)
            elif len(seen) > n:
                mean = ((n - 1) * mean + v) / n
            out[t, c] = mean
    return out


@pytest.mark.parametrize("gaps", [0.0, 0.1])
def test_true_range_is_the_widest_of_three(gaps, level):
    high, low, close = bars(gaps)
    before = np.vstack([np.full((1, close.shape[1]), np.nan), close[:-1]])
    three = np.stack([high - low, np.abs(high - before), np.abs(low - before)])
    want = np.where(np.isnan(high), np.nan, np.fmax.reduce(three))
    np.testing.assert_allclose(true_range(high, low, close), want, rtol=1e-13)


@pytest.mark.parametrize("gaps", [0.0, 0.02])
@pytest.mark.parametrize("window", [1, 3, 14, 500])
def test_atr(gaps, window, level):
    high, low, close = bars(gaps)
    ranges = true_range(high, low, close)
    simple = pd.DataFrame(ranges).rolling(window).mean()
    np.testing.assert_allclose(atr(high, low, close, window), simple, rtol=1e-11)
    got = atr(high, low, close, window, "wilder")
    np.testing.assert_allclose(got, wilder(ranges, window), rtol=1e-12)


@pytest.mark.parametrize("gaps", [0.0, 0.02])
@pytest.mark.parametrize("window", [1, 4, 14, 500])
def test_rsi(gaps, window, level):
    _, _, close = bars(gaps)
    change = np.diff(close, axis=0, prepend=np.nan)
    gain, loss = np.maximum(change, 0), np.maximum(-change, 0)
    sums = [pd.DataFrame(v).rolling(window).sum().to_numpy() for v in (gain, loss)]
    np.testing.assert_allclose(
        rsi(close, window), 100 * sums[0] / (sums[0] + sums[1]), rtol=1e-9, atol=1e-9
    )
    means = [wilder(v, window) for v in (gain, loss)]
    np.testing.assert_allclose(
        rsi(close, window, "wilder"), 100 * means[0] / (means[0] + means[1]), rtol=1e-10
    )


def test_worked_examples():
    assert rsi([100.0, 102, 101, 103, 102], 4)[-1] - 50 == pytest.approx(16.6666667, abs=5e-8)
    close = np.arange(1.0, 2001)
    spread = (
        fp.rolling.ewm_mean(close, span=4, adjust=False)
        - fp.rolling.ewm_mean(close, span=26, adjust=False)
    ) / (atr(close + 1, close - 1, close, 26) + 1e-6)
    assert spread[-1] == pytest.approx(5.49999725, abs=5e-9)


@pytest.mark.parametrize("method", ["simple", "wilder"])
def test_rsi_at_its_limits(method):
    up = np.arange(1.0, 30)
    assert np.isnan(rsi(up, 5, method)[:5]).all()
    np.testing.assert_array_equal(rsi(up, 5, method)[5:], 100.0)
    np.testing.assert_array_equal(rsi(-up, 5, method)[5:], 0.0)
    np.testing.assert_array_equal(rsi(np.full(30, 0.1), 5, method)[5:], 50.0)


@pytest.mark.parametrize("method", ["simple", "wilder"])
def test_first_rows(method):
    high, low, close = bars()
    first = np.isnan(atr(high, low, close, 14, method)).sum(axis=0)
    np.testing.assert_array_equal(first, 13)
    np.testing.assert_array_equal(np.isnan(rsi(close, 14, method)).sum(axis=0), 14)


def test_an_asset_that_starts_late_begins_with_its_own_range():
    high, low, close = (v[:, :1].copy() for v in bars())
    for v in (high, low, close):
        v[:20] = np.nan
    assert true_range(high, low, close)[20] == high[20] - low[20]
    np.testing.assert_allclose(
        atr(high, low, close, 5)[20:], atr(high[20:], low[20:], close[20:], 5), rtol=1e-14
    )


@pytest.mark.parametrize("method", ["simple", "wilder"])
def test_later_rows_and_threads_change_no_bit(method, threads):
    high, low, close = bars(0.02, (2000, 130))
    for run in (
        lambda n: atr(high[:n], low[:n], close[:n], 14, method),
        lambda n: rsi(close[:n], 14, method),
        lambda n: true_range(high[:n], low[:n], close[:n]),
    ):
        whole = run(2000)
        for cut in (1, 14, 15, 500):
            np.testing.assert_array_equal(run(cut), whole[:cut])
        fp.set_num_threads(1)
        np.testing.assert_array_equal(run(2000), whole)
        fp.set_num_threads(threads)


@pytest.mark.parametrize("intruder", [np.nan, np.inf, 1e9])
def test_what_has_left_leaves_no_trace(intruder):
    high, low, close = bars()
    clean = atr(high, low, close, 14), rsi(close, 14)
    for v in (high, low, close):
        v[30] = intruder
    np.testing.assert_allclose(atr(high, low, close, 14)[45:], clean[0][45:], rtol=1e-12)
    np.testing.assert_allclose(rsi(close, 14)[45:], clean[1][45:], rtol=1e-12)


def test_any_axis():
    high, low, close = bars()
    want = atr(high, low, close, 14)
    np.testing.assert_array_equal(atr(high.T, low.T, close.T, 14, axis=1), want.T)
    np.testing.assert_array_equal(rsi(close.T, 14, axis=1), rsi(close, 14).T)


def test_wrong_input():
    with pytest.raises(ShapeError, match=r"one shape.*high.*\(4, 2\).*close.*\(5, 2\)"):
        true_range(np.zeros((4, 2)), np.zeros((4, 2)), np.zeros((5, 2)))
    with pytest.raises(ParameterError, match="method must be 'simple' or 'wilder', got 'ema'"):
        rsi(np.zeros(4), 2, "ema")
    with pytest.raises(ParameterError, match="window"):
        atr(np.zeros(4), np.zeros(4), np.zeros(4), 0)
