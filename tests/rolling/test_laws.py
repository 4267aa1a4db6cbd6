"""What holds for every rolling function: references, prefixes, traces, threads, levels, shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

import fastpanel as fp
from fastpanel.errors import ParameterError, ShapeError

rolling = fp.rolling


def median(w: np.ndarray) -> float:
    return float(np.median(w))


def skew(w: np.ndarray) -> float:
    n, d = len(w), (w - w.mean()).astype(np.longdouble)
    if n < 3 or np.ptp(w) == 0:
        return np.nan
    return float(np.sqrt(n * (n - 1.0)) / (n - 2) * (d**3).mean() / (d**2).mean() ** 1.5)


def kurt(w: np.ndarray) -> float:
    n, d = len(w), (w - w.mean()).astype(np.longdouble)
    if n < 4 or np.ptp(w) == 0:
        return np.nan
    ratio = (d**4).mean() / (d**2).mean() ** 2
    return float((n - 1) / ((n - 2.0) * (n - 3)) * ((n + 1) * ratio - 3 * (n - 1)))


def var(w: np.ndarray) -> float:
    return float(w.astype(np.longdouble).var(ddof=1)) if len(w) > 1 else np.nan


def rank(w: np.ndarray) -> float:
    return ((w < w[-1]).sum() + ((w == w[-1]).sum() + 1) / 2) / len(w)


def semideviation(w: np.ndarray) -> float:
    side = w[w < 0]
    return float(np.sqrt((side.astype(np.longdouble) ** 2).mean())) if len(side) > 1 else np.nan


@dataclass(frozen=True)
class Case:
    """A function, and what it is for the values of one window."""

    run: Callable[..., np.ndarray]
    of: Callable[[np.ndarray], float]
    exact: bool = False


CASES = {
    "sum": Case(rolling.sum, lambda w: float(w.sum())),
    "mean": Case(rolling.mean, lambda w: float(w.mean())),
    "var": Case(rolling.var, var),
    "std": Case(rolling.std, lambda w: np.sqrt(var(w))),
    "min": Case(rolling.min, lambda w: float(w.min()), exact=True),
    "max": Case(rolling.max, lambda w: float(w.max()), exact=True),
    "skew": Case(rolling.skew, skew),
    "kurt": Case(rolling.kurt, kurt),
    "median": Case(rolling.median, median, exact=True),
    "mad": Case(rolling.mad, lambda w: median(np.abs(w - median(w))), exact=True),
    "quantile": Case(
        lambda x, window, **kw: rolling.quantile(x, window, 0.3, **kw),
        lambda w: float(np.quantile(w, 0.3)),
    ),
    "rank": Case(rolling.rank, rank, exact=True),
    "semideviation": Case(rolling.semideviation, semideviation),
    "semideviation up": Case(
        lambda x, window, **kw: rolling.semideviation(x, window, "up", **kw),
        lambda w: semideviation(-w),
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def naive(case: Case, x: np.ndarray, window: int, min_periods: int) -> np.ndarray:
    out = np.full(x.shape, np.nan)
    for t, c in np.ndindex(x.shape):
        w = x[max(0, t + 1 - window) : t + 1, c]
        present = w[~np.isnan(w)]
        missing = case.run is rolling.rank and np.isnan(w[-1])
        if len(present) >= min_periods and not missing:
            out[t, c] = case.of(present)
    return out


def holes(x: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    return np.where(rng.random(x.shape) < share, np.nan, x)


@every_case
@pytest.mark.parametrize("shape", [(60, 1), (60, 8), (61, 11), (40, 70), (3, 5), (1, 1), (0, 4)])
@pytest.mark.parametrize(("window", "needed"), [(1, 1), (5, 5), (5, 1), (16, 7), (200, 2)])
def test_agrees_with_the_definition(case, shape, window, needed, level):
    rng = np.random.default_rng(7)
    x = holes(np.round(rng.normal(size=shape), 1), rng, 0.2)
    if shape[1] > 4:
        x[:, 3] = np.nan
        x[: shape[0] // 2, 4] = np.nan
    got = case.run(x, window, min_periods=needed)
    want = naive(case, x, window, needed)
    if case.exact:
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("window", [100, 171, 400])
@pytest.mark.parametrize("digits", [0, 9])
def test_order_statistics_of_long_windows(window, digits, level, threads):
    rng = np.random.default_rng(15)
    x = holes(np.round(rng.normal(size=(900, 11)), digits), rng, 0.05)
    x[300:330, 2] = [1.0, np.nextafter(1.0, 2.0), np.inf] * 10
    x[:, 5] = np.nan
    frame = pd.DataFrame(x).rolling(window, min_periods=100)
    got = rolling.median(x, window, min_periods=100)
    np.testing.assert_array_equal(got[:, 3:], frame.median().to_numpy()[:, 3:])
    want = naive(CASES["median"], x[:, 2:3], window, 100)
    np.testing.assert_array_equal(got[:, 2:3], want)
    low = rolling.quantile(x, window, 0.05, min_periods=100)
    want = frame.quantile(0.05).to_numpy()[:, 3:]
    np.testing.assert_allclose(low[:, 3:], want, rtol=1e-13, atol=1e-15)
    for cut in (1, window, window + 1, 600):
        part = rolling.median(x[:cut], window, min_periods=100)
        np.testing.assert_array_equal(part, got[:cut])
        part = rolling.median(x[cut:], window, min_periods=100)[window:]
        np.testing.assert_array_equal(part, got[cut + window :])


@every_case
@pytest.mark.parametrize("needed", [3, 8])
def test_one_hole_in_a_whole_table(case, needed, level):
    x = np.random.default_rng(16).normal(size=(34, 34))
    x[np.arange(34), np.arange(34)] = np.nan  # column c misses row c alone
    got = case.run(x, 8, min_periods=needed)
    np.testing.assert_allclose(got, naive(case, x, 8, needed), rtol=1e-11, atol=1e-13)


@every_case
def test_neighbours_change_no_bit(case, level):
    rng = np.random.default_rng(17)
    x = rng.normal(size=(100, 21))
    alone = np.hstack([case.run(x[:, [c]], 12, min_periods=5) for c in range(21)])
    np.testing.assert_array_equal(case.run(x, 12, min_periods=5), alone)
    x[:, ::2] = holes(x[:, ::2], rng, 0.2)
    together = case.run(x, 12, min_periods=5)
    np.testing.assert_array_equal(together[:, 1::2], alone[:, 1::2])


@every_case
def test_later_rows_change_no_bit(case):
    rng = np.random.default_rng(8)
    x = holes(rng.normal(size=(150, 19)), rng, 0.3)
    x[100:] = 1e15
    whole = case.run(x, 20, min_periods=2)
    for cut in (1, 19, 20, 21, 55, 100, 149):
        np.testing.assert_array_equal(case.run(x[:cut], 20, min_periods=2), whole[:cut])


@every_case
def test_earlier_rows_change_rounding_only(case):
    rng = np.random.default_rng(9)
    x = holes(rng.normal(size=(150, 9)), rng, 0.1)
    whole = case.run(x, 20, min_periods=4)
    for cut in (1, 7, 20, 33):
        part = case.run(x[cut:], 20, min_periods=4)[20:]
        np.testing.assert_allclose(part, whole[cut + 20 :], rtol=1e-13, atol=1e-13)


@every_case
@pytest.mark.parametrize("intruder", [np.nan, np.inf, -np.inf, 1e9, -1e9, 1e150])
@pytest.mark.parametrize("at", [19, 20, 21, 30, 39])
@pytest.mark.parametrize("gap", [False, True])
def test_what_has_left_leaves_no_trace(case, intruder, at, gap):
    rng = np.random.default_rng(10)
    x = rng.normal(size=(100, 9))
    if gap:  # the next rows are missing: the intruder is the last known value for a while
        x[at + 1 : at + 8] = np.nan
    clean = case.run(x, 20, min_periods=4)
    x[at] = intruder
    after = case.run(x, 20, min_periods=4)
    np.testing.assert_array_equal(after[:at], clean[:at])
    np.testing.assert_allclose(after[at + 20 :], clean[at + 20 :], rtol=1e-12, atol=1e-13)


@every_case
def test_threads_change_no_bit(case, threads):
    rng = np.random.default_rng(11)
    x = holes(rng.normal(size=(3000, 150)), rng, 0.05)
    many = case.run(x, 30, min_periods=3)
    fp.set_num_threads(1)
    np.testing.assert_array_equal(many, case.run(x, 30, min_periods=3))


@every_case
@given(
    x=hnp.arrays(
        np.float64,
        st.tuples(st.integers(0, 40), st.integers(1, 10)),
        elements=st.one_of(
            st.floats(-1e6, 1e6).map(lambda v: round(v, 6)),  # squares stay in range
            st.just(np.nan),
            st.sampled_from([0.0, 1.0]),
        ),
    ),
    window=st.integers(1, 45),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_agrees_on_anything(case, x, window, data):
    needed = data.draw(st.integers(1, window))
    got = case.run(x, window, min_periods=needed)
    want = naive(case, x, window, needed)
    np.testing.assert_array_equal(np.isnan(got) | np.isnan(want), np.isnan(want))
    scale = np.nanmax(np.abs(x), initial=1.0)
    if case.exact:
        np.testing.assert_array_equal(got, want)
    elif case.run not in (rolling.skew, rolling.kurt):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12 * scale**2)


@pytest.mark.parametrize("case", [c for name, c in CASES.items() if "semi" not in name])
@pytest.mark.parametrize("value", [0.1, -1e6 / 3, 1e-200, 0.0])
def test_a_constant_window_makes_no_noise(case, value):
    x = np.full((50, 3), value)
    x[:7] = 5.0
    got = case.run(x, 10)[17:]
    if case.run in (rolling.var, rolling.std, rolling.mad):
        np.testing.assert_array_equal(got, 0.0)
    elif case.run in (rolling.skew, rolling.kurt):
        assert np.isnan(got).all()
    elif case.run is rolling.rank:
        np.testing.assert_array_equal(got, 0.55)
    elif case.run is not rolling.sum:
        np.testing.assert_array_equal(got, value)


@pytest.mark.parametrize("window", [20, 252])
def test_std_keeps_its_digits_at_a_high_level(window, level):
    rng = np.random.default_rng(12)
    x = 1e6 + rng.normal(scale=1e-3, size=(600, 9))
    windows = np.lib.stride_tricks.sliding_window_view(x, window, axis=0).astype(np.longdouble)
    want = windows.std(axis=-1, ddof=1).astype(np.float64)
    np.testing.assert_allclose(rolling.std(x, window)[window - 1 :], want, rtol=1e-12)


@every_case
def test_any_shape_axis_and_stride(case):
    rng = np.random.default_rng(13)
    x = rng.normal(size=(30, 4, 3))
    want = case.run(x.reshape(30, 12), 6).reshape(x.shape)
    np.testing.assert_array_equal(case.run(x, 6), want)
    np.testing.assert_array_equal(case.run(x[:, 0, 0], 6), want[:, 0, 0])
    np.testing.assert_array_equal(
        case.run(np.moveaxis(x, 0, -1), 6, axis=-1), np.moveaxis(want, 0, -1)
    )
    np.testing.assert_array_equal(case.run(np.asfortranarray(x), 6), want)
    np.testing.assert_array_equal(case.run(x[::-1, ::2], 6), case.run(x[::-1, ::2].copy(), 6))
    x.flags.writeable = False
    got = case.run(x, 6)
    assert got.flags.c_contiguous
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, want)


@every_case
def test_other_dtypes_are_read_as_float64(case):
    x = np.random.default_rng(14).integers(-5, 5, size=(40, 3))
    want = case.run(x.astype(np.float64), 7)
    np.testing.assert_array_equal(case.run(x, 7), want)
    np.testing.assert_array_equal(case.run(x.astype(np.float32), 7), want)


@every_case
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 0}, "window must be a whole number of at least 1, got 0"),
        ({"window": -3}, "window"),
        ({"window": 2.5}, "window .*2.5"),
        ({"window": True}, "window"),
        ({"window": 3, "min_periods": 4}, "min_periods must be at most window = 3, got 4"),
        ({"window": 3, "min_periods": 0}, "min_periods .* at least 1"),
    ],
)
def test_refuses_a_wrong_window(case, arguments, message):
    with pytest.raises(ParameterError, match=message):
        case.run(np.zeros((4, 2)), **arguments)


@every_case
def test_refuses_what_is_no_table_of_numbers(case):
    with pytest.raises(ParameterError, match="real numbers"):
        case.run(np.array(["a", "b"]), 2)
    with pytest.raises(ShapeError, match="no axis 2"):
        case.run(np.zeros((4, 2)), 2, axis=2)
    with pytest.raises(ShapeError, match="no axis 0"):
        case.run(np.float64(3.0), 1)


def test_refuses_a_wrong_quantile_and_ddof():
    with pytest.raises(ParameterError, match=r"q must lie between 0 and 1, got 1\.5"):
        rolling.quantile(np.zeros(4), 2, 1.5)
    with pytest.raises(ParameterError, match="q must"):
        rolling.quantile(np.zeros(4), 2, np.nan)
    with pytest.raises(ParameterError, match="ddof"):
        rolling.std(np.zeros(4), 2, ddof=-1)
