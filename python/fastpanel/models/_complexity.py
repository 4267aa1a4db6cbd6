"""Complexity measures by the name of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fastpanel.registry import Registry

T = TypeVar("T", bound=Callable[..., Any])

_COMPLEXITY = Registry[Callable[..., float]]("complexity measure")


def register_complexity(model_name: str) -> Callable[[T], T]:
    """Register ``(params, n_assets, n_features) -> float`` for a model name.

    The value is the effective number of free parameters; it breaks ties
    between candidates that forecast equally well.

    Parameters
    ----------
    model_name : str
        Name of the model, whether it is registered yet or not.

    Returns
    -------
    callable
        Decorator that gives the function back.

    Examples
    --------
    >>> @register_complexity("doc_flat_model")
    ... def size(params, n_assets, n_features):
    ...     return n_assets
    >>> complexity("doc_flat_model", {}, 4, 3)
    4.0
    """
    return _COMPLEXITY.register(model_name)


def complexity(model_name: str, params: Mapping[str, Any], n_assets: int, n_features: int) -> float:
    """Effective number of free parameters of a model with these parameters.

    Parameters
    ----------
    model_name : str
    params : mapping
        ``model.params``.
    n_assets, n_features : int
        A and F of the panel.

    Returns
    -------
    float
        It breaks ties between candidates that forecast equally well.

    Raises
    ------
    UnknownNameError
        No measure is registered for ``model_name``.

    Examples
    --------
    >>> small = complexity("factor_model_v1", {"num_factors": 0}, 4, 3)
    >>> large = complexity("factor_model_v1", {"num_factors": 2}, 4, 3)
    >>> small < large
    True
    """
    return float(_COMPLEXITY[model_name](params, n_assets, n_features))
