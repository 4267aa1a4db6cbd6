"""EWM mean and deviation against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fastpanel as fp
from fastpanel.errors import ParameterError

ewm_mean, ewm_std = fp.rolling.ewm_mean, fp.rolling.ewm_std
decays = pytest.mark.parametrize(
    "decay",
    [
        {"span": 1},
        {"span": 10},
        {"halflife": 3.5},
        {"halflife": 0.2},
        {"alpha": 0.05},
        {"alpha": 1},
    ],
    ids=str,
)


def panel(gaps: float) -> np.ndarray:
    rng = np.random.default_rng(20)
    x = 100 + rng.normal(size=(400, 19))
    x[rng.random(x.shape) < gaps] = np.nan
    x[:50, 3] = np.nan
    x[:, 4] = np.nan
    return x


@decays
@pytest.mark.parametrize("gaps", [0.0, 0.2])
@pytest.mark.parametrize("adjust", [True, False])
@pytest.mark.parametrize("min_periods", [0, 1, 7])
def test_agrees_with_pandas(decay, gaps, adjust, min_periods, level):
    x = panel(gaps)
    ewm = pd.DataFrame(x).ewm(**decay, adjust=adjust, min_periods=min_periods)
    options = {**decay, "adjust": adjust, "min_periods": min_periods}
    np.testing.assert_allclose(ewm_mean(x, **options), ewm.mean(), rtol=1e-13)
    lone = np.cumsum(~np.isnan(x), axis=0) < 2  # pandas: NaN or 0, as its weights round
    for bias in (True, False):
        got = ewm_std(x, **options, bias=bias)
        want = ewm.std(bias=bias).to_numpy()
        if not bias:
            assert np.isnan(got[lone]).all()
            want = np.where(lone, np.nan, want)
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "run",
    [
        lambda x: ewm_mean(x, span=10, min_periods=3),
        lambda x: ewm_mean(x, span=10, adjust=False),
        lambda x: ewm_std(x, span=10),
        lambda x: ewm_std(x, span=10, adjust=False, bias=True),
        lambda x: fp.rolling.rsi(x, 5, "wilder"),
        lambda x: fp.rolling.atr(x + 1, x - 1, x, 5, "wilder"),
    ],
)
def test_neighbours_with_gaps_change_no_bit(run, level):
    rng = np.random.default_rng(22)
    x = 100 + rng.normal(size=(80, 21))
    alone = np.hstack([run(x[:, [c]]) for c in range(21)])
    np.testing.assert_array_equal(run(x), alone)
    x[rng.integers(80, size=11), np.arange(0, 21, 2)] = np.nan  # one hole in every other column
    with_gaps = np.hstack([run(x[:, [c]]) for c in range(21)])
    np.testing.assert_array_equal(run(x), with_gaps)
    np.testing.assert_array_equal(with_gaps[:, 1::2], alone[:, 1::2])


def test_worked_example():
    np.testing.assert_allclose(ewm_mean([1.0, 2.0, 4.0], alpha=0.5), [1.0, 5 / 3, 3.0], rtol=1e-15)
    p = 0.01 * np.arange(60)
    z = (p[-1] - ewm_mean(p, halflife=12)[-1]) / (ewm_std(p, halflife=12)[-1] + 1e-6)
    assert z == pytest.approx(1.09275953, abs=5e-9)


def test_keeps_its_digits_at_a_high_level():
    x = 1e6 + np.random.default_rng(21).normal(scale=1e-3, size=500)
    got = ewm_std(x, alpha=0.1)
    np.testing.assert_allclose(got, ewm_std(x - 1e6, alpha=0.1), rtol=1e-10)


def test_a_constant_has_no_deviation():
    x = np.full((50, 2), 0.1)
    np.testing.assert_array_equal(ewm_mean(x, span=5), x)
    np.testing.assert_array_equal(ewm_std(x, span=5)[1:], 0.0)


def test_an_infinity_counts_as_missing():
    x = np.random.default_rng(22).normal(size=(40, 2))
    x[7] = np.nan
    y = x.copy()
    y[7] = [np.inf, -np.inf]
    np.testing.assert_array_equal(ewm_mean(x, span=5), ewm_mean(y, span=5))
    np.testing.assert_array_equal(ewm_std(x, span=5), ewm_std(y, span=5))


@pytest.mark.parametrize("run", [ewm_mean, ewm_std])
def test_later_rows_and_threads_change_no_bit(run, threads):
    rng = np.random.default_rng(23)
    x = rng.normal(size=(3000, 200))
    x[rng.random(x.shape) < 0.05] = np.nan
    whole = run(x, halflife=20)
    for cut in (1, 63, 64, 65, 1000):
        np.testing.assert_array_equal(run(x[:cut], halflife=20), whole[:cut])
    fp.set_num_threads(1)
    np.testing.assert_array_equal(run(x, halflife=20), whole)


def test_any_axis():
    x = np.random.default_rng(24).normal(size=(4, 30, 3))
    got = ewm_mean(x, span=4, axis=1)
    np.testing.assert_array_equal(got[2, :, 1], ewm_mean(x[2, :, 1], span=4))


@pytest.mark.parametrize("run", [ewm_mean, ewm_std])
@pytest.mark.parametrize(
    ("decay", "message"),
    [
        ({}, "exactly one of span, halflife and alpha, got none"),
        ({"span": 3, "alpha": 0.1}, "exactly one"),
        ({"span": 0.5}, r"span must be finite and at least 1, got 0\.5"),
        ({"halflife": 0}, "halflife must be finite and above 0"),
        ({"halflife": np.inf}, "halflife"),
        ({"alpha": 0}, r"alpha must be finite and in \(0, 1\]"),
        ({"alpha": 1.01}, "alpha"),
        ({"alpha": np.nan}, "alpha"),
        ({"alpha": 0.5, "min_periods": -1}, "min_periods"),
    ],
)
def test_refuses_a_wrong_decay(run, decay, message):
    with pytest.raises(ParameterError, match=message):
        run(np.zeros(4), **decay)
