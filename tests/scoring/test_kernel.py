"""Kernel scores with users' kernels."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from fastpanel.errors import ParameterError, ShapeError
from fastpanel.scoring import energy_score, kernel_score


@numba.njit
def minus_norm(a, b):
    total = 0.0
    for i in range(a.size):
        total += (a[i] - b[i]) ** 2
    return -np.sqrt(total)


@numba.njit
def gaussian(a, b):
    return np.exp(-0.5 * np.sum((a - b) ** 2))


def draw(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("estimator", ["nrg", "fair"])
def test_minus_norm_is_the_energy_score(estimator: str) -> None:
    y, x = draw((9, 4), 1), draw((21, 9, 4), 2)
    got = kernel_score(y, x, minus_norm, 0, estimator=estimator)
    np.testing.assert_allclose(got, energy_score(y, x, 0, estimator=estimator), rtol=1e-12)


def test_gaussian_kernel_score_is_that_of_scoringrules() -> None:
    scoringrules = pytest.importorskip("scoringrules")
    y, x = draw((5, 3), 3), draw((5, 17, 3), 4)
    want = scoringrules.gksmv_ensemble(y, x)
    np.testing.assert_allclose(kernel_score(y, x, gaussian), want, rtol=1e-12)


def test_plain_functions_are_compiled_and_threads_change_no_bit(with_threads) -> None:
    def plain(a, b):
        return -np.abs(a - b).sum()

    y, x = draw((40, 3), 5), draw((40, 10, 3), 6)
    with_threads(1)
    one = kernel_score(y, x, plain)
    with_threads(4)
    np.testing.assert_array_equal(kernel_score(y, x, plain), one)
    by_hand = np.abs(x - y[:, None]).sum(-1).mean(-1)
    by_hand -= 0.5 * np.abs(x[:, :, None] - x[:, None]).sum(-1).mean((-2, -1))
    np.testing.assert_allclose(one, by_hand, rtol=1e-12)


def test_errors_name_what_is_wrong() -> None:
    y, x = draw((5, 3)), draw((5, 7, 3))

    def three(a, b, c):
        return 0.0

    with pytest.raises(ParameterError, match="does not compile"):
        kernel_score(y, x, three)
    with pytest.raises(ParameterError, match="function of two vectors"):
        kernel_score(y, x, 3.0)
    with pytest.raises(ShapeError):
        kernel_score(y[:4], x, minus_norm)
    with pytest.raises(ParameterError, match="estimator"):
        kernel_score(y, x, minus_norm, estimator="qd")
