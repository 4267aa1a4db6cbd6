from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.preprocess import identity, pca, zscore

TIMES = np.arange("2024-01-05", "2024-03-01", 7, dtype="datetime64[D]")


def table(seed=0, columns=4, missing=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(len(TIMES), columns)) @ rng.normal(size=(columns, columns)) + 3
    x[rng.random(x.shape) < missing] = np.nan
    return x


def test_identity_returns_its_input_or_a_copy():
    x = table()
    assert identity(x) is x
    copy = identity(x, copy=True)
    assert copy is not x
    np.testing.assert_array_equal(copy, x)
    with pytest.raises(ParameterError, match="copy must be true or false, got 'maybe'"):
        identity(x, copy="maybe")


def test_identity_copies_frames():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1.0]})
    assert identity(frame, copy=True).equals(frame)


def test_zscore_uses_ddof_one_and_can_be_undone():
    assert zscore([[1.0], [2.0], [3.0]]).values.ravel().tolist() == [-1.0, 0.0, 1.0]
    x = table()
    result = zscore(x, TIMES)
    np.testing.assert_allclose(result.values.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(result.values.std(axis=0, ddof=1), 1)
    np.testing.assert_allclose(result.values * result.std + result.mean, x)
    np.testing.assert_array_equal(result.times, TIMES)


def test_missing_entries_become_the_mean_or_their_row_goes():
    x = np.array([[1.0, 5.0], [np.nan, 6.0], [3.0, 10.0]])
    zero = zscore(x)
    assert zero.values[1, 0] == 0
    assert zero.mean.tolist() == [2.0, 7.0]
    assert zero.std[0] == np.sqrt(2)
    assert zero.missing_mask.tolist() == [[False, False], [True, False], [False, False]]
    drop = zscore(x, missing="drop")
    assert drop.values.shape == (2, 2)
    assert drop.mean.tolist() == [2.0, 7.5]
    assert not drop.missing_mask.any()


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9 / 3])
def test_constant_and_empty_columns_are_zero_with_std_one(value):
    x = np.column_stack([np.full(30, value), np.full(30, np.nan), np.arange(30)])
    result = zscore(x)
    assert (result.values[:, :2] == 0).all()
    assert result.std[:2].tolist() == [1.0, 1.0]


def test_a_date_range_limits_rows_and_statistics():
    x = table()
    inside = (np.datetime64("2024-01-12") <= TIMES) & (np.datetime64("2024-02-09") >= TIMES)
    part = zscore(x, TIMES, start_date="2024-01-12", end_date="2024-02-09")
    np.testing.assert_array_equal(part.times, TIMES[inside])
    np.testing.assert_array_equal(part.values, zscore(x[inside]).values)
    late = TIMES + np.timedelta64(23, "h")  # the last day counts whole
    assert len(zscore(x, late, end_date="2024-01-05").values) == 1


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"start_date": "2024-13-01"}, ParameterError, "start_date must be a date"),
        ({"end_date": "5 May"}, ParameterError, "end_date must be a date"),
        ({"end_date": "2024-01"}, ParameterError, "end_date must be a date"),
        ({"start_date": "2024-02-01", "end_date": "2024-01-01"}, ParameterError, "before start"),
        ({"start_date": "2030-01-01"}, DataError, "no row is left"),
        ({"missing": "fill"}, ParameterError, "missing must be"),
        ({"times": TIMES[:3]}, ShapeError, "times has shape"),
        ({"times": None, "start_date": "2024-02-01"}, ParameterError, "need times"),
    ],
)
def test_bad_ranges(options, error, named):
    for transform in (zscore, lambda x, t, **o: pca(x, t, k=1, **o)):
        chosen = dict(options)
        with pytest.raises(error, match=named):
            transform(table(), chosen.pop("times", TIMES), **chosen)


def test_infinite_values_name_their_place():
    x = table()
    x[3, 2] = np.inf
    with pytest.raises(DataError, match="row 3, column 2"):
        zscore(x, TIMES)


@given(seed=st.integers(0, 999), columns=st.integers(1, 7), missing=st.sampled_from([0.0, 0.2]))
def test_factors_are_uncorrelated_with_the_eigenvalues_as_variances(seed, columns, missing):
    x = table(seed, columns, missing)
    result = pca(x, k=columns)
    np.testing.assert_allclose(result.z.values @ result.loadings, result.factors)
    covariance = np.cov(result.factors, rowvar=False).reshape(columns, columns)
    np.testing.assert_allclose(covariance, np.diag(result.eigenvalues), atol=1e-9)
    assert (np.diff(result.eigenvalues) <= 1e-12).all()
    np.testing.assert_allclose(np.linalg.norm(result.loadings, axis=0), 1)
    largest = result.loadings[np.abs(result.loadings).argmax(axis=0), range(columns)]
    assert (largest > 0).all()
    fewer = pca(x, k=1)
    np.testing.assert_allclose(fewer.factors, result.factors[:, :1], atol=1e-12)


def test_variance_takes_as_few_factors_as_reach_the_share():
    x = table(columns=6)
    eigenvalues = pca(x, k=1).eigenvalues
    share = np.cumsum(eigenvalues) / eigenvalues.sum()
    for wanted in (0.3, 0.6, 0.9, 0.999):
        count = pca(x, variance=wanted).factors.shape[1]
        assert share[count - 1] >= wanted
        assert count == 1 or share[count - 2] < wanted
    assert pca(x, variance=1.0).factors.shape[1] == 6


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "exactly one"),
        ({"k": 1, "variance": 0.5}, "exactly one"),
        ({"k": 0}, "k must be"),
        ({"k": 5}, r"1\.\.4"),
        ({"k": True}, "k must be"),
        ({"variance": 0.0}, "variance"),
        ({"variance": 1.1}, "variance"),
    ],
)
def test_bad_numbers_of_factors(options, named):
    with pytest.raises(ParameterError, match=named):
        pca(table(), **options)


def test_one_row_has_no_components():
    with pytest.raises(DataError, match="at least 2 rows"):
        pca([[1.0, 2.0]], k=1)
