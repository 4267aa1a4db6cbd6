"""Splitters by name, for configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastpanel.registry import Registry

Factory = Callable[[Mapping[str, Any]], Any]

CV_REGISTRY: Registry[Factory] = Registry("splitter")
"""Name to factory; a factory takes a mapping of parameters."""


def register_cv(name: str) -> Callable[[Factory], Factory]:
    """Register a factory of splitters under ``name``.

    Parameters
    ----------
    name : str
        What ``cv.name`` of an experiment refers to.

    Returns
    -------
    callable
        Decorator of a factory, which takes a mapping of parameters and returns a
        splitter of scikit-learn's protocol.

    Raises
    ------
    DuplicateNameError
        The name is taken.

    Examples
    --------
    >>> from fastpanel.splits import CV_REGISTRY
    >>> CV_REGISTRY["cpcv"]({"n_blocks": 6, "n_test_blocks": 2}).get_n_splits()
    15
    """
    return CV_REGISTRY.register(name)
