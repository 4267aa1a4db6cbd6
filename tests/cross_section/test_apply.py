"""A user's reducer across rows."""

from __future__ import annotations

import numba
import numpy as np
import pytest

import fastpanel as fp
from fastpanel.errors import ParameterError, ShapeError

apply = fp.cross_section.apply


@numba.njit
def median_distance(row):
    return np.median(np.abs(row - np.median(row)))


@numba.njit
def last(row):
    return row[-1]


def panel(shape: tuple[int, ...] = (200, 15)) -> np.ndarray:
    rng = np.random.default_rng(70)
    x = np.where(rng.random(shape) < 0.1, np.nan, rng.normal(size=shape))
    x[3] = np.nan
    return x


def test_twin_of_a_built_in(threads):
    x = panel()
    want = fp.cross_section.mad_dispersion(x)
    np.testing.assert_allclose(apply(x, median_distance), want, rtol=1e-12)


def test_the_row_holds_the_values_present_in_order():
    x = np.array([[1.0, np.nan, 3.0, np.nan], [np.nan] * 4, [4.0, 3.0, 2.0, 1.0]])
    np.testing.assert_array_equal(apply(x, last), [3.0, np.nan, 1.0])
    with pytest.warns(UserWarning, match=r"cross_section\.apply calls the plain .*numba\.njit"):
        np.testing.assert_array_equal(apply(x, lambda row: row[-1]), [3.0, np.nan, 1.0])


def test_shapes():
    x = panel((4, 6, 5))
    want = apply(x.reshape(24, 5), last).reshape(4, 6)
    np.testing.assert_array_equal(apply(x, last), want)
    np.testing.assert_array_equal(apply(np.moveaxis(x, 2, 0), last, axis=0), want)
    assert apply(x[0, 0], last).shape == ()
    assert apply(np.zeros((0, 3)), last).shape == (0,)
    assert np.isnan(apply(np.zeros((3, 0)), last)).all()


def test_declared_signatures_cannot_harm():
    @numba.njit("float64(float64[::1])")
    def sort_in_place(row):
        row.sort()
        return row[0]

    x = panel()
    want = np.array([np.nan if np.isnan(row).all() else np.nanmin(row) for row in x])
    np.testing.assert_array_equal(apply(x, sort_in_place), want)


def test_the_input_stays_as_it_is():
    x = np.array([[1.0, np.nan, 3.0]])
    before = x.copy()
    apply(x, last)
    np.testing.assert_array_equal(x, before)
    assert x.flags.writeable


def test_errors():
    @numba.njit
    def broken(row):
        return row.no_such_thing()

    with pytest.raises(ParameterError, match=r"cross_section\.apply: func 'broken'"):
        apply(panel(), broken)
    with pytest.raises(ParameterError, match="func must be a function"):
        apply(panel(), None)
    with pytest.raises(ShapeError, match="no axis"):
        apply(panel(), last, axis=3)
