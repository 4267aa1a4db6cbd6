"""The whitened space of a split."""

from __future__ import annotations

import numpy as np
import pytest

from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.scoring import Whitener, energy_score

EXAMPLE = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 5.0], [4.0, 4.0], [10.0, 3.0]])


def test_literal_values() -> None:
    whitener = Whitener.fit(EXAMPLE)
    np.testing.assert_allclose(whitener.scale, [1.0, 1.0], atol=1e-11)
    assert (whitener.n_eff, whitener.shrinkage) == (5, 0.30)
    want = [[0.2828426, 0.0], [-0.04482426, 0.64034713]]
    np.testing.assert_allclose(whitener.matrix, want, atol=5e-8)
    assert whitener.matrix[0, 1] == 0.0
    u = whitener.transform(np.array([1.0, 2.0]))
    np.testing.assert_allclose(u, whitener.matrix @ [1.0, 2.0], rtol=1e-11)


@pytest.mark.parametrize(("weeks", "weight"), [(149, 0.30), (150, 0.15), (299, 0.15), (300, 0.075)])
def test_shrinkage_by_observed_weeks(weeks: int, weight: float) -> None:
    y = np.random.default_rng(0).normal(size=(weeks + 5, 3))
    y[:5, 1] = np.nan  # not fully observed
    whitener = Whitener.fit(y)
    assert (whitener.n_eff, whitener.shrinkage) == (weeks, weight)


def test_without_shrinkage_training_is_white() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=(400, 6)) @ rng.normal(size=(6, 6)) * [1e-3, 1, 10, 1, 1, 1e3]
    whitener = Whitener.fit(y, shrinkage=0.0, eps=0.0)
    np.testing.assert_allclose(np.cov(whitener.transform(y), rowvar=False), np.eye(6), atol=1e-10)
    # Jitter of 1e-5 moves it by about that over the smallest eigenvalue.
    near = Whitener.fit(y, shrinkage=0.0)
    np.testing.assert_allclose(np.cov(near.transform(y), rowvar=False), np.eye(6), atol=0.05)


def test_order_of_shrinkage_floor_and_jitter() -> None:
    y = np.random.default_rng(2).normal(size=(60, 4))
    whitener = Whitener.fit(y, shrinkage=0.4, var_floor=0.3, eps=0.01, mad_eps=0.5)
    mad = np.median(np.abs(y - np.median(y, axis=0)), axis=0)
    np.testing.assert_allclose(whitener.scale, mad + 0.5, rtol=1e-14)
    s = np.cov(y / whitener.scale, rowvar=False)
    s = 0.6 * s + 0.4 * np.diag(np.diag(s)) + 0.31 * np.eye(4)
    np.testing.assert_allclose(whitener.matrix @ s @ whitener.matrix.T, np.eye(4), atol=1e-12)
    assert np.array_equal(whitener.matrix, np.tril(whitener.matrix))


def test_missing_weeks_leave_the_covariance_but_not_the_scale() -> None:
    y = np.random.default_rng(3).normal(size=(80, 3))
    y[10:30, 2] = np.nan
    whitener = Whitener.fit(y)
    assert whitener.n_eff == 60
    column = y[:, 0]
    assert whitener.scale[0] == pytest.approx(np.median(np.abs(column - np.median(column))))
    s = np.cov(np.delete(y, np.arange(10, 30), axis=0) / whitener.scale, rowvar=False)
    s = 0.7 * s + 0.3 * np.diag(np.diag(s)) + 1e-5 * np.eye(3)
    np.testing.assert_allclose(whitener.matrix @ s @ whitener.matrix.T, np.eye(3), atol=1e-12)


def test_asset_without_scale_is_left_out() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(size=(50, 4))
    y[:, 1] = 0.25  # never moves
    y[:, 3] = np.nan  # never seen
    whitener = Whitener.fit(y)
    assert whitener.kept.tolist() == [0, 2]
    assert whitener.left_out.tolist() == [1, 3]
    assert whitener.matrix.shape == (2, 2)
    assert whitener.n_eff == 50
    alone = Whitener.fit(y[:, [0, 2]])
    np.testing.assert_allclose(whitener.matrix, alone.matrix, rtol=1e-14)
    truth, samples = rng.normal(size=(6, 4)), rng.normal(size=(20, 6, 4))
    truth[:, 3] = np.nan  # of no consequence
    want = energy_score(alone.transform(truth[:, [0, 2]]), alone.transform(samples[..., [0, 2]]), 0)
    np.testing.assert_allclose(whitener.energy_score(truth, samples, 0), want, rtol=1e-12)
    assert whitener.transform(truth).shape == (6, 2)


