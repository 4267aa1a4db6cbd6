"""Energy score: literal values, definitions, laws."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from tests.scoring import reference

from fastpanel import _core
from fastpanel.errors import ParameterError, ShapeError
from fastpanel.scoring import energy_score, es_ensemble


def draw(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_literal_value() -> None:
    samples = np.array([[3.0, 4.0], [0.0, 0.0]])
    assert energy_score(np.zeros(2), samples) == pytest.approx(2.5 - 1.25, abs=1e-15)
    # Pairs of distinct members only: 2.5 - 0.5 * 5.
    assert energy_score(np.zeros(2), samples, estimator="fair") == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    ("members", "dims"), [(1, 1), (2, 3), (9, 5), (24, 8), (57, 20), (100, 50)]
)
def test_definition(members: int, dims: int) -> None:
    y, x = draw((3, dims), 1), draw((3, members, dims), 2)
    got = energy_score(y, x)
    want = [reference.energy(a, b) for a, b in zip(y, x, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-13)
    if members > 1:
        got = energy_score(y, x, estimator="fair")
        want = [reference.energy(a, b, fair=True) for a, b in zip(y, x, strict=True)]
        np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("estimator", ["nrg", "fair"])
def test_agrees_with_scoringrules(estimator: str) -> None:
    scoringrules = pytest.importorskip("scoringrules")
    y, x = draw((50, 8), 3), draw((64, 50, 8), 4)  # [T, A], [S, T, A]
    want = scoringrules.es_ensemble(y, x, 0, -1, estimator=estimator)
    np.testing.assert_allclose(energy_score(y, x, 0, -1, estimator=estimator), want, rtol=1e-10)
    np.testing.assert_allclose(es_ensemble(y, x, 0, estimator=estimator), want, rtol=1e-10)
    w = np.random.default_rng(5).uniform(size=(50, 64))
    x = np.moveaxis(x, 0, 1)
    want = scoringrules.es_ensemble(y, x, ens_w=w, estimator=estimator)
    np.testing.assert_allclose(es_ensemble(y, x, ens_w=w, estimator=estimator), want, rtol=1e-10)


@pytest.mark.parametrize("estimator", ["nrg", "fair"])
def test_member_weights(estimator: str) -> None:
    y, x = draw((6, 4), 5), draw((6, 11, 4), 6)
    w = np.random.default_rng(7).uniform(0, 3, size=(6, 11))
    w[:, 3] = 0.0
    fair = estimator == "fair"
    got = energy_score(y, x, estimator=estimator, ens_w=w)
    want = [reference.energy(a, b, fair=fair, w=c) for a, b, c in zip(y, x, w, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-12)
    # One vector for all points; the member axis in place; the member axis last.
    first = energy_score(y, x, ens_w=w[0])
    np.testing.assert_allclose(first, energy_score(y, x, ens_w=np.tile(w[0], (6, 1))))
    moved = np.moveaxis(x, 1, 0)
    in_place = energy_score(y, moved, 0, estimator=estimator, ens_w=w.T)
    last = energy_score(y, moved, 0, estimator=estimator, ens_w=w)
    np.testing.assert_allclose(in_place, got, rtol=1e-13)
    np.testing.assert_allclose(last, got, rtol=1e-13)


def test_whole_weights_repeat_members() -> None:
    y, x = draw((3,), 8), draw((5, 3), 9)
    times = np.array([1, 3, 2, 1, 4])
    want = energy_score(y, np.repeat(x, times, axis=0))
    assert energy_score(y, x, ens_w=times) == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3), (1, 0, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0), (0, 3, 2, 1)]
)
def test_any_axes(order: tuple[int, ...]) -> None:
    # Logical axes: 0, 1 lead, 2 members, 3 variables.
    y, x = draw((4, 3, 5), 10), draw((4, 3, 7, 5), 11)
    want = energy_score(y, x)
    m, v = order.index(2), order.index(3)
    lead = [a for a in order if a in (0, 1)]
    obs = y.transpose([a if a < 2 else 2 for a in order if a != 2])
    expected = want.transpose(lead) if lead == [1, 0] else want
    for fct in (x.transpose(order), np.ascontiguousarray(x.transpose(order))):
        np.testing.assert_allclose(energy_score(obs, fct, m, v), expected, rtol=1e-13)
        np.testing.assert_allclose(energy_score(obs, fct, m - 4, v - 4), expected, rtol=1e-13)


def test_leading_axes_broadcast() -> None:
    y, x = draw((6, 4), 12), draw((2, 3, 9, 6, 4), 13)  # candidates, splits, S, T, A
    got = energy_score(y, x, 2)
    assert got.shape == (2, 3, 6)
    np.testing.assert_allclose(got[1, 2], energy_score(y, x[1, 2], 0), rtol=1e-14)
    # Many truths against one ensemble.
    truths = draw((5, 4), 14)
    ensemble = draw((9, 4), 15)
    want = [energy_score(t, ensemble) for t in truths]
    np.testing.assert_allclose(energy_score(truths, ensemble), want, rtol=1e-14)
    np.testing.assert_allclose(energy_score(truths, ensemble[:, None], 0), want, rtol=1e-14)


def test_inputs_are_not_changed_and_views_are_not_copied() -> None:
    y, x = draw((20, 6), 16), draw((40, 20, 6), 17)
    before = x.copy()
    want = energy_score(y, x, 0)
    np.testing.assert_array_equal(x, before)
    # A view with the members moved last scores the same bits: it is read in place.
    np.testing.assert_array_equal(energy_score(y, np.moveaxis(x, 0, 1)), want)


def test_mask_drops_dimensions() -> None:
    y, x = draw((30, 6), 18), draw((13, 30, 6), 19)
    mask = np.random.default_rng(20).random((30, 6)) < 0.3
    mask[4] = True
    y[mask] = np.nan  # what is masked may be missing
    x[2, mask] = np.inf
    got = energy_score(y, x, 0, mask=mask)
    for t in range(30):
        keep = ~mask[t]
        if not keep.any():
            assert np.isnan(got[t])
        else:
            assert got[t] == pytest.approx(reference.energy(y[t, keep], x[:, t, keep]), rel=1e-12)
    np.testing.assert_array_equal(got, energy_score(y, np.moveaxis(x, 0, 1), mask=mask))


def test_nan_stays_at_its_point() -> None:
    y, x = draw((10, 4), 21), draw((8, 10, 4), 22)
    clean = energy_score(y, x, 0)
    y[2, 1] = np.nan
    x[3, 7, 0] = np.nan
    got = energy_score(y, x, 0)
    assert np.isnan(got[[2, 7]]).all()
    others = np.delete(np.arange(10), [2, 7])
    np.testing.assert_array_equal(got[others], clean[others])


@pytest.mark.parametrize("dims", [2, 5, 6, 30])
def test_large_location_costs_no_digits(dims: int) -> None:
    rng = np.random.default_rng(23)
    # The values themselves carry 1e-10 of the spread; the score must add nothing to that.
    for location, spread in [(1e6, 1e-2), (1e8, 1e-3)]:
        y = location + spread * rng.normal(size=(4, dims))
        x = location + spread * rng.normal(size=(4, 60, dims))
        want = [reference.energy(a, b) for a, b in zip(y, x, strict=True)]
        np.testing.assert_allclose(energy_score(y, x), want, rtol=1e-12)


def test_close_pairs_among_far_ones() -> None:
    # Clusters: pairs inside are a millionth of the distance between; inner products alone fail.
    rng = np.random.default_rng(24)
    centres = rng.normal(size=(4, 40))
    x = centres[rng.integers(0, 4, size=90)] + 1e-8 * rng.normal(size=(90, 40))
    y = centres[0] + 1e-8 * rng.normal(size=40)
    assert energy_score(y, x) == pytest.approx(reference.energy(y, x), rel=1e-13)
    # All members in one place: the score is the distance, exactly.
    same = np.tile(centres[1], (50, 1))
    assert energy_score(centres[2], same) == pytest.approx(
        np.linalg.norm(centres[1] - centres[2]), rel=1e-14
    )
    assert energy_score(centres[1], same) == 0.0


def test_far_truth() -> None:
    x = draw((40, 12), 25)
    y = np.full(12, 1e9)
    assert energy_score(y, x) == pytest.approx(reference.energy(y, x), rel=1e-14)


def test_levels_agree(at_level) -> None:
    y, x = draw((12, 9), 26), draw((45, 12, 9), 27)
    scores = {}
    for level in _core.simd_levels():
        at_level(level)
        scores[level] = energy_score(y, x, 0)
    for score in scores.values():
        np.testing.assert_allclose(score, scores["baseline"], rtol=1e-13)


def test_threads_change_no_bit(with_threads) -> None:
    y, x = draw((200, 10), 28), draw((80, 200, 10), 29)
    scores = []
    for threads in (1, 2, 5):
        with_threads(threads)
        scores.append(energy_score(y, x, 0))
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])


@settings(max_examples=60, deadline=None)
@given(members=st.integers(2, 40), dims=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_laws(members: int, dims: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = rng.normal(size=dims), rng.normal(size=(members, dims))
    score = energy_score(y, x)
    assert score >= -1e-14
    # Order of members, a common shift, a rotation: nothing. Scale: scales.
    permuted = energy_score(y, x[rng.permutation(members)])
    assert permuted == pytest.approx(score, rel=1e-12, abs=1e-14)
    shift = rng.normal(size=dims) * 100
    assert energy_score(y + shift, x + shift) == pytest.approx(score, rel=1e-10, abs=1e-12)
    rotation, _ = np.linalg.qr(rng.normal(size=(dims, dims)))
    assert energy_score(y @ rotation, x @ rotation) == pytest.approx(score, rel=1e-10, abs=1e-12)
    assert energy_score(3.5 * y, 3.5 * x) == pytest.approx(3.5 * score, rel=1e-12, abs=1e-13)
    # More members of the same empirical law.
    assert energy_score(y, np.repeat(x, 3, axis=0)) == pytest.approx(score, rel=1e-11, abs=1e-13)
    fair = energy_score(y, x, estimator="fair")
    assert fair <= score + 1e-14


def test_fair_is_unbiased_in_the_number_of_members() -> None:
    # Mean over 4000 points; the V-statistic of 4 members exceeds it by E|X - X'| / 8.
    rng = np.random.default_rng(30)
    y = rng.normal(size=(4000, 3))
    few = rng.normal(size=(4, 4000, 3))
    many = rng.normal(size=(200, 4000, 3))
    truth = energy_score(y, many, 0, estimator="fair").mean()
    scores = energy_score(y, few, 0, estimator="fair")
    error = scores.std() / np.sqrt(4000)
    assert abs(scores.mean() - truth) < 4 * error
    biased = energy_score(y, few, 0).mean()
    assert biased - truth > 8 * error


def test_proper_in_expectation() -> None:
    rng = np.random.default_rng(31)
    y = rng.normal(size=(1500, 4))
    noise = rng.normal(size=(100, 1500, 4))
    honest = energy_score(y, noise, 0).mean()
    for lie in (noise * 0.6, noise * 1.6, noise + 0.4):
        assert energy_score(y, lie, 0).mean() > honest + 0.01


def test_empty_and_float32() -> None:
    assert energy_score(np.empty((0, 3)), np.empty((5, 0, 3)), 0).shape == (0,)
    assert np.isnan(energy_score(np.empty((2, 0)), np.empty((5, 2, 0)), 0)).all()
    y, x = draw((4, 3), 32).astype(np.float32), draw((6, 4, 3), 33).astype(np.float32)
    got = energy_score(y, x, 0)
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, energy_score(y.astype(float), x.astype(float), 0))
    assert isinstance(energy_score(np.zeros(2), np.ones((3, 2))), float)


def test_errors_name_what_is_wrong() -> None:
    y, x = draw((5, 3)), draw((7, 5, 3))
    with pytest.raises(ShapeError, match=r"\(7, 5, 3\).*\(4, 3\)"):
        energy_score(y[:4], x, 0)
    with pytest.raises(ShapeError, match=r"\(5, 2\)"):
        energy_score(y[:, :2], x, 0)
    with pytest.raises(ParameterError, match="m_axis 3"):
        energy_score(y, x, 3)
    with pytest.raises(ParameterError, match="same axis"):
        energy_score(y, x, -1, -1)
    with pytest.raises(ParameterError, match="'qd'"):
        energy_score(y, x, 0, estimator="qd")
    with pytest.raises(ParameterError, match="at least 2 members"):
        energy_score(y, x[:1], 0, estimator="fair")
    with pytest.raises(ShapeError, match="no members"):
        energy_score(y, x[:0], 0)
    with pytest.raises(ParameterError, match="boolean"):
        energy_score(y, x, 0, mask=np.zeros((5, 3)))
    with pytest.raises(ShapeError, match="mask"):
        energy_score(y, x, 0, mask=np.zeros((4, 3), dtype=bool))
    for bad in (-1.0, 0.0, np.nan):
        with pytest.raises(ParameterError, match="ens_w"):
            energy_score(y, x, 0, ens_w=np.full(7, bad))
    with pytest.raises(ShapeError, match="ens_w"):
        energy_score(y, x, 0, ens_w=np.ones(6))
    with pytest.raises(ParameterError, match="real numbers"):
        energy_score(y, x.astype(complex), 0)
