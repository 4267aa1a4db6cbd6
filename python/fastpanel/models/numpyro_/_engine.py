"""Run many fits or predictions through few compiled programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np

from fastpanel.models._chain import Carry
from fastpanel.models._config import FitConfig, SVIConfig, known_names
from fastpanel.models._device import index_of, wanted_device, warn_absent
from fastpanel.models._memory import (
    job_bytes,
    max_jobs,
    pack_bytes,
    padded_rows,
    power_of_two,
    program_bytes,
    week_values,
)
from fastpanel.models._prepare import Prepared
from fastpanel.models._report import FitReport
from fastpanel.models._state import FitState
from fastpanel.models._windows import burn_in_rows
from fastpanel.models.numpyro_ import _nuts
from fastpanel.models.numpyro_._check import parameter_shapes
from fastpanel.models.numpyro_._plan import Floats, Plan, make_plan
from fastpanel.models.numpyro_._program import Data, Drawing, Hyper, fit_one, predict_one
from fastpanel.typing import FloatArray

_MAX_PACKS_ELSEWHERE = 512
_LEAST_STEPS = 1024
_LEAST_SHARED_ROWS = 128  # with pad_to, sizes start here and double
_MAX_DRAWS = 256


@dataclass(frozen=True, eq=False)
class Work:
    """One fit, checked and standardised."""

    prepared: Prepared
    config: FitConfig
    init_state: FitState | None


@dataclass(frozen=True, eq=False)
class Forecast:
    """One prediction: features without NaN, and the state to predict from."""

    X: FloatArray
    state: FitState
    config: FitConfig
    num_samples: int
    key: tuple[int, ...]
    carry: Carry | None = None


@dataclass(frozen=True, eq=False)
class Trained:
    """What a program returns for one job."""

    params: dict[str, FloatArray]
    losses: FloatArray
    failed_step: int
    report: FitReport | None = None


@dataclass(frozen=True, eq=False)
class _Job:
    position: int
    plan: Plan
    floats: Floats
    work: Work
    shapes: dict[str, tuple[int, ...]]


def fit_many(works: Sequence[Work]) -> list[Trained]:
    """Fit all jobs; those of one plan and padded shape share a program."""
    with jax.enable_x64(False):
        jobs = [_job(position, work) for position, work in enumerate(works)]
        families: dict[Any, list[_Job]] = {}
        for job in jobs:
            if job.plan.sampler:
                continue
            steps = power_of_two(job.work.config.training.svi.num_steps, least=_LEAST_STEPS)
            plan = replace(
                job.plan,
                window_len=_window_len(job),
                losses_len=steps,
                complete=job.plan.independent_rows and job.work.prepared.complete,
            )
            shape = _padded_shape(plan, job.work.prepared, job.work.config)
            device = _device(job.work.config)
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
            plan, floats = _traceable(forecast.config, forecast.X)
            rows, assets, features = forecast.X.shape
            rows, width = _padded(plan, rows, features, forecast.config)
            draws = min(power_of_two(forecast.num_samples, least=8), _MAX_DRAWS)
            shape = (rows, assets, width)
            device = _device(forecast.config)
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


def _device(config: FitConfig) -> Any:
    wanted = wanted_device(config.use_gpu)
    if wanted != "cpu":
        try:
            found = jax.devices("cuda")
        except RuntimeError:
            found = []
        if index_of(wanted) < len(found):
            return found[index_of(wanted)]
        warn_absent(wanted, "jax", len(found))
    return jax.devices("cpu")[0]


def _job(position: int, work: Work) -> _Job:
    prepared = work.prepared
    plan, floats = _traceable(work.config, prepared.X)
    n_assets, n_features = prepared.X.shape[1:]
    shapes = _shapes(plan, n_assets, n_features)
    known_names(work.config.training.svi.learning_rates, shapes)
    return _Job(position, plan, floats, work, shapes)


@lru_cache(maxsize=256)
def _concrete_floats(plan: Plan, n_assets: int, n_features: int) -> bool:
    try:
        _shapes(plan, n_assets, n_features)
    except jax.errors.ConcretizationTypeError:
        return True
    return False


def _traceable(config: FitConfig, X: FloatArray) -> tuple[Plan, Floats]:
    plan, floats = make_plan(config)
    # a model that branches on a float parameter cannot take it as a program input
    if _concrete_floats(plan, *X.shape[1:]):
        return make_plan(config, traced_floats=False)
    return plan, floats


@lru_cache(maxsize=256)
def _shapes(plan: Plan, n_assets: int, n_features: int) -> dict[str, tuple[int, ...]]:
    def array(*shape: int, dtype: Any = np.float32) -> Any:
        return jax.ShapeDtypeStruct(shape, dtype)

    rows = 8
    data = Data(
        X=array(rows, n_assets, n_features),
        y=array(rows, n_assets),
        M=array(rows, n_assets, dtype=np.bool_),
        table=array(1, 1, 4, dtype=np.int32),
        n_groups=array(dtype=np.int32),
        n_obs=array(),
    )
    counts = (_count_floats(plan.model_params), _count_floats(plan.guide_params))
    model_floats, guide_floats = (tuple(array() for _ in range(count)) for count in counts)
    settings: list[Any] = [array() for _ in range(6)]
    weights = tuple(array() for _ in range(3))
    rest: tuple[Any, ...] = (*settings, weights, array(2, dtype=np.uint32), {}, {}, {})
    hyper = Hyper(model_floats, guide_floats, *rest)
    return parameter_shapes(plan, data, hyper)


def _count_floats(frozen: Any) -> int:
    kind, content = frozen
    if kind == "mapping":
        return sum(_count_floats(item) for _, item in content)
    if kind == "list":
        return sum(_count_floats(item) for item in content)
    return int(kind == "float")


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
    return jax.jit(jax.vmap(partial(predict_one, plan), in_axes=(0, None)))


def _chunks(
    plan: Plan, members: list[_Job], shape: tuple[int, ...], platform: str, room: int
) -> list[list[list[_Job]]]:
    """Packs of jobs on the same data, gathered into chunks of bounded memory."""
    packs: dict[bytes, list[_Job]] = {}
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
    by_width: dict[int, list[list[_Job]]] = {}
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


def _run_chunk(plan: Plan, shape: tuple[int, ...], chunk: list[list[_Job]]) -> dict[int, Trained]:
    width = max(len(pack) for pack in chunk)
    width, count = power_of_two(width), power_of_two(len(chunk))
    packs = [_filled(pack, width) for pack in _filled(chunk, count)]
    data = [_data(plan, pack[0].work.prepared, shape) for pack in packs]
    hyper = [_stack_or_only([_hyper(job, shape) for job in pack]) for pack in packs]
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
                name: np.asarray(value[p, c][_corner(job.shapes[name])], dtype=np.float64)
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
    inputs = _stack([_drawing(plan, shape, forecast, floats) for _, forecast, floats in padded])
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


def _drawing(
    plan: Plan, shape: tuple[int, int, int], forecast: Forecast, floats: Floats
) -> Drawing:
    params = {
        # a padding feature is 0, so that any valid value does; 1 is valid everywhere
        name: _pad(forecast.state.params[name], size, np.float32, 1.0)
        for name, size in _shapes(plan, shape[1], shape[2]).items()
    }
    return Drawing(
        X=_pad(forecast.X, shape, np.float32),
        params=params,
        model_floats=_scalars(floats.model),
        guide_floats=_scalars(floats.guide),
        key=_key_data(forecast.key),
        count=np.int32(forecast.num_samples),
        carry=_padded_carry(forecast.carry, shape[0]),
    )


def _padded_carry(carry: Carry | None, rows: int) -> Carry | None:
    if carry is None:
        return None
    filtered, *integers = carry
    width = (rows, filtered.shape[1])
    return Carry(
        _pad(filtered, width, np.float32), *(_pad(part, (rows,), np.int32) for part in integers)
    )


def _data(plan: Plan, prepared: Prepared, shape: tuple[int, ...]) -> Data:
    rows, assets, features, n_groups, size = shape
    missing = prepared.missing
    if plan.window_len is None:
        missing = missing | burn_in_rows(len(missing), prepared.windows)[:, None]
    table = np.zeros((n_groups, size, 4), dtype=np.int32)
    for g, group in enumerate(prepared.groups if plan.window_len is not None else ()):
        for w, window in enumerate(group):
            table[g, w] = (window.start, len(window), window.burn_in, prepared.count(window))
    return Data(
        X=_pad(prepared.X, (rows, assets, features), np.float32),
        y=_pad(prepared.y, (rows, assets), np.float32),
        M=_pad(missing, (rows, assets), np.bool_, True),
        table=table,
        n_groups=np.int32(len(prepared.groups)),
        n_obs=np.float32(prepared.n_obs),
    )


def _hyper(job: _Job, shape: tuple[int, ...]) -> Hyper:
    svi: SVIConfig = job.work.config.training.svi
    state = job.work.init_state
    warm, mask = {}, {}
    for name, size in _shapes(job.plan, shape[1], shape[2]).items():
        value = np.zeros(()) if state is None else state.params[name]
        warm[name] = _pad(np.broadcast_to(value, job.shapes[name]), size, np.float32, 1.0)
        known = np.full(job.shapes[name], state is not None)
        mask[name] = _pad(known, size, np.bool_, False)
    return Hyper(
        model_floats=_scalars(job.floats.model),
        guide_floats=_scalars(job.floats.guide),
        learning_rate=np.float32(svi.learning_rate),
        decay=np.float32(svi.lr_decay ** (1.0 / max(svi.num_steps, 1))),
        clip=np.float32(svi.clip_norm),
        beta1=np.float32(svi.betas[0]),
        beta2=np.float32(svi.betas[1]),
        n_steps=np.int32(svi.num_steps),
        kl=_annealing(svi),
        rates={
            name: np.float32(svi.learning_rates.get(name, svi.learning_rate) / svi.learning_rate)
            for name in warm
        },
        key=_key_data((job.work.config.seed,)),
        warm=warm,
        warm_mask=mask,
    )


def _annealing(svi: SVIConfig) -> tuple[Any, Any, Any]:
    kl = svi.kl_annealing
    if kl is None:
        return np.float32(1.0), np.float32(1.0), np.float32(1.0)
    return np.float32(kl.start), np.float32(kl.end), np.float32(kl.steps)


def _sampled(job: _Job) -> Trained:
    with jax.default_device(_device(job.work.config)):
        params, report = _nuts.sample(job.work.prepared, job.work.config)
    return Trained(params, np.zeros(0), -1, report)


def _window_len(job: _Job) -> int | None:
    given = job.work.config.training.svi.tbptt_window_len
    if given is not None:
        return given
    windows = job.work.prepared.windows
    if job.plan.independent_rows or len(windows) == 1:
        return None
    return padded_rows(max(len(window) for window in windows))


def _padded_shape(plan: Plan, prepared: Prepared, config: FitConfig) -> tuple[int, ...]:
    rows, assets, features = prepared.X.shape
    if plan.window_len is None:  # the whole sequence at once: the window table is not read
        rows, width = _padded(plan, rows, features, config)
        return rows, assets, width, 1, 1
    longest = max(len(window) for window in prepared.windows)
    # a window is cut at its full length, also where the last one is shorter
    last = max(window.start for window in prepared.windows)
    groups = power_of_two(len(prepared.groups))
    size = power_of_two(max(len(group) for group in prepared.groups))
    reach = max(rows, last + padded_rows(longest)) if len(prepared.windows) > 1 else rows
    rows, width = _padded(plan, reach, features, config)
    return rows, assets, width, groups, size


def _padded(plan: Plan, rows: int, features: int, config: FitConfig) -> tuple[int, int]:
    """Rows and features after padding: few sizes if the study's largest are known."""
    most = config.pad_to
    if most is None or rows > most[0] or features > most[1]:
        return padded_rows(rows), _features(plan, features)
    shared = max(_LEAST_SHARED_ROWS, power_of_two(rows))
    width = _features(plan, most[1]) if plan.inert_zero_features else features
    return min(shared, max(_LEAST_SHARED_ROWS, padded_rows(most[0]))), width


def _features(plan: Plan, count: int) -> int:
    return -(-count // 8) * 8 if plan.inert_zero_features else count


def _pad(array: Any, shape: tuple[int, ...], dtype: Any, value: Any = 0) -> Any:
    padded = np.full(shape, value, dtype=dtype)
    padded[_corner(np.shape(array))] = array
    return padded


def _corner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(0, size) for size in shape)


def _scalars(values: Sequence[float]) -> tuple[Any, ...]:
    return tuple(np.float32(value) for value in values)


def _key_data(numbers: tuple[int, ...]) -> Any:
    return np.random.SeedSequence(numbers).generate_state(2, np.uint32)


def _filled(items: list[Any], size: int) -> list[Any]:
    return items + [items[-1]] * (size - len(items))


def _stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _stack_or_only(trees: list[Any]) -> Any:
    return trees[0] if len(trees) == 1 else _stack(trees)


def _max_packs(platform: str) -> int:
    """Data sets in one program. On a CPU one: several share nothing and slow each other down."""
    return 1 if platform == "cpu" else _MAX_PACKS_ELSEWHERE
