"""Fit and predict, one job or many, in either back end."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, overload

import numpy as np

from fastpanel.errors import ConfigError, ModelError, ParameterError
from fastpanel.models._chain import carried_rows
from fastpanel.models._config import FitConfig, parse_config
from fastpanel.models._contract import FitJob, PredictJob
from fastpanel.models._prepare import Prepared, prediction_features, prepare
from fastpanel.models._registries import carries_state, guide_trait, resolve_backend
from fastpanel.models._report import FitReport
from fastpanel.models._state import FitState
from fastpanel.models._work import Forecast, Work
from fastpanel.typing import FloatArray

_LOG = logging.getLogger("fastpanel.models")


def fit(
    X_train: Any, y_train: Any, config: Mapping[str, Any], init_state: FitState | None = None
) -> FitState:
    """Fit one model on training rows only.

    Parameters
    ----------
    X_train
        ``[T, A, F]`` standardised features; must be finite where the target is
        observed.
    y_train
        ``[T, A]`` targets in any unit; NaN = missing, left out of the
        likelihood.
    config
        Mapping with sections ``model`` (``backend``, ``model_name``,
        ``guide_name``, ``params``, ``guide_params``) and ``training`` (``svi``,
        ``standardize_targets``), ``seed``, and optionally ``train_index``: the
        positions of the rows on the full time axis. Other sections are ignored.
    init_state
        Warm start; zero steps return this state unchanged.

    Returns
    -------
    FitState
        Depends on the given rows, the configuration and the seed only.

    Raises
    ------
    ConfigError, ShapeError, DataError, UnknownNameError
        Wrong input, before any training step.
    ModelError
        A site breaks the contract (named, before training), or loss or
        parameters became non-finite (the step is named).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 4, 3))
    >>> y = X @ np.array([0.3, 0.0, -0.3]) + rng.normal(size=(60, 4))
    >>> config = {"model": {"params": {"coefficients": {"scale": 0.5}}}, "seed": 1,
    ...           "training": {"svi": {"num_steps": 300, "learning_rate": 0.02}}}
    >>> state = fit(X, y, config)
    >>> bool(state.params["beta_loc"][0] > 0.1 > -0.1 > state.params["beta_loc"][2])
    True
    """
    return fit_many([FitJob(X_train, y_train, config, init_state)])[0]


@overload
def fit_many(jobs: Sequence[FitJob], *, errors: Literal["raise"] = "raise") -> list[FitState]: ...


@overload
def fit_many(
    jobs: Sequence[FitJob], *, errors: Literal["return"]
) -> list[FitState | ModelError]: ...


def fit_many(
    jobs: Sequence[FitJob], *, errors: Literal["raise", "return"] = "raise"
) -> list[FitState] | list[FitState | ModelError]:
    """Fit many jobs: in NumPyro, those of one shape in one compiled program.

    A job's result does not depend on the other jobs beyond float rounding.
    Jobs that share training arrays (candidates on one split) are fastest, as
    they share one matrix product per step. Pyro jobs run one by one.

    Parameters
    ----------
    jobs : sequence of FitJob
        Arguments as for :func:`fit`, and the same errors; an error names the job's
        position.
    errors : {"raise", "return"}
        ``"return"``: a fit that became non-finite or misses ``training.require``
        gives its ModelError instead of a state and leaves the others alone. What
        is wrong before the first step is raised in either case.

    Returns
    -------
    list of FitState
        In the order of the jobs.

    Examples
    --------
    >>> fit_many([])
    []
    """
    states: dict[int, Any] = {}
    pending: dict[str, list[tuple[int, FitJob, Any]]] = {"numpyro": [], "pyro": []}
    shared: dict[Any, Prepared] = {}
    for position, job in enumerate(jobs):
        parsed = parse_config(job.config)
        section = parsed.model
        backend = resolve_backend(section.backend, section.model_name, section.guide_name)
        _check_choices(parsed, backend)
        prepared = _prepared(job, parsed, shared)
        if job.init_state is not None:
            names = (section.model_name, section.guide_name)
            job.init_state.require(*names, *prepared.X.shape[1:])
            _check_portable(job.init_state, backend)
        if job.init_state is not None and parsed.training.svi.num_steps == 0:
            states[position] = job.init_state
            continue
        pending[backend].append((position, job, (prepared, parsed)))
    for backend, entries in pending.items():
        if not entries:
            continue
        engine = _engine(backend)
        works = [Work(prepared, parsed, job.init_state) for _, job, (prepared, parsed) in entries]
        for (position, _, ready), trained in zip(entries, engine.fit_many(works), strict=True):
            try:
                states[position] = _state(position, backend, ready, trained)
            except ModelError as error:
                if errors == "raise":
                    raise
                states[position] = error
    return [states[position] for position in range(len(jobs))]


def predict(
    X_pred: Any, state: FitState, config: Mapping[str, Any], num_samples: int
) -> dict[str, FloatArray]:
    """Draw from the posterior predictive distribution.

    Parameters
    ----------
    X_pred
        ``[T, A, F]`` features. An entry with a NaN feature is predicted NaN.
    state
        From :func:`fit`.
    config
        The configuration of the fit; ``seed`` sets the draws. A model with a
        hidden chain starts from its state after the last contiguous stretch of
        training rows that ended before a row; ``predict_index``, the positions
        of the rows on the full time axis, says where that is. Without it the
        rows follow the last training row.
    num_samples
        S, at least 1.

    Returns
    -------
    dict
        ``"samples"`` ``[S, T, A]``, joint over assets, and ``"mean"``
        ``[T, A]``, both in the unit of ``y_train``.

    Raises
    ------
    ShapeError, ModelError
        The features or the configuration do not fit the state.
    ParameterError
        ``state`` is no fit, or ``num_samples`` no whole number of at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.zeros((30, 2, 1)), np.random.default_rng(0).normal(size=(30, 2))
    >>> config = {"training": {"svi": {"num_steps": 10}}}
    >>> forecast = predict(X[:1], fit(X, y, config), config, num_samples=50)
    >>> forecast["samples"].shape, forecast["mean"].shape
    ((50, 1, 2), (1, 2))
    """
    return predict_many([PredictJob(X_pred, state, config, num_samples)])[0]


def predict_many(jobs: Sequence[PredictJob]) -> list[dict[str, FloatArray]]:
    """Predict many jobs; vectorised, independent and ordered as in :func:`fit_many`.

    Parameters
    ----------
    jobs : sequence of PredictJob
        Arguments as for :func:`predict`, and the same errors.

    Returns
    -------
    list of dict
        ``samples`` and ``mean`` of each job, in the order of the jobs.

    Examples
    --------
    >>> predict_many([])
    []
    """
    forecasts: list[dict[str, FloatArray]] = [{} for _ in jobs]
    pending: dict[str, list[tuple[int, Any, Any]]] = {"numpyro": [], "pyro": []}
    for position, job in enumerate(jobs):
        parsed = parse_config(job.config)
        section, state = parsed.model, job.state
        if not isinstance(state, FitState):
            raise ParameterError(
                f"state is a {type(state).__name__}; give what fit returned: "
                "predict(X_pred, state, config, num_samples)"
            )
        state.require(section.model_name, section.guide_name, state.n_assets, state.n_features)
        if not hasattr(job.num_samples, "__index__") or job.num_samples < 1:
            raise ParameterError(
                f"num_samples is {job.num_samples!r}; give a whole number of at least 1"
            )
        X, unusable = prediction_features(job.X, state.n_assets, state.n_features)
        backend = resolve_backend(section.backend, section.model_name, section.guide_name)
        _check_portable(state, backend)
        # draws of different refits are independent, those of candidates on one fit are common
        key = (parsed.seed, state.n_obs, *state.rows)
        carry = None
        if carries_state(backend, section.model_name):
            index = job.config.get("predict_index")
            name = section.model_name
            carry = carried_rows(state.carry, state.rows[1], len(X), index, name)
        entry = (X, state, parsed, job.num_samples, key, carry)
        pending[backend].append((position, entry, unusable))
    for backend, entries in pending.items():
        if not entries:
            continue
        engine = _engine(backend)
        drawn = engine.predict_many([Forecast(*entry) for _, entry, _ in entries])
        for (position, entry, unusable), (samples, mean) in zip(entries, drawn, strict=True):
            forecasts[position] = _in_units(entry[1], samples, mean, unusable)
    return forecasts


def _check_choices(parsed: FitConfig, backend: str) -> None:
    """Refuse what the back end or the guide does not have, before any training."""
    section, require = parsed.model, parsed.training.require
    if parsed.training.svi.validate_sites and backend == "numpyro":
        raise ConfigError(
            "training.svi.validate_sites works in the Pyro back end only: a compiled program "
            "cannot raise; set model.backend to 'pyro' for a first run"
        )
    local = guide_trait(backend, section.guide_name, "local", default=False)
    if local and parsed.training.svi.tbptt_window_len is not None:
        raise ConfigError(
            f"training.svi.tbptt_window_len: guide '{section.guide_name}' encodes every week and "
            "takes the full sequence; set it to null"
        )
    sampler = guide_trait(backend, section.guide_name, "sampler", default=False)
    of_sampler = (require.max_rhat, require.min_ess, require.max_divergences)
    if not sampler and any(limit is not None for limit in of_sampler):
        raise ConfigError(
            "training.require: R-hat, effective sample size and divergences exist for guide "
            f"'nuts' only, but model.guide_name is '{section.guide_name}'"
        )
    if sampler and require.max_loss_change is not None:
        raise ConfigError("training.require.max_loss_change: guide 'nuts' has no loss")


def _check_portable(state: FitState, backend: str) -> None:
    portable = guide_trait(backend, state.guide_name, "portable", default=True)
    if state.backend != backend and not portable:
        raise ModelError(
            f"a state of guide '{state.guide_name}' stays in the back end that fitted it "
            f"('{state.backend}'), but model.backend is '{backend}'"
        )


def _prepared(job: FitJob, parsed: FitConfig, shared: dict[Any, Prepared]) -> Prepared:
    """Prepare a job's arrays once for all jobs that hold the very same objects."""
    svi = parsed.training.svi
    windows = (svi.tbptt_window_len, svi.tbptt_burn_in_len, svi.grad_accum_steps)
    key = (
        id(job.X),
        id(job.y),
        id(job.config.get("train_index")),
        parsed.training.standardize_targets,
        svi.overlap_burn_in,
        *windows,
    )
    if key not in shared:
        shared[key] = prepare(job.X, job.y, job.config, parsed)
    return shared[key]


