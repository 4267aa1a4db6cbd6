"""Automatic guides of growing richness, each started where the one before ended."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastpanel.errors import ParameterError
from fastpanel.models._api import fit
from fastpanel.models._config import parse_config
from fastpanel.models._registries import resolve_backend
from fastpanel.models._state import FitState

_LOG = logging.getLogger("fastpanel.models")
_KEYS = {
    "AutoDelta": (),
    "AutoNormal": ("init_scale",),
    "AutoLowRankMultivariateNormal": ("init_scale", "rank"),
    "AutoMultivariateNormal": ("init_scale",),
}
"""Guides that can start from each other, and the ``guide_params`` that each reads."""


def fit_progression(
    X_train: Any,
    y_train: Any,
    config: Mapping[str, Any],
    guides: Sequence[str] = ("AutoDelta", "AutoNormal", "AutoLowRankMultivariateNormal"),
) -> dict[str, FitState]:
    """Fit one model with several automatic guides, from the simplest to the richest.

    Each guide starts at the point (the median of every latent site) where the one
    before ended, with its own initial width. A bug of the model shows in the
    first, cheap fit; a loss that a richer guide does not lower says that the
    simpler one is enough.

    Parameters
    ----------
    X_train, y_train, config
        As for :func:`fit`. ``model.guide_name`` is not read; of
        ``model.guide_params`` each guide takes what it knows, and ``init_loc``
        places the first one.
    guides
        Names in the order of the fits: ``AutoDelta``, ``AutoNormal``,
        ``AutoLowRankMultivariateNormal``, ``AutoMultivariateNormal``.

    Returns
    -------
    dict of str to FitState
        By guide, in order; ``state.report.loss`` is the loss per observed entry at
        the end. That of ``AutoDelta`` is the negative log joint density of a point
        and no bound; those of the others can be compared.

    Raises
    ------
    ParameterError
        A name that is not an automatic guide.
    ConfigError, ShapeError, DataError, ModelError
        As for :func:`fit`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(40, 2, 1))
    >>> config = {"model": {"backend": "pyro"}, "training": {"svi": {"num_steps": 20}}}
    >>> states = fit_progression(X, rng.normal(size=(40, 2)), config)
    >>> {name: round(state.report.loss, 3) for name, state in states.items()}  # doctest: +SKIP
    {'AutoDelta': 1.461, 'AutoNormal': 1.478, 'AutoLowRankMultivariateNormal': 1.483}
    """
    for name in guides:
        if name not in _KEYS:
            raise ParameterError(f"guides holds {name!r}; choose from {sorted(_KEYS)}")
    states: dict[str, FitState] = {}
    last: tuple[FitState, dict[str, Any]] | None = None
    for name in guides:
        own = _with_guide(config, name, first=last is None)
        start = None if last is None else _started(*last, own)
        state = fit(X_train, y_train, own, start)
        _LOG.info("guide %s: loss %.6g after %d steps", name, state.losses[-1], len(state.losses))
        states[name], last = state, (state, own)
    return states


def _with_guide(config: Mapping[str, Any], name: str, *, first: bool) -> dict[str, Any]:
    section = dict(config.get("model", {}))
    given = dict(section.get("guide_params", {}))
    known = {key for keys in _KEYS.values() for key in keys} | {"init_loc"}
    kept = {*_KEYS[name], *(("init_loc",) if first else ())}
    params = {key: value for key, value in given.items() if key in kept or key not in known}
    return {**config, "model": {**section, "guide_name": name, "guide_params": params}}


def _started(state: FitState, config: Mapping[str, Any], wanted: Mapping[str, Any]) -> FitState:
    """The state of guide ``wanted`` before its first step, placed where ``state`` is."""
    before, after = parse_config(config), parse_config(wanted)
    section = after.model
    backend = resolve_backend(section.backend, section.model_name, section.guide_name)
    engine = importlib.import_module(f"fastpanel.models.{backend}_._progression")
    params = engine.placed_at(after, engine.medians(before, state), state)
    fresh: dict[str, Any] = {"losses": np.zeros(0), "carry": {}, "report": None}
    return replace(state, guide_name=section.guide_name, params=params, **fresh)
