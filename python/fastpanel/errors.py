"""Errors of fastpanel.

Every error derives from :class:`FastPanelError` and from the builtin that a
caller would expect, so ``except ValueError`` keeps working. A message names
the value, the place and the remedy.
"""

from __future__ import annotations

__all__ = [
    "ArtifactError",
    "ConfigError",
    "DataError",
    "DuplicateNameError",
    "EngineError",
    "FastPanelError",
    "LeakageError",
    "MissingExtraError",
    "ModelError",
    "ParameterError",
    "RunLockedError",
    "ShapeError",
    "UnknownNameError",
]


class FastPanelError(Exception):
    """Root of every error that fastpanel raises on purpose."""


class DataError(FastPanelError, ValueError):
    """Input data break the contract (names asset, time and column)."""


class ShapeError(FastPanelError, ValueError):
    """Arrays do not fit together (names the arrays and both shapes)."""


class ParameterError(FastPanelError, ValueError):
    """A parameter lies outside its domain (names it, its value and the domain)."""


class ConfigError(FastPanelError, ValueError):
    """A configuration is wrong; lists every mistake with its key path."""


class LeakageError(FastPanelError, ValueError):
    """Something could see the future (names fold, row and reason)."""


class ModelError(FastPanelError, RuntimeError):
    """A model, guide or fit broke its contract (names the site or the model)."""


class ArtifactError(FastPanelError, RuntimeError):
    """A stored artefact is missing, damaged or foreign (names the file)."""


class RunLockedError(FastPanelError, RuntimeError):
    """Another run works in the same output folder (names the folder and the owner)."""


class EngineError(FastPanelError, RuntimeError):
    """Workers of a tuning engine were lost for good (names the task and what to try)."""


class DuplicateNameError(FastPanelError, ValueError):
    """A name is registered twice."""


class UnknownNameError(FastPanelError, KeyError):
    """A name is not registered; lists the names that are."""

    def __str__(self) -> str:  # KeyError would print the repr of its argument
        return str(self.args[0]) if self.args else ""


class MissingExtraError(FastPanelError, ImportError):
    """An optional dependency is missing; names the ``pip install`` that brings it."""