def _state(
    position: int, backend: str, ready: tuple[Prepared, FitConfig], trained: Any
) -> FitState:
    prepared, parsed = ready
    section, svi = parsed.model, parsed.training.svi
    what = f"job {position}, model '{section.model_name}'"
    remedy = "lower training.svi.learning_rate or check the scale of X and y"
    if trained.failed_step >= 0:
        raise ModelError(
            f"{what}: loss or gradient is not finite at step {trained.failed_step}; {remedy}"
        )
    for name, value in trained.params.items():
        if not np.isfinite(value).all():
            raise ModelError(
                f"{what}: parameter '{name}' is not finite after step {svi.num_steps}; {remedy}"
            )
    if svi.log_every is not None:
        for step in range(svi.log_every, svi.num_steps + 1, svi.log_every):
            _LOG.info("%s: step %d, loss %.6g", what, step, trained.losses[step - 1])
    report = trained.report or FitReport.of_losses(trained.losses)
    report.check(parsed.training.require, what)
    state = FitState(
        backend=backend,
        model_name=section.model_name,
        guide_name=section.guide_name,
        params=trained.params,
        center=prepared.center.copy(),
        scale=prepared.scale.copy(),
        losses=trained.losses,
        n_obs=prepared.n_obs,
        n_assets=prepared.X.shape[1],
        n_features=prepared.X.shape[2],
        rows=prepared.rows,
        seed=parsed.seed,
        report=report,
    )
    if not carries_state(backend, section.model_name):
        return state
    module = importlib.import_module(f"fastpanel.models.{backend}_._filter")
    filtered = module.filtered(prepared, parsed, state)
    return replace(state, carry={"ends": prepared.ends, "filtered": filtered})


def _in_units(
    state: FitState, samples: FloatArray, mean: FloatArray, unusable: Any
) -> dict[str, FloatArray]:
    samples = np.ascontiguousarray(samples * state.scale + state.center)
    mean = mean * state.scale + state.center
    samples[:, unusable] = np.nan
    mean[unusable] = np.nan
    return {"samples": samples, "mean": mean}


def _engine(backend: str) -> Any:
    if backend == "numpyro":
        from fastpanel.models.numpyro_ import _engine as numpyro_engine

        return numpyro_engine
    from fastpanel.models.pyro_ import _engine as pyro_engine

    return pyro_engine