@pytest.mark.parametrize("assets", [1, 3, 4, 9, 20])
@pytest.mark.parametrize("estimator", ["nrg", "fair"])
def test_one_pass_is_the_composition(assets: int, estimator: str) -> None:
    rng = np.random.default_rng(5)
    whitener = Whitener.fit(rng.normal(size=(200, assets)) * 0.02)
    truth, samples = rng.normal(size=(7, assets)) * 0.02, rng.normal(size=(30, 7, assets)) * 0.02
    w = rng.uniform(size=30)
    want = energy_score(
        whitener.transform(truth), whitener.transform(samples), 0, estimator=estimator, ens_w=w
    )
    got = whitener.energy_score(truth, samples, 0, estimator=estimator, ens_w=w)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    moved = np.moveaxis(samples, 0, 1)
    got = whitener.energy_score(truth, moved, estimator=estimator, ens_w=w)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    got = whitener.energy_score(
        truth.T, samples.transpose(2, 0, 1), 1, 0, estimator=estimator, ens_w=w
    )
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_missing_target_blanks_its_week() -> None:
    rng = np.random.default_rng(6)
    whitener = Whitener.fit(rng.normal(size=(100, 3)))
    truth, samples = rng.normal(size=(5, 3)), rng.normal(size=(40, 5, 3))
    clean = whitener.energy_score(truth, samples, 0)
    truth[2, 2] = np.nan  # the last asset: a triangular matrix alone would hide it
    assert np.isnan(whitener.transform(truth)[2]).all()
    scores = whitener.energy_score(truth, samples, 0)
    assert np.isnan(scores[2])
    assert np.isfinite(np.nanmean(scores))
    np.testing.assert_array_equal(np.delete(scores, 2), np.delete(clean, 2))


def test_nothing_but_training_rows_enters() -> None:
    y = np.random.default_rng(7).normal(size=(120, 3))
    before = Whitener.fit(y[:100])
    y[100:] = 1e9
    after = Whitener.fit(y[:100])
    np.testing.assert_array_equal(before.matrix, after.matrix)
    np.testing.assert_array_equal(before.scale, after.scale)


def test_is_frozen() -> None:
    whitener = Whitener.fit(EXAMPLE)
    with pytest.raises(AttributeError):
        whitener.n_eff = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        whitener.matrix[0, 0] = 1.0


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(DataError, match="at least 2 fully observed"):
        Whitener.fit(np.array([[1.0, np.nan], [2.0, 3.0], [3.0, np.nan], [np.nan, 5.0]]))
    with pytest.raises(DataError, match="no asset can be scored"):
        Whitener.fit(np.ones((20, 3)))
    with pytest.raises(DataError, match="row 1, column 0"):
        Whitener.fit(np.array([[1.0, 2.0], [np.inf, 3.0], [3.0, 4.0]]))
    with pytest.raises(DataError, match="positive definite"):
        y = np.array([-2.0, -2.0, 0.0, 2.0, 2.0])  # MAD 2, variance 1 in z
        Whitener.fit(np.stack([y, y], axis=1), shrinkage=0.0, eps=0.0, mad_eps=0.0)
    with pytest.raises(ParameterError, match="shrinkage"):
        Whitener.fit(EXAMPLE, shrinkage=1.5)
    for name in ("mad_eps", "eps", "var_floor"):
        with pytest.raises(ParameterError, match=name):
            Whitener.fit(EXAMPLE, **{name: -1.0})
    with pytest.raises(ShapeError, match="2 axes"):
        Whitener.fit(np.ones(4))
    whitener = Whitener.fit(EXAMPLE)
    with pytest.raises(ShapeError, match="2 assets"):
        whitener.transform(np.ones((4, 3)))
    with pytest.raises(ShapeError, match="2 assets"):
        whitener.energy_score(np.ones((4, 3)), np.ones((9, 4, 3)), 0)
