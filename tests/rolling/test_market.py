"""Mean pairwise correlation and the share of the leading eigenvalue, against pandas and NumPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fastpanel as fp
from fastpanel.errors import ParameterError, ShapeError

corr_mean, pc1_share = fp.rolling.corr_mean, fp.rolling.pc1_share


def correlation(x: np.ndarray, window: int, needed: int) -> np.ndarray:
    out = np.full(len(x), np.nan)
    for t in range(len(x)):
        frame = pd.DataFrame(x[max(0, t + 1 - window) : t + 1])
        pairs = frame.corr(min_periods=needed).to_numpy()[np.triu_indices(x.shape[1], 1)]
        if not np.isnan(pairs).all():
            out[t] = np.nanmean(pairs)
    return out


def share(x: np.ndarray, window: int, needed: int) -> np.ndarray:
    out = np.full(len(x), np.nan)
    for t in range(len(x)):
        w = x[max(0, t + 1 - window) : t + 1]
        w = w[:, (~np.isnan(w)).sum(axis=0) >= needed]
        w = w[~np.isnan(w).any(axis=1)]
        if w.shape[1] and len(w) >= 2:
            values = np.linalg.eigvalsh(np.atleast_2d(np.cov(w.T)))
            out[t] = values[-1] / values.sum()
    return out


def panel(shape: tuple[int, int], gaps: float, seed: int = 30) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) + rng.normal(size=(shape[0], 1))
    x[rng.random(shape) < gaps] = np.nan
    return x


shapes = pytest.mark.parametrize("shape", [(120, 2), (120, 9), (90, 17), (4, 3)])
windows = pytest.mark.parametrize(("window", "needed"), [(2, 2), (20, 20), (30, 10), (60, 30)])


@shapes
@windows
@pytest.mark.parametrize("gaps", [0.0, 0.01, 0.3])
@pytest.mark.parametrize(("run", "of"), [(corr_mean, correlation), (pc1_share, share)])
def test_agrees_with_the_definition(run, of, shape, window, needed, gaps, level):
    x = panel(shape, gaps)
    want = of(x, window, needed)
    np.testing.assert_allclose(run(x, window, min_periods=needed), want, rtol=1e-10, atol=1e-13)


def test_worked_examples():
    r = np.random.default_rng(31).normal(size=40)
    assert corr_mean(np.c_[r, 2 * r, -r], 40)[-1] == pytest.approx(-1 / 3, abs=1e-14)
    assert pc1_share(np.c_[r, 2 * r, -r], 40)[-1] == pytest.approx(1.0, abs=1e-15)
    orthogonal = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1.0]])
    assert pc1_share(orthogonal, 4)[-1] == pytest.approx(1 / 3, abs=1e-14)
    assert corr_mean(orthogonal, 4)[-1] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("needed", [30, 20])
def test_a_constant_asset_leaves_the_correlation(needed):
    x = panel((80, 6), 0.0)
    x[:, 2] = 0.1
    x[5, 4] = np.nan
    want = correlation(np.delete(x, 2, axis=1), 30, needed)
    np.testing.assert_allclose(corr_mean(x, 30, min_periods=needed), want, rtol=1e-11)


def test_nothing_that_varies_gives_nan():
    assert np.isnan(pc1_share(np.full((30, 3), 0.1), 10)).all()
    assert np.isnan(corr_mean(np.full((30, 3), 0.1), 10)).all()
    assert np.isnan(corr_mean(panel((30, 1), 0.0), 10)).all()
    np.testing.assert_allclose(pc1_share(panel((30, 1), 0.0), 10)[9:], 1.0, rtol=1e-14)


def test_eigenvector_without_a_common_direction():
    # Two assets that offset each other: the sum of all assets carries no variance.
    r = np.random.default_rng(32).normal(size=(50, 3))
    x = np.c_[10 * r[:, 0], -10 * r[:, 0], r[:, 1], r[:, 2]]
    np.testing.assert_allclose(pc1_share(x, 20), share(x, 20, 20), rtol=1e-11)


def test_close_eigenvalues():
    x = np.random.default_rng(33).normal(size=(300, 120))
    got = pc1_share(x, 250)
    np.testing.assert_allclose(got[249:], share(x, 250, 250)[249:], rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_scale_does_not_matter(scale):
    x = panel((60, 5), 0.05)
    for run in (corr_mean, pc1_share):
        want = run(x, 20, min_periods=15)
        np.testing.assert_allclose(run(x * scale, 20, min_periods=15), want, rtol=1e-10)


@pytest.mark.parametrize("run", [corr_mean, pc1_share])
def test_level_does_not_matter(run):
    x = panel((100, 7), 0.05)
    x *= 1e-3
    got = run(x + 1e4, 20, min_periods=15)
    np.testing.assert_allclose(got, run(x, 20, min_periods=15), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("run", [corr_mean, pc1_share])
@pytest.mark.parametrize("intruder", [np.nan, np.inf, 1e9])
@pytest.mark.parametrize("at", [19, 20, 30, 39])
def test_what_has_left_leaves_no_trace(run, intruder, at):
    x = panel((100, 9), 0.0)
    clean = run(x, 20, min_periods=12)
    x[at, ::2] = intruder
    after = run(x, 20, min_periods=12)
    np.testing.assert_array_equal(after[:at], clean[:at])
    np.testing.assert_allclose(after[at + 20 :], clean[at + 20 :], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("run", [corr_mean, pc1_share])
def test_later_rows_and_threads_change_no_bit_and_earlier_rows_rounding(run, threads):
    x = panel((300, 40), 0.002)
    whole = run(x, 20, min_periods=12)
    for cut in (1, 19, 20, 21, 150):
        np.testing.assert_array_equal(run(x[:cut], 20, min_periods=12), whole[:cut])
        part = run(x[cut:], 20, min_periods=12)[20:]
        np.testing.assert_allclose(part, whole[cut + 20 :], rtol=1e-13, atol=1e-14)
    fp.set_num_threads(1)
    np.testing.assert_array_equal(run(x, 20, min_periods=12), whole)


@pytest.mark.parametrize("run", [corr_mean, pc1_share])
def test_empty_and_wrong_input(run):
    assert run(np.zeros((0, 3)), 5).shape == (0,)
    assert np.isnan(run(np.zeros((4, 0)), 2)).all()
    with pytest.raises(ShapeError, match="2 axes"):
        run(np.zeros(4), 2)
    with pytest.raises(ParameterError, match="min_periods"):
        run(np.zeros((4, 2)), 2, min_periods=3)


@pytest.mark.parametrize("run", [corr_mean, pc1_share])
@pytest.mark.parametrize("gaps", [0.0, 0.05])
def test_rows_get_the_same_bits(run, gaps, threads):
    x = panel((400, 11), gaps)
    whole = run(x, 60, min_periods=30)
    for rows in ([], [0], [399], range(4, 400, 5), [3, 60, 61, 119, 120, 300], range(400)):
        got = run(x, 60, min_periods=30, rows=np.array(rows, dtype=np.int64))
        np.testing.assert_array_equal(got, whole[list(rows)])


@pytest.mark.parametrize("run", [corr_mean, pc1_share])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([3, 3], "rows must rise, got 3 before 3"),
        ([5, 2], "rows must rise, got 5 before 2"),
        ([-1, 2], "rows must lie between 0 and 29, got -1"),
        ([30], "rows must lie between 0 and 29, got 30"),
        ([1.5], "row numbers"),
        ([[1]], "row numbers"),
    ],
)
def test_refuses_wrong_rows(run, rows, message):
    with pytest.raises(ParameterError, match=message):
        run(np.zeros((30, 3)), 5, rows=rows)
