"""The five modelling steps of a run, replaceable one by one."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from fastpanel import models, portfolio
from fastpanel.errors import ConfigError, ModelError, ParameterError
from fastpanel.models import FitJob, PredictJob
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._metrics import inner_metric
from fastpanel.typing import FloatArray

Prediction = Mapping[str, FloatArray]
"""``samples`` [S, T, A] and optionally ``mean`` [T, A], in the unit of y."""
State = Any

_TAKES = {
    "fit_model": ("X_train", "y_train", "config", "init_state"),
    "predict": ("X_pred", "state", "config", "num_samples"),
    "score": ("y_true", "pred", "score_spec"),
    "allocate": ("pred", "alloc_spec"),
    "compute_pnl": ("w", "y_t", "w_prev", "cost_spec"),
    "fit_many": ("jobs",),
    "predict_many": ("jobs",),
}


@dataclass(frozen=True)
class Hooks:
    """What a run calls to fit, predict, score, allocate and account.

    Attributes
    ----------
    fit_model : ``(X_train, y_train, config, init_state) -> state``
        ``X_train [n, A, F]`` scaled, ``y_train [n, A]`` with NaN = missing;
        ``config`` holds ``model``, ``training``, ``seed`` and ``train_index``.
    predict : ``(X_pred, state, config, num_samples) -> prediction``
        ``config`` holds ``predict_index`` too: the rows' positions, as in ``train_index``.
    score : ``(y_true, pred, score_spec) -> float``, higher is better
        ``score_spec["transform"]`` is the train-only :class:`ScoreSpace`,
        ``score_spec["energy_score"]`` the weekly scores ``[T]`` of ``pred`` in it.
    allocate : ``(pred, alloc_spec) -> weights [A]``
        ``pred["samples"]`` are simple returns ``[S, A]``.
    compute_pnl : ``(w, y_t, w_prev, cost_spec) -> float``
        ``y_t [A]`` simple returns.
    fit_many, predict_many : optional batch forms
        Used where present; they must give what the single forms give. ``fit_many``
        may give a ModelError in place of a state: that fit failed, the others stand.

    Raises
    ------
    ParameterError
        A hook cannot be called like this; named before any work.
    """

    fit_model: Callable[[FloatArray, FloatArray, Mapping[str, Any], State], State]
    predict: Callable[[FloatArray, State, Mapping[str, Any], int], Prediction]
    score: Callable[[FloatArray, Prediction, Mapping[str, Any]], float]
    allocate: Callable[[Prediction, Any], FloatArray]
    compute_pnl: Callable[[FloatArray, FloatArray, FloatArray | None, Any], float]
    fit_many: Callable[[Sequence[FitJob]], Sequence[State | ModelError]] | None = None
    predict_many: Callable[[Sequence[PredictJob]], Sequence[Prediction]] | None = None

    def __post_init__(self) -> None:
        for name, takes in _TAKES.items():
            hook = getattr(self, name)
            if hook is not None or not name.endswith("_many"):
                _check_takes(name, hook, takes)


def default_hooks(config: SimulationConfig) -> Hooks:
    """The hooks of ``flags.simulation_mode``; replace one step of them, or several.

    Parameters
    ----------
    config : SimulationConfig
        It names the inner metric, too.

    Returns
    -------
    Hooks

    Examples
    --------
    >>> from dataclasses import replace
    >>> from fastpanel.simulation import load_config
    >>> def cash(pred, alloc_spec):
    ...     return np.zeros(pred["samples"].shape[1])
    >>> hooks = replace(default_hooks(load_config({})), allocate=cash)
    >>> hooks.allocate({"samples": np.ones((5, 2))}, None)
    array([0., 0.])
    """
    full = config.flags.simulation_mode == "full"
    return model_hooks(config) if full else stub_hooks(config)


def model_hooks(config: SimulationConfig) -> Hooks:
    """Real fitting, prediction, scoring, allocation and accounting."""
    metric = inner_metric(config)
    return Hooks(
        fit_model=models.fit,
        predict=models.predict,
        score=metric,
        allocate=portfolio.allocate,
        compute_pnl=portfolio.compute_pnl,
        fit_many=_fit_many,
        predict_many=models.predict_many,
    )


def _fit_many(jobs: Sequence[FitJob]) -> list[State | ModelError]:
    return list(models.fit_many(jobs, errors="return"))


def stub_hooks(config: SimulationConfig) -> Hooks:
    """A model without modelling, for ``simulation_mode: stub``: draws from the training targets.

    It needs no probabilistic programming library and shows the whole flow and
    all files of a run in seconds.
    """

    def fit_model(
        X_train: FloatArray, y_train: FloatArray, config: Mapping[str, Any], init_state: State
    ) -> State:
        del X_train, init_state
        return {"rows": y_train[np.isfinite(y_train).all(axis=1)], "seed": config["seed"]}

    def predict(
        X_pred: FloatArray, state: State, config: Mapping[str, Any], num_samples: int
    ) -> Prediction:
        del config
        rows, n_assets = state["rows"], X_pred.shape[1]
        if not len(rows):
            return {"samples": np.zeros((num_samples, len(X_pred), n_assets))}
        rng = np.random.default_rng(state["seed"])
        return {"samples": rows[rng.integers(len(rows), size=(num_samples, len(X_pred)))]}

    return Hooks(
        fit_model=fit_model,
        predict=predict,
        score=inner_metric(config),
        allocate=portfolio.allocate,
        compute_pnl=portfolio.compute_pnl,
    )


def _check_takes(name: str, hook: Any, takes: tuple[str, ...]) -> None:
    try:
        signature = inspect.signature(hook)
    except ValueError:  # compiled functions may not tell
        return
    except TypeError:
        raise ParameterError(f"hook {name} is no function: {hook!r}") from None
    try:
        signature.bind(*takes)
    except TypeError:
        raise ParameterError(
            f"hook {name} is called as {name}({', '.join(takes)}), but it takes {signature}"
        ) from None


def check_portable(hooks: Hooks, engine: str) -> None:
    """Refuse hooks that another process could not import by name.

    Raises
    ------
    ConfigError
        Names the first hook that is a lambda, a local function or an object.
    """
    for field in fields(hooks):
        hook = getattr(hooks, field.name)
        if hook is not None and not _importable(hook):
            raise ConfigError(
                f"tuning.engine '{engine}' runs in other processes, and these cannot import the "
                f"hook {field.name} ({hook!r}): define it at the top level of a module, or use "
                "tuning.engine 'local'"
            )


def _importable(hook: Any) -> bool:
    name = getattr(hook, "__qualname__", "<object>")
    module = sys.modules.get(getattr(hook, "__module__", None) or "")
    if module is None or module.__name__ == "__main__" or "<" in name:
        return False
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is hook
