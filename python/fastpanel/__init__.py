"""Leakage-safe probabilistic panel forecasting on a compiled core.

``import fastpanel as fp`` is light: submodules load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastpanel._version import __version__

if TYPE_CHECKING:
    from fastpanel import (
        cross_section as cross_section,
        data as data,
        diagnostics as diagnostics,
        errors as errors,
        features as features,
        models as models,
        portfolio as portfolio,
        preprocess as preprocess,
        rolling as rolling,
        scoring as scoring,
        selection as selection,
        simulation as simulation,
        splits as splits,
        tuning as tuning,
    )
    from fastpanel._runtime import set_num_threads as set_num_threads, show_versions as show_versions
    from fastpanel._audit import audit as audit
    from fastpanel.data import (
        Panel as Panel,
        clean_bars as clean_bars,
        read_bars as read_bars,
    )

_SUBMODULES = {
    "cross_section",
    "data",
    "diagnostics",
    "errors",
    "features",
    "models",
    "portfolio",
    "preprocess",
    "rolling",
    "scoring",
    "selection",
    "simulation",
    "splits",
    "tuning",
}
_ATTRIBUTES = {
    "Panel": "fastpanel.data",
    "read_bars": "fastpanel.data",
    "clean_bars": "fastpanel.data",
    "audit": "fastpanel._audit",
    "set_num_threads": "fastpanel._runtime",
    "show_versions": "fastpanel._runtime",
}
__all__ = sorted(["__version__", *_SUBMODULES, *_ATTRIBUTES])


def __getattr__(name: str) -> Any:
    if name in _ATTRIBUTES:
        value = getattr(importlib.import_module(_ATTRIBUTES[name]), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"fastpanel.{name}")
    else:
        raise AttributeError(f"module 'fastpanel' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
