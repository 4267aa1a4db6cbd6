"""What programs take: jobs in, arrays of few padded sizes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from fastpanel.models._chain import Carry
from fastpanel.models._config import FitConfig, SVIConfig, known_names
from fastpanel.models._device import index_of, wanted_device, warn_absent
from fastpanel.models._memory import (
    padded_rows,
    power_of_two,
)
from fastpanel.models._prepare import Prepared
from fastpanel.models._windows import burn_in_rows
from fastpanel.models._work import Forecast, Work
from fastpanel.models.numpyro_._check import parameter_shapes
from fastpanel.models.numpyro_._plan import Floats, Plan, make_plan
from fastpanel.models.numpyro_._program import Data, Drawing, Hyper
from fastpanel.typing import FloatArray

_LEAST_SHARED_ROWS = 128  # with pad_to, sizes start here and double


@dataclass(frozen=True, eq=False)
class Job:
    position: int
    plan: Plan
    floats: Floats
    work: Work
    shapes: dict[str, tuple[int, ...]]


def device_of(config: FitConfig) -> Any:
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


def make_job(position: int, work: Work) -> Job:
    prepared = work.prepared
    plan, floats = traceable(work.config, prepared.X)
    n_assets, n_features = prepared.X.shape[1:]
    shapes = _shapes(plan, n_assets, n_features)
    known_names(work.config.training.svi.learning_rates, shapes)
    return Job(position, plan, floats, work, shapes)


def traceable(config: FitConfig, X: FloatArray) -> tuple[Plan, Floats]:
    plan, floats = make_plan(config)
    # a model that branches on a float parameter cannot take it as a program input
    if _concrete_floats(plan, *X.shape[1:]):
        return make_plan(config, traced_floats=False)
    return plan, floats


@lru_cache(maxsize=256)
def _concrete_floats(plan: Plan, n_assets: int, n_features: int) -> bool:
    try:
        _shapes(plan, n_assets, n_features)
    except jax.errors.ConcretizationTypeError:
        return True
    return False


def window_len(job: Job) -> int | None:
    given = job.work.config.training.svi.tbptt_window_len
    if given is not None:
        return given
    windows = job.work.prepared.windows
    if job.plan.independent_rows or len(windows) == 1:
        return None
    return padded_rows(max(len(window) for window in windows))


def padded_shape(plan: Plan, prepared: Prepared, config: FitConfig) -> tuple[int, ...]:
    rows, assets, features = prepared.X.shape
    if plan.window_len is None:  # the whole sequence at once: the window table is not read
        rows, width = padded_size(plan, rows, features, config)
        return rows, assets, width, 1, 1
    longest = max(len(window) for window in prepared.windows)
    # a window is cut at its full length, also where the last one is shorter
    last = max(window.start for window in prepared.windows)
    groups = power_of_two(len(prepared.groups))
    size = power_of_two(max(len(group) for group in prepared.groups))
    reach = max(rows, last + padded_rows(longest)) if len(prepared.windows) > 1 else rows
    rows, width = padded_size(plan, reach, features, config)
    return rows, assets, width, groups, size


def padded_size(plan: Plan, rows: int, features: int, config: FitConfig) -> tuple[int, int]:
    """Rows and features after padding: few sizes if the study's largest are known."""
    most = config.pad_to
    if most is None or rows > most[0] or features > most[1]:
        return padded_rows(rows), _features(plan, features)
    shared = max(_LEAST_SHARED_ROWS, power_of_two(rows))
    width = _features(plan, most[1]) if plan.inert_zero_features else features
    return min(shared, max(_LEAST_SHARED_ROWS, padded_rows(most[0]))), width


def drawing_of(
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


def data_of(plan: Plan, prepared: Prepared, shape: tuple[int, ...]) -> Data:
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


def hyper_of(job: Job, shape: tuple[int, ...]) -> Hyper:
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


def _padded_carry(carry: Carry | None, rows: int) -> Carry | None:
    if carry is None:
        return None
    filtered, *integers = carry
    width = (rows, filtered.shape[1])
    return Carry(
        _pad(filtered, width, np.float32), *(_pad(part, (rows,), np.int32) for part in integers)
    )


def _annealing(svi: SVIConfig) -> tuple[Any, Any, Any]:
    kl = svi.kl_annealing
    if kl is None:
        return np.float32(1.0), np.float32(1.0), np.float32(1.0)
    return np.float32(kl.start), np.float32(kl.end), np.float32(kl.steps)


def _features(plan: Plan, count: int) -> int:
    return -(-count // 8) * 8 if plan.inert_zero_features else count


def _pad(array: Any, shape: tuple[int, ...], dtype: Any, value: Any = 0) -> Any:
    padded = np.full(shape, value, dtype=dtype)
    padded[corner(np.shape(array))] = array
    return padded


def corner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(0, size) for size in shape)


def _scalars(values: Sequence[float]) -> tuple[Any, ...]:
    return tuple(np.float32(value) for value in values)


def _key_data(numbers: tuple[int, ...]) -> Any:
    return np.random.SeedSequence(numbers).generate_state(2, np.uint32)
