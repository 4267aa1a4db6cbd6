"""A user's reducer: compiled or plain, the same windows, clear errors."""

from __future__ import annotations

import subprocess
import sys

import numba
import numpy as np
import pytest

import fastpanel as fp
from fastpanel.errors import ParameterError

apply = fp.rolling.apply


@numba.njit
def mean(window):
    return window.mean()


@numba.njit
def median_distance(window):
    return np.median(np.abs(window - np.median(window)))


@numba.njit
def spread(window):
    return window.max() - window.min()


@numba.njit
def length(window):
    return len(window)


@numba.njit
def first_minus_last(window):
    return window[0] - window[-1]


def panel(gaps: float = 0.05, shape: tuple[int, ...] = (300, 13)) -> np.ndarray:
    rng = np.random.default_rng(50)
    return np.where(rng.random(shape) < gaps, np.nan, rng.normal(size=shape))


@pytest.mark.parametrize("needed", [None, 1, 12])
def test_twins_of_the_built_ins(needed, threads):
    x = panel()
    for func, built_in in ((mean, fp.rolling.mean), (median_distance, fp.rolling.mad)):
        got = apply(x, 20, func, min_periods=needed)
        want = built_in(x, 20, min_periods=needed)
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_the_window_holds_the_values_present_oldest_first():
    x = np.array([1.0, np.nan, 3.0, 4.0, np.nan, 8.0])
    np.testing.assert_array_equal(apply(x, 3, length, min_periods=1), [1, 1, 2, 2, 2, 2])
    np.testing.assert_array_equal(
        apply(x, 3, first_minus_last, min_periods=2), [np.nan, np.nan, -2, -1, -1, -4]
    )
    np.testing.assert_array_equal(apply(x, 2, length), [np.nan] * 3 + [2, np.nan, np.nan])


def test_a_plain_function_gives_the_same_and_a_hint():
    x = panel(shape=(40, 3))
    with pytest.warns(UserWarning, match=r"'py_spread'.*@numba\.njit"):
        got = apply(x, 7, py_spread, min_periods=3)
    np.testing.assert_array_equal(got, apply(x, 7, spread, min_periods=3))


def py_spread(window):
    return window.max() - window.min()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_plain_function_cannot_write_either():
    def clear(window):
        window[:] = 0
        return 0.0

    with pytest.raises(ValueError, match="read-only"):
        apply(np.zeros(4), 2, clear)


def test_declared_signatures_work_and_cannot_harm():
    @numba.njit("float64(float64[:])")
    def sort_in_place(window):
        window.sort()
        return window[0]

    x = panel()
    np.testing.assert_array_equal(
        apply(x, 9, sort_in_place, min_periods=2), fp.rolling.min(x, 9, min_periods=2)
    )


def test_a_declared_signature_that_does_not_fit():
    @numba.njit("float64(float64)")
    def scalar(x):
        return x

    with pytest.raises(ParameterError, match=r"none of the declared signatures of func 'scalar'"):
        apply(np.zeros(4), 2, scalar)


def test_a_compile_error_shows_the_users_line():
    @numba.njit
    def broken(window):
        return window.no_such_thing()  # the line to show

    with pytest.raises(ParameterError, match="'broken' does not compile") as caught:
        apply(np.zeros(4), 2, broken)
    assert "no_such_thing()  # the line to show" in str(caught.value)
    assert "test_apply.py" in str(caught.value)


def test_writing_into_the_window_is_a_compile_error():
    @numba.njit
    def clear(window):
        window[0] = 0.0
        return window[0]

    with pytest.raises(ParameterError, match="read-only: copy it before changing it"):
        apply(np.zeros(4), 2, clear)


def test_two_results_are_refused():
    @numba.njit
    def two(window):
        return window[0], window[1]

    with pytest.raises(ParameterError, match=r"'two' must return one real number"):
        apply(np.zeros(4), 2, two)


def test_an_error_inside_comes_through():
    @numba.njit
    def fails(window):
        if window[0] > 1:
            raise ValueError("too large")
        return window[0]

    with pytest.raises(ValueError, match="too large"):
        apply(np.arange(20.0).reshape(10, 2), 2, fails)


def test_shapes_and_bad_arguments(threads):
    x = panel(shape=(60, 2, 3))
    want = apply(x.reshape(60, 6), 5, spread).reshape(x.shape)
    np.testing.assert_array_equal(apply(x, 5, spread), want)
    np.testing.assert_array_equal(apply(x[:, 1, 1], 5, spread), want[:, 1, 1])
    np.testing.assert_array_equal(
        apply(np.moveaxis(x, 0, 2), 5, spread, axis=2), np.moveaxis(want, 0, 2)
    )
    assert apply(np.zeros((0, 3)), 5, spread).shape == (0, 3)
    assert apply(np.zeros((3, 0)), 5, spread).shape == (3, 0)
    with pytest.raises(ParameterError, match="func must be a function"):
        apply(x, 5, 3.0)
    with pytest.raises(ParameterError, match="min_periods"):
        apply(x, 5, spread, min_periods=6)


@pytest.mark.parametrize("shape", [(30,), (30, 1), (1, 30), (30, 4)])
def test_the_input_stays_as_it_is(shape):
    x = panel(0.3, shape)
    before = x.copy()
    apply(x, 3, spread, min_periods=1)
    np.testing.assert_array_equal(x, before)
    assert x.flags.writeable


def test_a_reducer_is_compiled_once():
    @numba.njit
    def fresh(window):
        return window.sum()

    x = panel()
    apply(x, 5, fresh)
    compiled = len(fresh.signatures)
    apply(x[:100], 9, fresh, min_periods=2)
    assert len(fresh.signatures) == compiled == 1


def test_importing_loads_no_compiler():
    code = (
        "import sys, fastpanel.rolling, fastpanel.cross_section;"
        "heavy = {'numba', 'pandas', 'scipy', 'polars', 'torch', 'jax'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
