"""Allocators by name: rules that turn predictive samples into weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastpanel.registry import Registry
from fastpanel.typing import FloatArray

if TYPE_CHECKING:
    from fastpanel.portfolio._spec import AllocationSpec

Allocator = Callable[[FloatArray, FloatArray, "AllocationSpec"], FloatArray]
"""``(samples [S, n], mean [n], spec) -> weights [n]`` of the n assets that are there."""

_ALLOCATORS = Registry[Allocator]("allocator")


def allocators() -> Registry[Allocator]:
    """Every allocator by the name that ``allocation.method`` takes.

    Returns
    -------
    Registry
        An unknown name raises ``UnknownNameError``.

    Examples
    --------
    >>> "min_cvar" in allocators()
    True
    """
    return _ALLOCATORS


def register_allocator(name: str) -> Callable[[Allocator], Allocator]:
    """Register a rule of your own under ``allocation.method: <name>``.

    The function gets ``samples`` float64 [S, n] (joint draws of simple
    returns, finite), ``mean`` float64 [n] and the
    :class:`~fastpanel.portfolio.AllocationSpec`, whose ``params`` are free for
    it, for the n assets that are there; it returns n weights. Whatever it
    returns is brought inside ``gross``, ``max_weight`` and ``long_only``; a
    ``net`` is its own affair.

    Parameters
    ----------
    name : str

    Returns
    -------
    callable
        Decorator that gives the function back.

    Raises
    ------
    DuplicateNameError
        The name is taken.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.portfolio import allocate
    >>> @register_allocator("doc_inverse_vol")
    ... def inverse_vol(samples, mean, spec):
    ...     parts = 1.0 / samples.std(axis=0)
    ...     return spec.gross * parts / parts.sum()
    >>> draws = np.array([[0.01, 0.02], [-0.01, -0.02]])
    >>> allocate({"samples": draws}, {"method": "doc_inverse_vol"}).round(3).tolist()
    [0.667, 0.333]
    """
    return _ALLOCATORS.register(name)
