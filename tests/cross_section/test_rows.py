"""Cross-sections against pandas and SciPy, at every SIMD level."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

import fastpanel as fp
from fastpanel.errors import ParameterError, ShapeError

cs = fp.cross_section

rows = hnp.arrays(
    np.float64,
    st.tuples(st.integers(0, 20), st.integers(0, 40)),
    elements=st.one_of(
        st.floats(allow_nan=True, allow_infinity=True),
        st.sampled_from([0.0, -0.0, 1.0, np.nextafter(1.0, 2.0), np.inf, -np.inf, np.nan]),
    ),
)


def share(x: np.ndarray) -> np.ndarray:
    frame = pd.DataFrame(x)
    return (frame.rank(axis=1) - 0.5).div(frame.notna().sum(axis=1), axis=0).to_numpy()


def distance(x: np.ndarray) -> np.ndarray:
    frame = pd.DataFrame(x)
    return frame.sub(frame.median(axis=1), axis=0).abs().median(axis=1).to_numpy()


def panel(shape: tuple[int, ...], digits: int = 9) -> np.ndarray:
    rng = np.random.default_rng(60)
    x = np.round(rng.normal(size=shape), digits)
    x[rng.random(shape) < 0.1] = np.nan
    return x


@given(rows)
@settings(max_examples=200, deadline=None)
def test_rank_of_anything(x):
    np.testing.assert_allclose(cs.rank(x), share(x), rtol=1e-15)


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (8, 8), (9, 16), (17, 33), (40, 500)])
@pytest.mark.parametrize("digits", [0, 1, 9])
def test_agrees_with_pandas(shape, digits, level):
    x = panel(shape, digits)
    np.testing.assert_allclose(cs.rank(x), share(x), rtol=1e-15)
    np.testing.assert_array_equal(cs.mad_dispersion(x), distance(x))
    frame = pd.DataFrame(x)
    centred = frame.sub(frame.mean(axis=1), axis=0)
    np.testing.assert_allclose(cs.demean(x), centred, rtol=1e-12, atol=1e-15)
    std = frame.std(axis=1).replace(0.0, np.nan)
    np.testing.assert_allclose(cs.zscore(x), centred.div(std, axis=0), rtol=1e-12, atol=1e-14)


def test_values_one_step_apart_keep_their_order():
    x = 1.0 + np.arange(2000) * np.spacing(1.0)
    order = np.random.default_rng(61).permutation(2000)
    np.testing.assert_array_equal(cs.rank(x[order]), (order + 0.5) / 2000)


def test_worked_examples():
    np.testing.assert_array_equal(cs.rank([1.0, 2, 2, 4, np.nan]), [0.125, 0.5, 0.5, 0.875, np.nan])
    np.testing.assert_array_equal(cs.rank([np.nan, 7.0]), [np.nan, 0.5])
    got = 1.4826 * cs.mad_dispersion([[0.01, 0.02, 0.03, 0.10]])
    np.testing.assert_allclose(got, [0.014826], rtol=1e-14)


def test_constant_lone_and_empty_rows():
    x = np.array([[0.1, 0.1, 0.1], [np.nan, 5.0, np.nan], [np.nan] * 3])
    np.testing.assert_array_equal(cs.demean(x), [[0.0] * 3, [np.nan, 0, np.nan], [np.nan] * 3])
    assert np.isnan(cs.zscore(x)).all()
    np.testing.assert_array_equal(cs.mad_dispersion(x), [0.0, 0.0, np.nan])
    for run in (cs.rank, cs.zscore, cs.demean):
        assert run(np.zeros((0, 3))).shape == (0, 3)
        assert run(np.zeros((3, 0))).shape == (3, 0)
    assert cs.mad_dispersion(np.zeros((0, 3))).shape == (0,)
    assert np.isnan(cs.mad_dispersion(np.zeros((3, 0)))).all()


def test_level_does_not_matter():
    x = panel((20, 30))
    far = cs.zscore(x * 1e-3 + 1e6)
    np.testing.assert_allclose(far, cs.zscore((x * 1e-3 + 1e6) - 1e6), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("run", [cs.rank, cs.zscore, cs.demean, cs.mad_dispersion])
def test_rows_know_nothing_of_each_other(run, threads):
    x = panel((500, 130))
    whole = run(x)
    np.testing.assert_array_equal(run(x[123:124]), whole[123:124])
    fp.set_num_threads(1)
    np.testing.assert_array_equal(run(x), whole)


@pytest.mark.parametrize("run", [cs.rank, cs.zscore, cs.demean])
def test_any_axis_and_stride(run):
    x = panel((6, 20, 4))
    want = run(x)
    np.testing.assert_array_equal(run(np.moveaxis(x, 2, 0), axis=0), np.moveaxis(want, 2, 0))
    np.testing.assert_array_equal(run(x[:, ::-2]), want[:, ::-2])
    np.testing.assert_array_equal(run(x[0, 0]), want[0, 0])
    assert cs.mad_dispersion(x, axis=1).shape == (6, 4)
    np.testing.assert_array_equal(
        cs.mad_dispersion(x, axis=1), cs.mad_dispersion(np.moveaxis(x, 1, 2))
    )


@pytest.mark.parametrize("run", [cs.rank, cs.zscore, cs.demean, cs.mad_dispersion])
def test_wrong_input(run):
    with pytest.raises(ShapeError, match=r"shape \(2, 2\) has no axis 2"):
        run(np.zeros((2, 2)), axis=2)
    with pytest.raises(ParameterError, match="real numbers"):
        run(np.zeros(2, dtype=complex))
