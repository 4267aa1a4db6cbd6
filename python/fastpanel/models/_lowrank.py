"""Low-rank-plus-diagonal quadratic form with masked entries, in any array library.

``xp`` is ``torch`` or ``jax.numpy``: one formula for both back ends.
"""

from __future__ import annotations

from typing import Any

_UNROLLED = 4


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
        ``[T, A]``, 1.0 = observed, 0.0 = masked.

    Returns
    -------
    (log_det, distance)
        Both ``[..., T]``. Cost O(T A K^2); no matrix of size A x A is formed.

    Notes
    -----
    Woodbury and the matrix determinant lemma; the K x K system is solved by an
    unrolled Cholesky factorisation, since a batched call per row would cost
    more than the arithmetic.
    """
    log_det, distance, gram, projected = _moments(xp, residual, loadings, log_sigma, observed)
    return _explain(xp, log_det, distance, gram, projected)


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
        As in :func:`quadratic`.
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
    if loadings is not None:
        loadings = loadings[..., None, :, :]
    log_det, distance, gram, projected = _moments(
        xp, residual, loadings, log_sigma[..., None, :], observed
    )
    precision = noise[..., None] ** -2.0
    log_det = log_det + 2.0 * observed.sum(-1) * xp.log(noise)[..., None]
    share = factor[..., None] ** 2.0 * precision
    gram = [[entry * share for entry in row] for row in gram]
    weight = factor[..., None] * precision
    projected = [entry * weight for entry in projected]
    return _explain(xp, log_det, distance * precision, gram, projected)


def _moments(
    xp: Any, residual: Any, loadings: Any, log_sigma: Any, observed: Any
) -> tuple[Any, Any, list[list[Any]], list[Any]]:
    """Log determinant and distance of the noise alone, and the products with the loadings."""
    # masks enter through products with [A] vectors only: the one large array is the residual
    inverse = xp.exp(-2.0 * log_sigma)
    distance = (residual * residual * inverse[..., None, :]).sum(-1)
    log_det = 2.0 * _row_dot(observed, log_sigma)
    if loadings is None:
        return log_det, distance, [], []
    columns = [loadings[..., k] for k in range(loadings.shape[-1])]
    scaled = [column * inverse for column in columns]
    projected = [_row_dot(residual, column) for column in scaled]
    gram = [
        [_row_dot(observed, scaled[i] * columns[j]) for j in range(i + 1)]
        for i in range(len(columns))
    ]
    return log_det, distance, gram, projected


def _explain(
    xp: Any, log_det: Any, distance: Any, gram: list[list[Any]], projected: list[Any]
) -> tuple[Any, Any]:
    """Add what the factors explain; lists are overwritten."""
    for i, row in enumerate(gram):
        row[i] = row[i] + 1.0
    if len(gram) > _UNROLLED:
        return _solved(xp, log_det, distance, gram, projected)
    for i, row in enumerate(gram):
        for j in range(i):
            row[j] = (row[j] - sum(row[k] * gram[j][k] for k in range(j))) / gram[j][j]
            projected[i] = projected[i] - row[j] * projected[j]
        pivot = row[i] - sum(row[k] * row[k] for k in range(i))
        row[i] = xp.sqrt(pivot)
        projected[i] = projected[i] / row[i]
        log_det = log_det + xp.log(pivot)
        distance = distance - projected[i] * projected[i]
    return log_det, distance


def _row_dot(matrix: Any, vector: Any) -> Any:
    return (matrix @ vector[..., None])[..., 0]


def _solved(xp: Any, log_det: Any, distance: Any, gram: Any, projected: Any) -> tuple[Any, Any]:
    size = len(projected)
    full = [[gram[max(i, j)][min(i, j)] for j in range(size)] for i in range(size)]
    matrix = xp.stack([xp.stack(row, -1) for row in full], -2)
    vector = xp.stack(projected, -1)[..., None]
    lower = xp.linalg.cholesky(matrix)
    diagonal = xp.stack([lower[..., k, k] for k in range(size)], -1)
    explained = (vector * xp.linalg.solve(matrix, vector))[..., 0].sum(-1)
    return log_det + 2.0 * xp.log(diagonal).sum(-1), distance - explained
