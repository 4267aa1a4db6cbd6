"""The definitions as loops, in extended precision: obvious, slow."""

from __future__ import annotations

import numpy as np


def energy(
    y: np.ndarray, x: np.ndarray, *, fair: bool = False, w: np.ndarray | None = None
) -> float:
    """Energy score of one point: y [D], x [M, D]."""
    y, x = y.astype(np.longdouble), x.astype(np.longdouble)
    members = len(x)
    w = np.full(members, 1.0 / members) if w is None else w / w.sum()
    w = w.astype(np.longdouble)
    first = (w * np.sqrt(((x - y) ** 2).sum(-1))).sum()
    second = sum(w[i] * (w * np.sqrt(((x - x[i]) ** 2).sum(-1))).sum() for i in range(members))
    return float(first - second / (2 * (1 - (w**2).sum() if fair else 1)))


def crps(y: float, x: np.ndarray, *, fair: bool = False) -> float:
    """CRPS of one point: the energy score in one dimension."""
    return energy(np.array([y]), np.asarray(x)[:, None], fair=fair)


def variogram(
    y: np.ndarray,
    x: np.ndarray,
    p: float,
    *,
    pairs: np.ndarray | None = None,
    fair: bool = False,
    w: np.ndarray | None = None,
) -> float:
    """Variogram score of one point as an energy form over members."""
    members, dims = x.shape
    w = np.full(members, 1.0 / members) if w is None else w / w.sum()
    pairs = np.ones((dims, dims)) if pairs is None else pairs
    score = 0.0
    for i in range(dims):
        for j in range(dims):
            rho = np.abs(x[:, i] - x[:, j]) ** p
            near = (w * (rho - abs(y[i] - y[j]) ** p) ** 2).sum()
            apart = sum(
                w[a] * w[b] * (rho[a] - rho[b]) ** 2 for a in range(members) for b in range(members)
            )
            score += pairs[i, j] * (near - 0.5 * apart / (1 - (w**2).sum() if fair else 1))
    return score
