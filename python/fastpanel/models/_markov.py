"""Exact marginalisation of a finite Markov chain behind the rows, in any array library.

``xp`` is ``torch`` or ``jax.numpy``: one formula for both back ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def forward(
    xp: Any, constant: Callable[[Any], Any], log_emission: Any, initial: Any, transition: Any
) -> tuple[Any, Any]:
    """Forward algorithm: log likelihood, and the state's law after the last row.

    Parameters
    ----------
    xp
        ``torch`` or ``jax.numpy``.
    constant
        Cuts the gradient (``detach``, ``stop_gradient``): for the scales that
        keep the products in range, which cancel.
    log_emission
        ``[..., T, G]``: log density of each row in each state, 0 for a row
        without any observed entry.
    initial
        ``[..., G]``: probabilities in the first row.
    transition
        ``[..., G, G]``: row = from, column = to.

    Returns
    -------
    (log_likelihood, filtered)
        ``[...]`` and ``[..., G]``.

    Notes
    -----
    The chain is a product of T matrices, multiplied pairwise: O(T G^3) work in
    log2(T) steps, where a loop over the rows would take T small ones.
    """
    peak = constant(xp.amax(log_emission, -1))
    weight = xp.exp(log_emission - peak[..., None])
    total = peak.sum(-1)
    start = initial * weight[..., 0, :]
    chain = transition[..., None, :, :] * weight[..., 1:, None, :]
    while chain.shape[-3] > 1:
        paired = chain.shape[-3] // 2 * 2
        product = chain[..., 0:paired:2, :, :] @ chain[..., 1:paired:2, :, :]
        scale = constant(xp.amax(product, (-2, -1)))
        total = total + xp.log(scale).sum(-1)
        product = product / scale[..., None, None]
        last = chain[..., paired:, :, :]
        chain = xp.concatenate((product, last), -3) if last.shape[-3] else product
    if chain.shape[-3]:
        start = (start[..., None, :] @ chain[..., 0, :, :])[..., 0, :]
    evidence = start.sum(-1)
    return total + xp.log(evidence), start / evidence[..., None]


def uniform_moves(xp: Any, stay: Any) -> tuple[Any, Any]:
    """Stationary law and transitions of a chain that leaves each state evenly.

    Parameters
    ----------
    stay
        ``[..., G]``: odds of staying in each state.

    Returns
    -------
    (initial, transition)
        ``[..., G]`` and ``[..., G, G]``.
    """
    size = stay.shape[-1]
    leave = 1.0 / (1.0 + stay)
    same = xp.eye(size, dtype=stay.dtype)
    move = (1.0 - same) / (size - 1)
    transition = same * (stay * leave)[..., None] + move * leave[..., None]
    weight = 1.0 + stay
    return weight / weight.sum(-1)[..., None], transition


def rouwenhorst(xp: Any, persistence: Any, size: int) -> tuple[Any, Any]:
    """Chain of ``size`` levels with the moments of a stationary AR(1).

    Parameters
    ----------
    persistence
        ``[...]``: autocorrelation of the AR(1), in (-1, 1).
    size
        Number of levels, at least 2; they lie evenly on ``sqrt(size - 1) * [-1, 1]``.

    Returns
    -------
    (initial, transition)
        ``[..., size]`` (binomial) and ``[..., size, size]``. Mean 0, variance 1
        and every autocorrelation are exactly those of the AR(1).

    Notes
    -----
    Rouwenhorst (1995); Kopecky and Suen (2010). Unlike a grid with normal
    weights it stays exact, and smooth in the persistence, close to a unit root.
    """
    up = (1.0 + persistence)[..., None, None] / 2.0
    down = 1.0 - up
    chain = xp.concatenate((xp.concatenate((up, down), -1), xp.concatenate((down, up), -1)), -2)
    for _ in range(size - 2):
        row = xp.zeros_like(chain[..., :1, :])
        wide = xp.concatenate((chain, row), -2)
        column = xp.zeros_like(wide[..., :, :1])
        left, right = xp.concatenate((wide, column), -1), xp.concatenate((column, wide), -1)
        lower_left = xp.concatenate((left[..., -1:, :], left[..., :-1, :]), -2)
        lower_right = xp.concatenate((right[..., -1:, :], right[..., :-1, :]), -2)
        chain = up * left + down * right + down * lower_left + up * lower_right
        chain = chain / chain.sum(-1)[..., None]
    binomial = [1.0]
    for k in range(size - 1):
        binomial.append(binomial[-1] * (size - 1 - k) / (k + 1))
    weights = [value / 2.0 ** (size - 1) for value in binomial]
    initial = xp.stack([xp.zeros_like(persistence) + value for value in weights], -1)
    return initial, chain
