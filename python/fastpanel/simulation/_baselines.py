"""Two honest baselines, issued with the same information as the model each week."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastpanel.typing import FloatArray

Baseline = Callable[[FloatArray, int, np.random.Generator], FloatArray]
"""``(y_train [n, A], draws, generator) -> samples [S, A]``."""

EWMA_DECAY = 0.94


def climatology(y_train: FloatArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """Training weeks drawn whole, with replacement: the historical joint distribution.

    A missing entry of a drawn week is filled from another observed week of the
    same asset; an asset never observed stays NaN.

    Parameters
    ----------
    y_train : float64 [n, A]
        Targets known when the forecast is made, oldest first; NaN = missing.
    draws : int
        S.
    rng : numpy Generator

    Returns
    -------
    float64 [S, A]
        Joint draws in the unit of ``y_train``.

    Examples
    --------
    >>> y = np.array([[0.01, 0.02], [-0.03, 0.0]])
    >>> climatology(y, 1000, np.random.default_rng(0)).mean(axis=0).round(2).tolist()
    [-0.01, 0.01]
    """
    samples: FloatArray = y_train[rng.integers(len(y_train), size=draws)]
    for asset in range(y_train.shape[1]):
        missing = np.isnan(samples[:, asset])
        observed = y_train[np.isfinite(y_train[:, asset]), asset]
        if missing.any() and observed.size:
            samples[missing, asset] = rng.choice(observed, size=int(missing.sum()))
    return samples


def ewma_volatility(y_train: FloatArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """Zero mean, EWMA volatility per asset (decay 0.94), training correlation, normal.

    Pairs of assets are correlated over their common weeks; the matrix is
    repaired to be positive semidefinite. An asset never observed stays NaN.

    Parameters
    ----------
    y_train, draws, rng
        As for :func:`climatology`.

    Returns
    -------
    float64 [S, A]
        As of :func:`climatology`.

    Examples
    --------
    >>> y = 0.02 * np.random.default_rng(0).normal(size=(200, 2))
    >>> ewma_volatility(y, 1000, np.random.default_rng(0)).shape
    (1000, 2)
    """
    observed = np.isfinite(y_train)
    weights = EWMA_DECAY ** np.arange(len(y_train) - 1, -1, -1)[:, None] * observed
    squares = np.where(observed, y_train, 0.0) ** 2
    with np.errstate(invalid="ignore"):
        volatility = np.sqrt((weights * squares).sum(axis=0) / weights.sum(axis=0))
    normal = rng.standard_normal((draws, y_train.shape[1]))
    samples: FloatArray = normal @ _root(_correlation(y_train, observed)) * volatility
    return samples


def _correlation(y: FloatArray, observed: np.ndarray) -> FloatArray:
    count = observed.sum(axis=0)
    mean = np.where(observed, y, 0.0).sum(axis=0) / np.maximum(count, 1)
    centred = np.where(observed, y - mean, 0.0)
    both = observed.T.astype(np.float64) @ observed
    cross = centred.T @ centred
    scale = np.sqrt((centred**2).T @ observed) * np.sqrt(observed.T @ (centred**2))
    correlation: FloatArray = np.divide(
        cross, scale, out=np.zeros_like(cross), where=(scale > 0) & (both > 1)
    )
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _root(correlation: FloatArray) -> FloatArray:
    """Symmetric square root of the nearest positive semidefinite matrix with unit diagonal."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    norms = np.sqrt((root**2).sum(axis=1, keepdims=True))
    root = root / np.where(norms > 0, norms, 1.0)
    transposed: FloatArray = root.T
    return transposed


BASELINES: dict[str, Baseline] = {"climatology": climatology, "ewma_volatility": ewma_volatility}
