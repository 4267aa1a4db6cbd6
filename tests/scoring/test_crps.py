"""CRPS: literal values, every estimator, layouts, laws."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from scipy.special import erf
from tests.scoring import reference

from fastpanel import _core
from fastpanel.errors import ParameterError, ShapeError
from fastpanel.scoring import crps_ensemble, energy_score


def draw(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_literal_value() -> None:
    assert crps_ensemble(1.0, np.array([0.0, 2.0])) == 0.5
    assert crps_ensemble(1.0, np.array([2.0, 0.0]), estimator="fair") == 0.0


@pytest.mark.parametrize("estimator", ["qd", "nrg", "fair", "pwm"])
def test_agrees_with_scoringrules(estimator: str) -> None:
    scoringrules = pytest.importorskip("scoringrules")
    y, x = draw((6, 9), 1), draw((33, 6, 9), 2)
    want = scoringrules.crps_ensemble(y, x, 0, estimator=estimator)
    np.testing.assert_allclose(crps_ensemble(y, x, 0, estimator=estimator), want, rtol=1e-12)


@pytest.mark.parametrize("members", [1, 2, 3, 15, 16, 17, 31, 33, 64, 100, 129, 500])
def test_definition(members: int) -> None:
    y, x = draw((5,), 3), draw((5, members), 4)
    want = np.array([reference.crps(a, b) for a, b in zip(y, x, strict=True)])
    np.testing.assert_allclose(crps_ensemble(y, x), want, rtol=1e-13, atol=1e-13)
    if members > 1:
        want = np.array([reference.crps(a, b, fair=True) for a, b in zip(y, x, strict=True)])
        got = crps_ensemble(y, x, estimator="fair")
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)


def test_large_location_costs_no_digits() -> None:
    rng = np.random.default_rng(5)
    y, x = 1e8 + 1e-3 * rng.normal(size=6), 1e8 + 1e-3 * rng.normal(size=(6, 70))
    want = [reference.crps(a, b) for a, b in zip(y, x, strict=True)]
    np.testing.assert_allclose(crps_ensemble(y, x), want, rtol=1e-12)


@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 1), (1, 11), (40,), (2, 3, 9), (7, 2)])
@pytest.mark.parametrize("members", [1, 19])
def test_any_member_axis(shape: tuple[int, ...], members: int) -> None:
    y, x = draw(shape, 6), draw((*shape, members), 7)
    want = crps_ensemble(y, x)
    for axis in range(len(shape) + 1):
        moved = np.moveaxis(x, -1, axis)
        for fct in (moved, np.ascontiguousarray(moved)):
            np.testing.assert_allclose(crps_ensemble(y, fct, axis), want, rtol=1e-13)
            got = crps_ensemble(y, fct, axis - len(shape) - 1)
            np.testing.assert_allclose(got, want, rtol=1e-13)


def test_broadcasting() -> None:
    y, x = draw((6, 4), 8), draw((3, 25, 6, 4), 9)
    got = crps_ensemble(y, x, 1)
    assert got.shape == (3, 6, 4)
    np.testing.assert_allclose(got[2], crps_ensemble(y, x[2], 0), rtol=1e-14)
    np.testing.assert_allclose(
        crps_ensemble(y, x[0, :, :1], 0)[3], crps_ensemble(y[3], x[0, :, 0], 0), rtol=1e-14
    )
    assert crps_ensemble(0.0, draw((4, 9), 1)).shape == (4,)


def test_mask_and_missing_values() -> None:
    y, x = draw((10, 9), 10), draw((20, 10, 9), 11)
    clean = crps_ensemble(y, x, 0)
    mask = np.zeros((10, 9), dtype=bool)
    mask[3, 4] = True
    y[5, 1] = np.nan
    x[7, 6, 2] = np.nan
    got = crps_ensemble(y, x, 0, mask=mask)
    bad = np.zeros((10, 9), dtype=bool)
    bad[[3, 5, 6], [4, 1, 2]] = True
    np.testing.assert_array_equal(np.isnan(got), bad)
    np.testing.assert_array_equal(got[~bad], clean[~bad])


def test_levels_agree(at_level) -> None:
    y, x = draw((37,), 12), draw((37, 83), 13)
    scores = []
    for level in _core.simd_levels():
        at_level(level)
        scores.append(crps_ensemble(y, x))
    for score in scores:
        np.testing.assert_allclose(score, scores[0], rtol=1e-13, atol=1e-15)


def test_threads_change_no_bit(with_threads) -> None:
    y, x = draw((60, 50), 14), draw((200, 60, 50), 15)
    scores = []
    for threads in (1, 3):
        with_threads(threads)
        scores.append(crps_ensemble(y, x, 0))
    np.testing.assert_array_equal(scores[0], scores[1])


@settings(max_examples=80, deadline=None)
@given(
    x=hnp.arrays(np.float64, st.integers(2, 90), elements=st.floats(-100, 100, width=32)),
    y=st.floats(-100, 100, width=32),
    seed=st.integers(0, 1000),
)
def test_laws(x: np.ndarray, y: float, seed: int) -> None:
    score = crps_ensemble(y, x)
    tolerance = {"rel": 1e-11, "abs": 1e-11}
    assert score >= -1e-12
    assert score == pytest.approx(reference.crps(y, x), **tolerance)
    shuffled = np.random.default_rng(seed).permutation(x)
    assert crps_ensemble(y, shuffled) == pytest.approx(score, **tolerance)
    assert crps_ensemble(-y, -x) == pytest.approx(score, **tolerance)
    assert crps_ensemble(y, x, estimator="nrg") == score
    fair = crps_ensemble(y, x, estimator="fair")
    assert crps_ensemble(y, x, estimator="pwm") == fair
    energy = energy_score(np.array([y]), x[:, None])
    assert energy == pytest.approx(score, rel=1e-10, abs=1e-10)


def test_fair_is_unbiased_in_the_number_of_members() -> None:
    rng = np.random.default_rng(16)
    y = rng.normal(size=20_000)
    few = crps_ensemble(y, rng.normal(size=(20_000, 3)), estimator="fair")
    density = np.exp(-0.5 * y**2) / np.sqrt(2 * np.pi)
    exact = y * erf(y / np.sqrt(2)) + 2 * density - 1 / np.sqrt(np.pi)  # of the normal law
    error = (few - exact).std() / np.sqrt(20_000)
    assert abs(few.mean() - exact.mean()) < 4 * error
    biased = crps_ensemble(y, rng.normal(size=(20_000, 3)))
    assert biased.mean() - exact.mean() > 20 * error


def test_errors_name_what_is_wrong() -> None:
    y, x = draw((5,)), draw((5, 7))
    with pytest.raises(ParameterError, match="'akr'"):
        crps_ensemble(y, x, estimator="akr")
    with pytest.raises(ParameterError, match="at least 2 members"):
        crps_ensemble(y, x[:, :1], estimator="pwm")
    with pytest.raises(ShapeError, match=r"\(5, 7\)"):
        crps_ensemble(y[:4], x)
    with pytest.raises(ParameterError, match="m_axis"):
        crps_ensemble(y, x, 2)
