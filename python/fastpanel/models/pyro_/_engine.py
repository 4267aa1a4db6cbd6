"""Fit and predict job by job in Pyro, each in a parameter store of its own."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyro
import torch
from pyro import poutine
from pyro.poutine.util import site_is_subsample

from fastpanel.errors import ConfigError, ModelError
from fastpanel.models import _sites
from fastpanel.models._config import FitConfig, SVIConfig, known_names
from fastpanel.models._contract import ModelBatch
from fastpanel.models._device import index_of, wanted_device, warn_absent
from fastpanel.models._prepare import Prepared
from fastpanel.models._registries import (
    build_guide,
    build_model,
    default_guide_registry,
    default_model_registry,
)
from fastpanel.models._report import FitReport
from fastpanel.models._windows import burn_in_rows
from fastpanel.models._work import Forecast, Work
from fastpanel.models.pyro_.trainer import Part, SVITrainer
from fastpanel.typing import FloatArray

_READS_BASELINES = "TraceGraph_ELBO"
_MAX_DRAWN = 1 << 22  # entries of one chunk of draws
_WORTH_THREADS = 1 << 22  # features; below, waiting for threads costs more than they save


@dataclass(frozen=True, eq=False)
class Trained:
    """Parameters and losses of one job."""

    params: dict[str, FloatArray]
    losses: FloatArray
    failed_step: int
    report: FitReport | None = None


def fit_many(works: Sequence[Work]) -> list[Trained]:
    """Fit the jobs one after the other; none sees another's parameters."""
    return [_fit(work) for work in works]


def predict_many(forecasts: Sequence[Forecast]) -> list[tuple[FloatArray, FloatArray]]:
    """Standardised draws ``[S, T, A]`` and means ``[T, A]``, in the order of the jobs."""
    return [_predict(forecast) for forecast in forecasts]


def _fit(work: Work) -> Trained:
    svi = work.config.training.svi
    device = device_of(work.config)
    with isolated((work.config.seed,), work.prepared.X.size, device):
        model, guide = build(work.config)
        schedule = _schedule(work.prepared, getattr(model, "independent_rows", False))
        _check(work.config, model, guide, batch_of(work.prepared))
        set_parameters(guide, None if work.init_state is None else work.init_state.params)
        known_names(svi.learning_rates, parameters(guide))
        trainer = _trainer(svi, model, guide)
        losses = np.full(svi.num_steps, np.nan)
        failed = -1
        pyro.enable_validation(svi.validate_sites)
        for step in range(svi.num_steps):
            try:
                weight = 1.0 if svi.kl_annealing is None else svi.kl_annealing.weight(step)
                losses[step] = trainer.step(schedule[step % len(schedule)], weight)
            except ModelError:
                failed = step
                break
        return Trained(parameters(guide), losses, failed)


def _trainer(svi: SVIConfig, model: Any, guide: Any) -> SVITrainer:
    args: dict[str, Any] = {"lr": svi.learning_rate, "betas": svi.betas}
    schedule = None
    if svi.optimizer == "ClippedAdam":
        args["clip_norm"] = svi.clip_norm
        if svi.lr_schedule == "exponential":
            args["lrd"] = svi.lr_decay ** (1.0 / max(svi.num_steps, 1))
        else:
            schedule = partial(_decayed, svi)
    rename = _neutral(guide)

    def of_parameter(name: str) -> dict[str, Any]:
        return args | {"lr": svi.learning_rates.get(rename(name), svi.learning_rate)}

    loss = svi.loss
    if loss == "auto":
        loss = "TraceMeanField_ELBO" if getattr(guide, "mean_field", False) else "Trace_ELBO"
    return SVITrainer(
        model,
        guide,
        optim_args=of_parameter if svi.learning_rates else args,
        optimizer=svi.optimizer,
        loss=loss,
        num_particles=svi.num_elbo_particles,
        vectorize_particles=bool(svi.vectorize_particles),
        schedule=schedule,
    )


