"""Optional dependencies: imported on first use, with an error that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from fastpanel.errors import MissingExtraError

_EXTRA_OF_MODULE = {
    "torch": "torch",
    "pyro": "pyro",
    "jax": "numpyro",
    "numpyro": "numpyro",
    "optuna": "tuning",
    "ray": "ray",
    "mlflow": "mlflow",
    "matplotlib": "plots",
    "safetensors": "numpyro",
    "pandas": "pandas",
    "exchange_calendars": "calendars",
    "ib_async": "providers",
}


def require(module: str, purpose: str) -> ModuleType:
    """Import ``module`` or raise :class:`MissingExtraError` naming the extra.

    ``purpose`` completes the sentence "... is needed for <purpose>".
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        root = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != root:
            raise  # the package is there; something inside it is broken
        extra = _EXTRA_OF_MODULE.get(root)
        package = f"'fastpanel[{extra}]'" if extra else root
        raise MissingExtraError(
            f"{root} is needed for {purpose} but is not installed: pip install {package}"
        ) from error
