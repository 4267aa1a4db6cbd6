"""Prebuild hooks by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from fastpanel.errors import ModelError
from fastpanel.models._contract import PrebuildContext, PrebuildResult
from fastpanel.registry import Registry

T = TypeVar("T", bound=Callable[..., Any])

_PREBUILDS = Registry[Callable[..., Any]]("prebuild hook")
_BUILTIN = ("factor_prior_init",)


def register_prebuild(name: str) -> Callable[[T], T]:
    """Register a hook ``(PrebuildContext) -> PrebuildResult``.

    Parameters
    ----------
    name : str
        What ``model.prebuild.name`` refers to.

    Returns
    -------
    callable
        Decorator that gives the hook back.

    Examples
    --------
    >>> from fastpanel.models import PrebuildResult
    >>> @register_prebuild("doc_nothing")
    ... def nothing(context):
    ...     return PrebuildResult()
    >>> "doc_nothing" in default_prebuild_registry()
    True
    """
    return _PREBUILDS.register(name)


def default_prebuild_registry() -> Registry[Callable[..., Any]]:
    """Prebuild hooks, the built-in ones included.

    Returns
    -------
    Registry
        Name to hook; an unknown name raises ``UnknownNameError``.

    Examples
    --------
    >>> "factor_prior_init" in default_prebuild_registry()
    True
    """
    for name in _BUILTIN:
        importlib.import_module(f"fastpanel.models.prebuilds.{name}")
    return _PREBUILDS


def run_prebuild(name: str, context: PrebuildContext) -> PrebuildResult:
    """Run a registered hook on training rows.

    Parameters
    ----------
    name : str
    context : PrebuildContext
        Rows that every fold may train on.

    Returns
    -------
    PrebuildResult

    Raises
    ------
    UnknownNameError
        No hook of that name.
    ModelError
        The hook returned something else than a :class:`PrebuildResult`.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.random.default_rng(0).normal(size=(50, 2))
    >>> run_prebuild("factor_prior_init", PrebuildContext(X=np.zeros((50, 2, 1)), y=y)).metadata
    {'rows': 50, 'observed': 100}
    """
    result = default_prebuild_registry()[name](context)
    if not isinstance(result, PrebuildResult):
        raise ModelError(
            f"prebuild hook '{name}' returned {type(result).__name__}; "
            "return PrebuildResult(model_params, guide_params, metadata)"
        )
    return result
