"""Run many fits or predictions through few compiled programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np

from fastpanel.models._memory import (
    job_bytes,
    max_jobs,
    pack_bytes,
    power_of_two,
    program_bytes,
    week_values,
)
from fastpanel.models._report import FitReport
from fastpanel.models._work import Forecast, Work
from fastpanel.models.numpyro_ import _nuts
from fastpanel.models.numpyro_._inputs import (
    Job,
    corner,
    data_of,
    device_of,
    drawing_of,
    hyper_of,
    make_job,
    padded_shape,
    padded_size,
    traceable,
    window_len,
)
from fastpanel.models.numpyro_._plan import Floats, Plan
from fastpanel.models.numpyro_._program import Data, Hyper, fit_one, predict_one
from fastpanel.typing import FloatArray

_MAX_PACKS_ELSEWHERE = 512
_LEAST_STEPS = 1024
_MAX_DRAWS = 256
# The highest level, 3, unrolls the drawing of few weeks and assets without end: it takes 5 to 7
# seconds more to compile a prediction, which then runs about a tenth faster.
_COMPILED_SOON = {"xla_backend_optimization_level": 2}


@dataclass(frozen=True, eq=False)
class Trained:
    """What a program returns for one job."""

    params: dict[str, FloatArray]
    losses: FloatArray
    failed_step: int
    report: FitReport | None = None


def fit_many(works: Sequence[Work]) -> list[Trained]:
    """Fit all jobs; those of one plan and padded shape share a program."""
    with jax.enable_x64(False):
        jobs = [make_job(position, work) for position, work in enumerate(works)]
        families: dict[Any, list[Job]] = {}
        for job in jobs:
            if job.plan.sampler:
                continue
            steps = power_of_two(job.work.config.training.svi.num_steps, least=_LEAST_STEPS)
            plan = replace(
                job.plan,
                window_len=window_len(job),
                losses_len=steps,
                complete=job.plan.independent_rows and job.work.prepared.complete,
            )
            shape = padded_shape(plan, job.work.prepared, job.work.config)
            device = device_of(job.work.config)
            room = program_bytes(job.work.config, device.platform)
            families.setdefault((plan, shape, device, room), []).append(job)
        results = {job.position: _sampled(job) for job in jobs if job.plan.sampler}
        for (plan, shape, device, room), members in families.items():
            with jax.default_device(device):
                for chunk in _chunks(plan, members, shape, device.platform, room):
                    results |= _run_chunk(plan, shape, chunk)
    return [results[position] for position in range(len(works))]


def predict_many(forecasts: Sequence[Forecast]) -> list[tuple[FloatArray, FloatArray]]:
    """Standardised draws ``[S, T, A]`` and means ``[T, A]``, in the order of the jobs."""
    with jax.enable_x64(False):
        families: dict[Any, list[tuple[int, Forecast, Floats]]] = {}
        for position, forecast in enumerate(forecasts):
            plan, floats = traceable(forecast.config, forecast.X)
            rows, assets, features = forecast.X.shape
            rows, width = padded_size(plan, rows, features, forecast.config)
            draws = min(power_of_two(forecast.num_samples, least=8), _MAX_DRAWS)
            shape = (rows, assets, width)
            device = device_of(forecast.config)
            room = program_bytes(forecast.config, device.platform)
            family = (plan.for_prediction(), shape, draws, device, room)
            families.setdefault(family, []).append((position, forecast, floats))
        results: dict[int, tuple[FloatArray, FloatArray]] = {}
        for (plan, shape, draws, device, room), members in families.items():
            size = max(1, room // (4 * 4 * draws * shape[0] * shape[1]))
            size = min(size, _max_packs(device.platform), max_jobs(device.platform))
            with jax.default_device(device):
                for start in range(0, len(members), size):
                    chunk = members[start : start + size]
                    results |= _predict_chunk(plan, shape, draws, chunk)
    return [results[position] for position in range(len(forecasts))]


@lru_cache(maxsize=64)
def _fit_program(plan: Plan, many_packs: bool, many_candidates: bool) -> Any:
    """Program over packs and, inside, over the candidates that share a pack's data.

    An axis of length one is left out: the compiled matrix products are up to
    twice as fast without it.
    """

    def program(data: Data, hyper: Hyper, n_max: Any) -> Any:
        return fit_one(plan, data, hyper, n_max)

    if many_candidates:
        program = jax.vmap(program, in_axes=(None, 0, None))
    if many_packs:
        program = jax.vmap(program, in_axes=(0, 0, None))
    return jax.jit(program)


@lru_cache(maxsize=64)
def _predict_program(plan: Plan) -> Any:
    program = jax.vmap(partial(predict_one, plan), in_axes=(0, None))
    return jax.jit(program, compiler_options=_COMPILED_SOON)


def _chunks(
    plan: Plan, members: list[Job], shape: tuple[int, ...], platform: str, room: int
) -> list[list[list[Job]]]:
    """Packs of jobs on the same data, gathered into chunks of bounded memory."""
    packs: dict[bytes, list[Job]] = {}
    for job in members:
        packs.setdefault(job.work.prepared.key, []).append(job)
    rows, assets, features = shape[:3]
    normalise = getattr(plan.model_factory, "normalise", dict)
    params = normalise(members[0].work.config.model.params)  # counts are part of the plan
    per_job = job_bytes(rows, week_values(params, assets, complete=plan.complete))
    per_pack = pack_bytes(rows, assets, features)
    most = max(1, min(max_jobs(platform), (room - per_pack) // per_job))
    limit = power_of_two(most + 1) // 2  # widths are padded to powers of two
    if not plan.per_site:
        limit = 1  # its density calls LAPACK, which must not be batched (docs/decisions/0010)
    by_width: dict[int, list[list[Job]]] = {}
    for pack in packs.values():
        for start in range(0, len(pack), limit):
            part = pack[start : start + limit]
            by_width.setdefault(power_of_two(len(part)), []).append(part)
    chunks = []
    for width, parts in by_width.items():
        fitting = room // (per_pack + width * per_job)
        most = max(1, min(limit // width, fitting, _max_packs(platform)))
        chunks += [parts[start : start + most] for start in range(0, len(parts), most)]
    return chunks


def _run_chunk(plan: Plan, shape: tuple[int, ...], chunk: list[list[Job]]) -> dict[int, Trained]:
    width = max(len(pack) for pack in chunk)
    width, count = power_of_two(width), power_of_two(len(chunk))
    packs = [_filled(pack, width) for pack in _filled(chunk, count)]
    data = [data_of(plan, pack[0].work.prepared, shape) for pack in packs]
    hyper = [_stack_or_only([hyper_of(job, shape) for job in pack]) for pack in packs]
    steps = max(job.work.config.training.svi.num_steps for pack in chunk for job in pack)
    program = _fit_program(plan, count > 1, width > 1)
    trained = program(_stack_or_only(data), _stack_or_only(hyper), np.int32(steps))
    params, losses, failed = jax.tree.map(
        lambda leaf: leaf.reshape((count, width, *leaf.shape[(count > 1) + (width > 1) :])),
        jax.device_get(trained),
    )
    results = {}
    for p, pack in enumerate(chunk):
        for c, job in enumerate(pack):
            own = {
                name: np.asarray(value[p, c][corner(job.shapes[name])], dtype=np.float64)
                for name, value in params.items()
            }
            n_steps = job.work.config.training.svi.num_steps
            trace = losses[p, c, :n_steps].astype(np.float64)
            results[job.position] = Trained(own, trace, int(failed[p, c]))
    return results


def _predict_chunk(
    plan: Plan,
    shape: tuple[int, int, int],
    draws: int,
    chunk: list[tuple[int, Forecast, Floats]],
) -> dict[int, tuple[FloatArray, FloatArray]]:
    padded = _filled(chunk, power_of_two(len(chunk)))
    program = _predict_program(plan)
    inputs = _stack([drawing_of(plan, shape, forecast, floats) for _, forecast, floats in padded])
    counts = inputs.count.astype(np.float64)
    values = []
    means = np.zeros((len(padded), *shape[:2]))
    for start in range(0, int(counts.max()), draws):
        numbers = np.arange(start, start + draws, dtype=np.int32)
        drawn, mean = jax.device_get(program(inputs, numbers))
        values.append(drawn)
        share = (np.clip(counts - start, 0, draws) / counts)[:, None, None]
        means += np.where(share > 0, mean, 0.0) * share
    samples = np.concatenate(values, axis=1)
    results = {}
    for i, (position, forecast, _) in enumerate(chunk):
        rows = len(forecast.X)
        own = samples[i, : forecast.num_samples, :rows].astype(np.float64)
        results[position] = (own, means[i, :rows])
    return results


def _sampled(job: Job) -> Trained:
    with jax.default_device(device_of(job.work.config)):
        params, report = _nuts.sample(job.work.prepared, job.work.config)
    return Trained(params, np.zeros(0), -1, report)


def _filled(items: list[Any], size: int) -> list[Any]:
    return items + [items[-1]] * (size - len(items))


def _stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _stack_or_only(trees: list[Any]) -> Any:
    return trees[0] if len(trees) == 1 else _stack(trees)


def _max_packs(platform: str) -> int:
    """Data sets in one program. On a CPU one: several share nothing and slow each other down."""
    return 1 if platform == "cpu" else _MAX_PACKS_ELSEWHERE
