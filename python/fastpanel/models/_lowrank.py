"""Low-rank-plus-diagonal quadratic form with masked entries, in any array library.

``xp`` is ``torch`` or ``jax.numpy``: one formula for both back ends.
"""

from __future__ import annotations

from typing import Any


def quadratic(
    xp: Any, residual: Any, loadings: Any, log_sigma: Any, observed: Any
) -> tuple[Any, Any]:
    """Log determinant and Mahalanobis distance of the observed part of each row.

    The covariance is ``loadings loadings' + diag(sigma^2)``. A masked entry has
    residual 0, loading 0 and variance 1, which marginalises it exactly.

    Parameters
    ----------
    xp
        ``torch`` or ``jax.numpy``.
    residual
        ``[..., T, A]``, 0 at masked entries.
    loadings
        ``[..., A, K]`` or None for K = 0.
    log_sigma
        ``[..., A]``.
    observed
        ``[T, A]``, 1.0 = observed, 0.0 = masked; None where nothing is masked,
        which needs one factorisation instead of one per row.

    Returns
    -------
    (log_det, distance)
        ``distance [..., T]``; ``log_det [..., T]``, or ``[..., 1]`` without a
        mask. Cost O(T A K^2), or O(T A K) without a mask; no matrix of size
        A x A is formed.

    Notes
    -----
    Woodbury and the matrix determinant lemma. The K x K systems are factorised
    by plain array arithmetic and never by LAPACK: a batched call per row costs
    more than the arithmetic, and on the CPU two of them at a time can stop a
    JAX program for good (``docs/decisions/0010``).
    """
    # masks enter through products with [A] vectors only: the one large array is the residual
    inverse = xp.exp(-2.0 * log_sigma)
    distance = (residual * residual * inverse[..., None, :]).sum(-1)
    if observed is None:
        log_det = 2.0 * log_sigma.sum(-1)[..., None]
    else:
        log_det = 2.0 * (observed @ log_sigma[..., None])[..., 0]
    if loadings is None:
        return log_det, distance
    scaled = loadings * inverse[..., None]
    if observed is None:
        gram = (xp.swapaxes(scaled, -1, -2) @ loadings)[..., None]
        whitened, own = _whiten(xp, gram, xp.swapaxes(scaled, -1, -2))
        projected = residual @ xp.swapaxes(whitened, -1, -2)
        return log_det + own, distance - (projected * projected).sum(-1)
    gram, right = _products(xp, residual, loadings, scaled, observed)
    whitened, own = _whiten(xp, gram, right)
    return log_det + own, distance - (whitened * whitened).sum(-2)


def state_quadratic(
    xp: Any,
    residual: Any,
    loadings: Any,
    log_sigma: Any,
    observed: Any,
    factor: Any,
    noise: Any,
) -> tuple[Any, Any]:
    """:func:`quadratic` in each of G states that rescale factors and noise.

    In state g the covariance is ``factor_g^2 loadings loadings' + noise_g^2
    diag(sigma^2)``. The products over assets are formed once for all states.

    Parameters
    ----------
    xp, observed
        As in :func:`quadratic`; ``observed`` is given.
    residual
        ``[..., G, T, A]``, or ``[..., 1, T, A]`` where all states share it.
    loadings, log_sigma
        ``[..., A, K]`` or None, and ``[..., A]``.
    factor, noise
        ``[..., G]``.

    Returns
    -------
    (log_det, distance)
        Both ``[..., G, T]``.
    """
    inverse = xp.exp(-2.0 * log_sigma)[..., None, :]
    factor, noise = factor[..., None], noise[..., None]
    precision = noise**-2.0
    distance = (residual * residual * inverse[..., None, :]).sum(-1) * precision
    log_det = 2.0 * (observed @ log_sigma[..., None])[..., None, :, 0]
    log_det = log_det + 2.0 * observed.sum(-1) * xp.log(noise)
    if loadings is None:
        return log_det, distance
    loadings = loadings[..., None, :, :]
    scaled = loadings * inverse[..., None]
    gram, right = _products(xp, residual, loadings, scaled, observed)
    share, weight = (factor**2 * precision)[..., None, None], (factor * precision)[..., None]
    whitened, own = _whiten(xp, gram * share, right * weight)
    return log_det + own, distance - (whitened * whitened).sum(-2)


def _products(xp: Any, residual: Any, loadings: Any, scaled: Any, observed: Any) -> tuple[Any, Any]:
    """``B' S^-1 B [..., K, K, T]`` and ``B' S^-1 residual [..., K, T]`` over observed entries."""
    n_assets, size = loadings.shape[-2:]
    pairs = (scaled[..., :, None] * loadings[..., None, :]).reshape(
        (*loadings.shape[:-2], n_assets, size * size)
    )
    gram = xp.swapaxes(observed @ pairs, -1, -2)
    gram = gram.reshape((*gram.shape[:-2], size, size, gram.shape[-1]))
    return gram, xp.swapaxes(residual @ scaled, -1, -2)


def _whiten(xp: Any, gram: Any, right: Any) -> tuple[Any, Any]:
    """``L^-1 right`` and ``log det(I + gram)`` where ``L L' = I + gram``.

    ``gram [..., K, K, N]``, ``right [..., K, M]`` with M = N or N = 1: the long
    axis is last, and one column of L leaves per round.
    """
    rows, log_det = [], 0.0
    for _ in range(gram.shape[-3]):
        pivot = 1.0 + gram[..., 0, 0, :]
        column = gram[..., 1:, 0, :] / xp.sqrt(pivot)[..., None, :]
        first = right[..., 0, :] / xp.sqrt(pivot)
        gram = gram[..., 1:, 1:, :] - column[..., :, None, :] * column[..., None, :, :]
        right = right[..., 1:, :] - column * first[..., None, :]
        rows.append(first)
        log_det = log_det + xp.log(pivot)
    return xp.stack(rows, -2), log_det
