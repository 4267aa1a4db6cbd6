"""Posterior of the hidden states behind the rows of a panel."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastpanel.errors import ModelError
from fastpanel.models._config import parse_config
from fastpanel.models._prepare import prepare
from fastpanel.models._registries import carries_state
from fastpanel.models._state import FitState
from fastpanel.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class HiddenStates:
    """What the rows say about the hidden state, G states.

    Attributes
    ----------
    filtered
        ``[T, G]``: law of row t's state given the targets up to row t.
    smoothed
        ``[T, G]``: the same given all targets; looks ahead, so that nothing that
        is tested out of sample may read it.
    path
        ``int [T]``: the most probable path of states; looks ahead too.
    """

    filtered: FloatArray
    smoothed: FloatArray
    path: IntArray


def hidden_states(X: Any, y: Any, state: FitState, config: Mapping[str, Any]) -> HiddenStates:
    """Regimes, or volatility levels, behind the rows of a panel.

    Parameters
    ----------
    X, y
        ``[T, A, F]`` and ``[T, A]`` as for :func:`fit`: the training rows or
        other ones. A missing target tells nothing of the state.
    state
        Fit of a model with a hidden chain (``factor_regime``,
        ``factor_stochastic_vol``).
    config
        The configuration of the fit. ``train_index``, the positions of the rows,
        marks gaps: after one the chain starts from its stationary law.

    Returns
    -------
    HiddenStates
        Probabilities are averaged over draws of the posterior of the parameters,
        which has seen all training rows. ``path`` maximises the expected log
        joint density over those draws (Viterbi).

    Raises
    ------
    ModelError
        The model has no hidden chain, or the state is another model's or panel's.
    ShapeError, DataError
        As for :func:`fit`.

    Notes
    -----
    Rabiner (1989), "A tutorial on hidden Markov models".

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.models import fit
    >>> y = np.random.default_rng(0).normal(size=(60, 3)) * np.repeat([1.0, 9.0], 30)[:, None]
    >>> config = {"model": {"model_name": "factor_regime", "backend": "pyro"},
    ...           "training": {"svi": {"num_steps": 100, "learning_rate": 0.03}}}
    >>> X = np.zeros((60, 3, 1))
    >>> states = hidden_states(X, y, fit(X, y, config), config)
    >>> states.path[[5, 50]].tolist()
    [0, 1]
    """
    parsed = parse_config(config)
    name = state.model_name
    if not carries_state(state.backend, name):
        raise ModelError(f"model '{name}' has no hidden chain; use factor_regime, for instance")
    prepared = prepare(X, y, config, parsed)
    state.require(parsed.model.model_name, parsed.model.guide_name, *prepared.X.shape[1:])
    standard = (np.asarray(y, dtype=np.float64) - state.center) / state.scale
    prepared = replace(prepared, y=np.where(prepared.missing, 0.0, standard))
    module = importlib.import_module(f"fastpanel.models.{state.backend}_._filter")
    parts = [_posterior(*part) for part in module.emissions(prepared, parsed, state)]
    return HiddenStates(*(np.concatenate(pieces) for pieces in zip(*parts, strict=True)))


def _posterior(
    log_emission: FloatArray, initial: FloatArray, transition: FloatArray
) -> tuple[FloatArray, FloatArray, IntArray]:
    """One stretch: log emission ``[D, T, G]`` and chain of D posterior draws."""
    n_rows = log_emission.shape[1]
    weight = np.exp(log_emission - log_emission.max(-1, keepdims=True))
    filtered = np.empty_like(weight)
    law = initial
    for t in range(n_rows):
        law = law * weight[:, t]
        law = filtered[:, t] = law / law.sum(-1, keepdims=True)
        law = (law[:, None] @ transition)[:, 0]
    smoothed = filtered.copy()
    for t in range(n_rows - 2, -1, -1):
        ahead = (filtered[:, t, None] @ transition)[:, 0]
        ratio = smoothed[:, t + 1] / np.maximum(ahead, np.finfo(float).tiny)
        smoothed[:, t] *= (transition @ ratio[..., None])[..., 0]
    tiny = np.finfo(float).tiny
    logs = [np.log(np.maximum(part, tiny)).mean(0) for part in (initial, transition)]
    return filtered.mean(0), smoothed.mean(0), _viterbi(log_emission.mean(0), *logs)


def _viterbi(log_emission: FloatArray, initial: FloatArray, transition: FloatArray) -> IntArray:
    best = initial + log_emission[0]
    came = np.zeros(log_emission.shape, dtype=np.int64)
    for t in range(1, len(log_emission)):
        through = best[:, None] + transition
        came[t] = through.argmax(0)
        best = through.max(0) + log_emission[t]
    path = np.empty(len(log_emission), dtype=np.int64)
    path[-1] = best.argmax()
    for t in range(len(path) - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    return path
