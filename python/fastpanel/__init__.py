"""Leakage-safe probabilistic panel forecasting on a compiled core.

``import fastpanel as fp`` is light: submodules load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastpanel._version import __version__ as __version__

if TYPE_CHECKING:
    from fastpanel import (
        cross_section as cross_section,
    )
    from fastpanel import (
        data as data,
    )
    from fastpanel import (
        diagnostics as diagnostics,
    )
    from fastpanel import (
        errors as errors,
    )
    from fastpanel import (
        features as features,
    )
    from fastpanel import (
        models as models,
    )
    from fastpanel import (
        portfolio as portfolio,
    )
    from fastpanel import (
        preprocess as preprocess,
    )
    from fastpanel import (
        rolling as rolling,
    )
    from fastpanel import (
        scoring as scoring,
    )
    from fastpanel import (
        selection as selection,
    )
    from fastpanel import (
        simulation as simulation,
    )
    from fastpanel import (
        splits as splits,
    )
    from fastpanel import (
        tuning as tuning,
    )
    from fastpanel._audit import audit as audit
    from fastpanel._runtime import set_num_threads as set_num_threads
    from fastpanel._runtime import show_versions as show_versions
    from fastpanel.data import (
        Panel as Panel,
    )
    from fastpanel.data import (
        clean_bars as clean_bars,
    )
    from fastpanel.data import (
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
__all__ = [  # noqa: PLE0604  the names stand once, in the tables above
    "__version__",
    *sorted(_SUBMODULES),
    *sorted(_ATTRIBUTES),
]


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
