"""Metrics by name, inner and outer ones apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastpanel.registry import Registry, one_of

T = TypeVar("T", bound=Callable[..., Any])

SCOPES = ("inner", "outer")
_METRICS = {scope: Registry[Callable[..., Any]](f"{scope} metric") for scope in SCOPES}


def register_metric(name: str, scope: str = "inner") -> Callable[[T], T]:
    """Register a metric builder.

    An inner builder receives the scoring spec and returns a callable
    ``(y_true, pred, score_spec) -> float``. Outer metrics live in a registry of
    their own, so one name may exist in both scopes.

    Parameters
    ----------
    name : str
        What ``scoring.spec.metric_name`` or ``outer.metrics`` refers to.
    scope : {"inner", "outer"}

    Returns
    -------
    callable
        Decorator that gives the builder back.

    Raises
    ------
    ParameterError
        ``scope`` is neither ``"inner"`` nor ``"outer"``.

    Examples
    --------
    >>> @register_metric("doc_bias")
    ... def build(spec):
    ...     return lambda y_true, pred, score_spec: float((pred["mean"] - y_true).mean())
    >>> metric_registry("inner")["doc_bias"] is build
    True
    """
    return metric_registry(scope).register(name)


def metric_registry(scope: str = "inner") -> Registry[Callable[..., Any]]:
    """Metric builders of one scope.

    Parameters
    ----------
    scope : {"inner", "outer"}

    Returns
    -------
    Registry
        Name to builder (inner) or function (outer).

    Examples
    --------
    >>> import fastpanel.simulation  # registers the built-in inner metrics
    >>> "energy_score" in metric_registry("inner")
    True
    """
    return _METRICS[one_of(scope, SCOPES, "scope")]