def _decayed(svi: SVIConfig, step: int) -> float:
    progress = (step + 1) / svi.num_steps
    if svi.lr_schedule == "cosine":
        progress = 0.5 * (1.0 - math.cos(math.pi * progress))
    return 1.0 - (1.0 - svi.lr_decay) * progress


def _predict(forecast: Forecast) -> tuple[FloatArray, FloatArray]:
    device = device_of(forecast.config)
    with isolated(forecast.key, forecast.X.size, device), torch.no_grad():
        X = torch.as_tensor(forecast.X, dtype=torch.get_default_dtype())
        shape = X.shape[:2]
        unseen = ModelBatch(X, carry=forecast.carry)
        # automatic guides read the model's latent sites from a batch with targets
        seen = ModelBatch(X, torch.zeros(shape), torch.zeros(shape, dtype=torch.bool))
        model, guide = build(forecast.config)
        for part in (guide, model):
            poutine.trace(part).get_trace(seen)  # creates the parameters
        set_parameters(guide, forecast.state.params)
        # a guide with sites per week leaves them to the model
        known = unseen if getattr(guide, "local", False) else seen
        chunk = 1
        if getattr(model, "parallel_draws", False):
            chunk = max(1, min(forecast.num_samples, _MAX_DRAWN // X[..., 0].numel()))
        samples, total = [], torch.zeros(shape, dtype=torch.float64)
        for start in range(0, forecast.num_samples, chunk):
            draws = min(chunk, forecast.num_samples - start)
            value, mean = _draw(model, guide, known, unseen, draws)
            samples.append(value.reshape(draws, *shape).double().cpu().numpy())
            total += mean.reshape(draws, *shape).double().sum(0)
    return np.concatenate(samples), total.cpu().numpy() / forecast.num_samples


def _draw(
    model: Any, guide: Any, seen: ModelBatch, unseen: ModelBatch, draws: int
) -> tuple[Any, Any]:
    if draws > 1:
        plate = pyro.plate("draws", draws, dim=-2)
        model, guide = plate(model), plate(guide)
    latent = poutine.trace(guide).get_trace(seen)
    site = poutine.trace(poutine.replay(model, latent)).get_trace(unseen).nodes["obs"]
    try:
        mean = site["fn"].mean
    except NotImplementedError:
        return site["value"], site["value"]
    return site["value"], torch.where(torch.isfinite(mean), mean, site["value"])


def build(config: FitConfig) -> tuple[Any, Any]:
    section = config.model
    factory = default_model_registry("pyro")[section.model_name]
    model = build_model(factory, section.model_name, section.params)
    factory = default_guide_registry("pyro")[section.guide_name]
    return model, build_guide(factory, section.guide_name, section.guide_params, model)


def batch_of(prepared: Prepared) -> ModelBatch:
    dtype = torch.get_default_dtype()
    return ModelBatch(
        X=torch.as_tensor(prepared.X, dtype=dtype),
        y=torch.as_tensor(prepared.y, dtype=dtype),
        M=torch.as_tensor(prepared.missing),
    )


def _schedule(prepared: Prepared, independent_rows: bool) -> list[list[Part]]:
    """Parts of each optimiser step of one pass; every loss is per observed entry."""
    whole = batch_of(prepared)
    total = prepared.n_obs
    if len(prepared.groups) == 1 and independent_rows:
        skipped = torch.as_tensor(burn_in_rows(len(prepared.y), prepared.windows))
        if prepared.complete:  # rows are in or out as a whole: the model need not look at a mask
            rows = ~(skipped | whole.M.all(-1))
            batch = ModelBatch(whole.X[rows], whole.y[rows])
        else:
            batch = ModelBatch(whole.X, whole.y, whole.M | skipped[:, None])
        return [[Part(batch, weight=1.0 / total)]]
    schedule = []
    for group in prepared.groups:
        in_group = sum(prepared.count(window) for window in group)
        parts = []
        for window in group:
            rows = slice(window.start, window.stop)
            skipped = torch.arange(len(window)) < window.burn_in
            batch = ModelBatch(whole.X[rows], whole.y[rows], whole.M[rows] | skipped[:, None])
            count = prepared.count(window)
            parts.append(Part(batch, total / count, count / in_group / total))
        schedule.append(parts)
    return schedule


def _check(config: FitConfig, model: Any, guide: Any, batch: ModelBatch) -> None:
    """Check the sites once, with validation on; creates the parameters."""
    section = config.model
    with torch.no_grad(), pyro.validation_enabled(True):
        model_sites = _described(poutine.trace(model).get_trace(batch).nodes)
        _sites.check_observed(model_sites, section.model_name, tuple(batch.y.shape))
        guide_nodes = poutine.trace(guide).get_trace(batch).nodes
        _check_baselines(guide_nodes, section.guide_name, config.training.svi.loss)
        guide_sites = _described(guide_nodes)
        _sites.check_guide(model_sites, guide_sites, section.model_name, section.guide_name)
        shapes = {name: array.shape for name, array in parameters(guide).items()}
        with pyro.get_param_store().scope():
            other, other_guide = build(config)
            longer = ModelBatch(*(torch.cat([a, a[:1]]) for a in (batch.X, batch.y, batch.M)))
            for part in (other_guide, other):
                poutine.trace(part).get_trace(longer)
            grown = {name: array.shape for name, array in parameters(other_guide).items()}
    _sites.check_fixed_shapes(shapes, grown)


def _check_baselines(nodes: Mapping[str, Any], guide: str, loss: str) -> None:
    """Refuse a baseline that the loss would pass over in silence."""
    for name, site in nodes.items():
        if site["type"] == "sample" and site["infer"].get("baseline") and loss != _READS_BASELINES:
            raise ConfigError(
                f"guide '{guide}' gives site '{name}' a baseline, which training.svi.loss "
                f"'{loss}' does not read; take '{_READS_BASELINES}'"
            )


def _described(nodes: Mapping[str, Any]) -> dict[str, _sites.Site]:
    return {
        name: _sites.Site(
            tuple(site["value"].shape),
            site["is_observed"],
            bool(site["infer"].get("is_auxiliary", False)),
            "enumerate" in site["infer"],
            _sites.support_name(site["fn"]),
        )
        for name, site in nodes.items()
        if site["type"] == "sample" and not site_is_subsample(site)
    }


def _neutral(guide: Any) -> Callable[[str], str]:
    rename: Callable[[str], str] = getattr(guide, "neutral_name", str)
    return rename


def parameters(guide: Any) -> dict[str, FloatArray]:
    rename = _neutral(guide)
    return {
        rename(name): value.detach().double().cpu().numpy().copy()
        for name, value in pyro.get_param_store().items()
    }


def set_parameters(guide: Any, params: Mapping[str, FloatArray] | None) -> None:
    """Overwrite the store's parameters in place, so that modules see it too."""
    if params is None:
        return
    rename, store = _neutral(guide), pyro.get_param_store()
    for name in list(store.keys()):
        constrained = store[name]
        transform = torch.distributions.transform_to(store._constraints[name])
        value = torch.tensor(params[rename(name)], dtype=constrained.dtype)
        with torch.no_grad():
            store._params[name].copy_(transform.inv(value))


def device_of(config: FitConfig) -> torch.device:
    wanted = wanted_device(config.use_gpu)
    if wanted == "cpu":
        return torch.device("cpu")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index_of(wanted) >= found:
        warn_absent(wanted, "torch", found)
        return torch.device("cpu")
    return torch.device("cuda", index_of(wanted))


@contextmanager
def isolated(key: tuple[int, ...], size: int, device: torch.device) -> Iterator[None]:
    """Give a fresh parameter store, random stream, thread count and default device.

    All are put back afterwards.
    """
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
    with (
        pyro.get_param_store().scope(),
        torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]),
        pyro.validation_enabled(False),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Encountered NaN", UserWarning)
        # the generators of other CUDA devices stay as they are
        torch.random.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(threads if size > _WORTH_THREADS else 1)
            with device:
                yield
        finally:
            torch.set_num_threads(threads)
