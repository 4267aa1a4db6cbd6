"""Variogram score."""

from __future__ import annotations

import numpy as np
import pytest
from tests.scoring import reference

from fastpanel import _core
from fastpanel.errors import ParameterError, ShapeError
from fastpanel.scoring import variogram_score, vs_ensemble


def draw(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_literal_value() -> None:
    # Truth 1 apart, member 4 apart, order 1/2: (2 - 1)^2 for both orders of the pair.
    assert variogram_score(np.array([0.0, 1.0]), np.array([[0.0, 4.0]])) == 2.0
    assert variogram_score(np.array([0.0, 1.0]), np.array([[0.0, 4.0]]), p=1) == 18.0


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 1.3])
@pytest.mark.parametrize("estimator", ["nrg", "fair"])
def test_definition(p: float, estimator: str) -> None:
    y, x = draw((6, 5), 1), draw((12, 6, 5), 2)
    got = variogram_score(y, x, 0, p=p, estimator=estimator)
    fair = estimator == "fair"
    want = [reference.variogram(y[t], x[:, t], p, fair=fair) for t in range(6)]
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("estimator", ["nrg", "fair"])
def test_agrees_with_scoringrules(estimator: str) -> None:
    scoringrules = pytest.importorskip("scoringrules")
    y, x = draw((6, 5), 1), draw((12, 6, 5), 2)
    want = scoringrules.vs_ensemble(y, x, m_axis=0, p=1.3, estimator=estimator)
    got = variogram_score(y, x, 0, p=1.3, estimator=estimator)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    pairs = np.abs(draw((6, 5, 5), 3))
    want = scoringrules.vs_ensemble(y, x, pairs, 0, estimator=estimator)
    np.testing.assert_allclose(vs_ensemble(y, x, pairs, 0, estimator=estimator), want, rtol=1e-12)


@pytest.mark.parametrize("estimator", ["nrg", "fair"])
def test_weights_of_pairs_and_members(estimator: str) -> None:
    y, x = draw((4, 5), 3), draw((4, 9, 5), 4)
    pairs, w = np.abs(draw((4, 5, 5), 5)), np.abs(draw((4, 9), 6))
    fair = estimator == "fair"
    want = [
        reference.variogram(y[t], x[t], 0.5, pairs=pairs[t], fair=fair, w=w[t]) for t in range(4)
    ]
    got = variogram_score(y, x, w=pairs, ens_w=w, estimator=estimator)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    got = vs_ensemble(y, x, pairs, ens_w=w, estimator=estimator)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    one = variogram_score(y, x, w=pairs[0])
    np.testing.assert_allclose(one, variogram_score(y, x, w=np.tile(pairs[0], (4, 1, 1))))


def test_sees_dependence_that_marginals_hide() -> None:
    rng = np.random.default_rng(7)
    root = np.linalg.cholesky(np.full((4, 4), 0.8) + 0.2 * np.eye(4))
    y = rng.normal(size=(500, 4)) @ root.T
    joint = rng.normal(size=(200, 500, 4)) @ root.T
    apart = rng.normal(size=(200, 500, 4))
    assert variogram_score(y, joint, 0).mean() < 0.5 * variogram_score(y, apart, 0).mean()


def test_invariances_and_missing_values() -> None:
    y, x = draw((3, 4), 8), draw((3, 11, 4), 9)
    want = variogram_score(y, x)
    # A common level is not seen at all; large levels cost no digits.
    np.testing.assert_allclose(variogram_score(y + 64.0, x + 64.0), want, rtol=1e-12)
    np.testing.assert_allclose(variogram_score(y, x[:, ::-1]), want, rtol=1e-13)
    x[1, 2, 3] = np.nan
    np.testing.assert_array_equal(np.isnan(variogram_score(y, x)), [False, True, False])


def test_levels_and_threads(at_level, with_threads) -> None:
    y, x = draw((60, 12), 10), draw((50, 60, 12), 11)
    with_threads(1)
    want = variogram_score(y, x, 0)
    with_threads(3)
    np.testing.assert_array_equal(variogram_score(y, x, 0), want)
    for level in _core.simd_levels():
        at_level(level)
        np.testing.assert_allclose(variogram_score(y, x, 0), want, rtol=1e-12)


def test_errors_name_what_is_wrong() -> None:
    y, x = draw((4, 5)), draw((4, 9, 5))
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(ParameterError, match="p must be above 0"):
            variogram_score(y, x, p=bad)
    with pytest.raises(ShapeError, match="w must have shape"):
        variogram_score(y, x, w=np.ones((4, 4)))
    with pytest.raises(ShapeError, match="does not fit"):
        variogram_score(y, x, w=np.ones((3, 5, 5)))
    with pytest.raises(ParameterError, match="estimator"):
        variogram_score(y, x, estimator="qd")
