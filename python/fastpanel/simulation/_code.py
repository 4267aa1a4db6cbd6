"""Which code a result comes from: the package, and what a user has added to it."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import fields
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import fastpanel
from fastpanel import models
from fastpanel._files import sha256
from fastpanel._version import __version__
from fastpanel.portfolio import allocators
from fastpanel.registry import Registry
from fastpanel.simulation._candidate import names_used
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._hooks import Hooks

_ROOT = Path(fastpanel.__file__).parent


@lru_cache(maxsize=1)
def code_version() -> dict[str, str]:
    """Version of the package, and a digest of its installed sources and compiled core.

    Examples
    --------
    >>> sorted(code_version())
    ['sources', 'version']
    """
    digest = hashlib.sha256()
    for path in sorted([*_ROOT.rglob("*.py"), *_ROOT.glob("_core*.so"), *_ROOT.glob("_core*.pyd")]):
        digest.update(f"{path.relative_to(_ROOT).as_posix()} {sha256(path)}\n".encode())
    return {"version": __version__, "sources": digest.hexdigest()}


def user_code(config: SimulationConfig, hooks: Hooks | None, *, outer: bool) -> dict[str, str]:
    """Digests of the files outside the package that results take code from, by file name.

    These are the extensions, the hooks, and whatever is registered under a name
    that the configuration uses; of allocation and accounting only for ``outer``
    results. Code without a file (typed into a session) leaves no trace.
    """
    objects: list[Any] = [import_module(name) for name in config.extensions]
    objects += _registered(config, outer)
    if hooks is not None:
        later = () if outer else ("allocate", "compute_pnl")
        objects += [getattr(hooks, f.name) for f in fields(hooks) if f.name not in later]
    found = (_source(item) for item in objects if item is not None)
    files = {path for path in found if path is not None}
    return {path.name: sha256(path) for path in sorted(files)}


def _registered(config: SimulationConfig, outer: bool) -> list[Any]:
    wanted: list[tuple[str | None, Registry[Any]]] = [
        (config.scoring.spec.metric_name, models.metric_registry("inner")),
        (config.model.prebuild.name, models.default_prebuild_registry()),
    ]
    for backend in ("pyro", "numpyro"):
        wanted += [
            (name, models.model_registry(backend)) for name in names_used(config, "model_name")
        ]
        wanted += [
            (name, models.guide_registry(backend)) for name in names_used(config, "guide_name")
        ]
    if outer:
        wanted.append((config.allocation.method, allocators()))
    return [registry[name] for name, registry in wanted if name is not None and name in registry]


def _source(item: Any) -> Path | None:
    try:
        name = inspect.getsourcefile(inspect.unwrap(item) if callable(item) else item)
    except TypeError:  # a built-in, or an object that is no function, class or module
        name = inspect.getsourcefile(type(item)) if type(item).__module__ != "builtins" else None
    path = None if name is None else Path(name).resolve()
    return path if path is not None and path.is_file() and _ROOT not in path.parents else None
