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


def test_plain_functions_give_the_same_and_a_hint(with_threads) -> None:
    y, x = draw((40, 3), 5), draw((40, 10, 3), 6)
    with_threads(1)
    one = kernel_score(y, x, city_block)
    with_threads(4)
    np.testing.assert_array_equal(kernel_score(y, x, city_block), one)
    with pytest.warns(UserWarning, match=r"'city_block' pair by pair.*@numba\.njit"):
        np.testing.assert_allclose(kernel_score(y, x, city_block.py_func), one, rtol=1e-13)
    by_hand = np.abs(x - y[:, None]).sum(-1).mean(-1)
    by_hand -= 0.5 * np.abs(x[:, :, None] - x[:, None]).sum(-1).mean((-2, -1))
    np.testing.assert_allclose(one, by_hand, rtol=1e-12)


@numba.njit
def city_block(a, b):
    return -np.abs(a - b).sum()


def test_kernels_cannot_change_the_input() -> None:
    @numba.njit
    def clear(a, b):
        a[0] = 0.0
        return 0.0

    declared = numba.njit("float64(float64[:], float64[:])")(clear.py_func)
    y, x = draw((5, 3)), draw((7, 5, 3))
    before = x.copy()
    with pytest.raises(ParameterError, match="read-only: copy it"):
        kernel_score(y, x, clear, 0)
    kernel_score(y, x, declared, 0)
    with pytest.raises(ValueError, match="read-only"), pytest.warns(UserWarning):
        kernel_score(y, x, clear.py_func, 0)
    np.testing.assert_array_equal(x, before)


def test_errors_name_what_is_wrong() -> None:
    y, x = draw((5, 3)), draw((5, 7, 3))

    @numba.njit
    def broken(a, b):
        return a.no_such_thing(b)  # the line to show

    with pytest.raises(ParameterError, match="'broken' does not compile") as caught:
        kernel_score(y, x, broken)
    assert "a.no_such_thing(b)  # the line to show" in str(caught.value)
    with pytest.raises(ParameterError, match="must return one real number"):
        kernel_score(y, x, numba.njit(lambda a, b: a - b))
    with pytest.raises(ParameterError, match="function of two vectors"):
        kernel_score(y, x, 3.0)
    with pytest.raises(ShapeError):
        kernel_score(y[:4], x, minus_norm)
    with pytest.raises(ParameterError, match="estimator"):
        kernel_score(y, x, minus_norm, estimator="qd")
