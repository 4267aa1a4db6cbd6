"""The traced programs: one fit and one prediction, to be vectorised over jobs."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from numpyro import handlers
from numpyro.distributions import biject_to, constraints
from numpyro.infer import Trace_ELBO, TraceEnum_ELBO, TraceGraph_ELBO, TraceMeanField_ELBO
from numpyro.primitives import Messenger

from fastpanel.models._contract import ModelBatch
from fastpanel.models.numpyro_._plan import Plan

_ADAM_EPS = 1e-8
_LOSSES = {
    elbo.__name__: elbo
    for elbo in (Trace_ELBO, TraceEnum_ELBO, TraceGraph_ELBO, TraceMeanField_ELBO)
}


class Data(NamedTuple):
    """One pack's arrays, shared by all jobs on the same training rows.

    ``table`` holds per optimiser step of a pass and window: first row, length,
    burn-in, observed entries, ``int32 [n_groups, G, 4]``.
    """

    X: Any
    y: Any
    M: Any
    table: Any
    n_groups: Any
    n_obs: Any


class Hyper(NamedTuple):
    """One job's inputs that are not data."""

    model_floats: tuple[Any, ...]
    guide_floats: tuple[Any, ...]
    learning_rate: Any
    decay: Any
    clip: Any
    beta1: Any
    beta2: Any
    n_steps: Any
    kl: tuple[Any, Any, Any]
    key: Any
    rates: dict[str, Any]
    warm: dict[str, Any]
    warm_mask: dict[str, Any]


class Drawing(NamedTuple):
    """One prediction's inputs."""

    X: Any
    params: Any
    model_floats: tuple[Any, ...]
    guide_floats: tuple[Any, ...]
    key: Any
    count: Any
    carry: Any = None


class Likelihood(Messenger):  # type: ignore[misc]
    """Scale the observed sites and leave masked entries of ``obs`` out.

    A model whose ``obs`` is a distribution per entry need not look at the mask;
    one that is joint over assets (and rows) gets only fully masked parts left out
    and handles the rest itself.
    """

    def __init__(self, fn: Any, scale: Any, mask: Any) -> None:
        self.scale, self.observed = scale, ~mask
        super().__init__(fn)

    def process_message(self, msg: dict[str, Any]) -> None:
        """Change observed sample sites."""
        if msg["type"] != "sample" or not msg["is_observed"]:
            return
        msg["scale"] = self.scale if msg["scale"] is None else self.scale * msg["scale"]
        if msg["name"] == "obs":
            joint = tuple(range(-msg["fn"].event_dim, 0))
            msg["fn"] = msg["fn"].mask(self.observed.any(joint) if joint else self.observed)


class LatentScale(Messenger):  # type: ignore[misc]
    """Scale the density of the latent sites: the weight of the KL terms."""

    def __init__(self, fn: Any, weight: Any) -> None:
        self.weight = weight
        super().__init__(fn)

    def process_message(self, msg: dict[str, Any]) -> None:
        """Change latent sample sites."""
        if msg["type"] == "sample" and not msg["is_observed"]:
            msg["scale"] = self.weight if msg["scale"] is None else self.weight * msg["scale"]


class Materialised(Messenger):  # type: ignore[misc]
    """Keep XLA from drawing a latent value anew for every entry of the panel.

    On the CPU it fuses the (long) arithmetic of a draw into loops over all
    weeks and assets. A branch on a traced condition, always taken, stops that:
    a training step is nearly twice as fast.
    """

    def __init__(self, fn: Any, always: Any) -> None:
        self.always = always
        super().__init__(fn)

    def postprocess_message(self, msg: dict[str, Any]) -> None:
        """Change what the model gets to see of a latent site, not what is scored."""
        if msg["type"] == "sample" and not msg["is_observed"]:
            msg["value"] = lax.cond(self.always, lambda x: x, jnp.zeros_like, msg["value"])


def initial_parameters(
    plan: Plan, data: Data, hyper: Hyper
) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """Model, guide, initial parameter values and their unconstraining transforms."""
    model, guide = plan.build(hyper.model_floats, hyper.guide_floats)
    batch = ModelBatch(data.X, data.y, data.M)
    guide_key, model_key = jax.random.split(_key(hyper.key, 0))
    guide_trace = handlers.trace(handlers.seed(guide, guide_key)).get_trace(batch)
    replayed = handlers.replay(handlers.seed(model, model_key), guide_trace)
    model_trace = handlers.trace(replayed).get_trace(batch)
    sites = {
        name: site
        for trace in (guide_trace, model_trace)
        for name, site in trace.items()
        if site["type"] == "param"
    }
    transforms = {
        name: biject_to(site["kwargs"].get("constraint", constraints.real))
        for name, site in sites.items()
    }
    return model, guide, {name: site["value"] for name, site in sites.items()}, transforms


def fit_one(plan: Plan, data: Data, hyper: Hyper, n_max: Any) -> tuple[Any, Any, Any]:
    """Train one job: constrained parameters, losses, first step that went wrong (or -1)."""
    model, guide, start, transforms = initial_parameters(plan, data, hyper)
    start = {
        name: jnp.where(hyper.warm_mask[name], hyper.warm[name], value)
        for name, value in start.items()
    }
    free = {name: transforms[name].inv(value) for name, value in start.items()}
    key = _key(hyper.key, 1)

    def objective(free: dict[str, Any], step: Any) -> Any:
        params = {name: transforms[name](value) for name, value in free.items()}
        group = step % data.n_groups
        seen, used = Materialised(model, step >= 0), guide
        if plan.annealed:
            start, end, steps = hyper.kl
            weight = start + (end - start) * jnp.minimum(step / steps, 1.0)
            seen, used = LatentScale(seen, weight), LatentScale(guide, weight)
        loss = _loss_function(plan, seen, used, params, data.n_obs)
        return _step_loss(plan, loss, data, group, jax.random.fold_in(key, step))

    def update(step: Any, carry: Any) -> Any:
        free, first, second, losses, failed = carry
        loss, gradient = jax.value_and_grad(objective)(free, step)
        finite = jnp.isfinite(loss)
        for leaf in gradient.values():
            finite &= jnp.isfinite(leaf).all()
        active = (step < hyper.n_steps) & (failed < 0)
        failed = jnp.where(active & ~finite, step, failed)
        keep = active & finite
        moved = _adam(plan, hyper, step, (free, first, second), gradient)
        free, first, second = jax.tree.map(
            lambda new, old: jnp.where(keep, new, old), moved, (free, first, second)
        )
        return free, first, second, losses.at[step].set(loss), failed

    zeros = jax.tree.map(jnp.zeros_like, free)
    losses = jnp.zeros(plan.losses_len, jnp.float32)
    carry = (free, zeros, zeros, losses, jnp.int32(-1))
    free, _, _, losses, failed = lax.fori_loop(0, n_max, update, carry)
    return {name: transforms[name](value) for name, value in free.items()}, losses, failed


def predict_one(plan: Plan, inputs: Drawing, draws: Any) -> tuple[Any, Any]:
    """Draws ``[D, T, A]`` with the given numbers, and their mean ``[T, A]`` over ``draws < count``.

    The mean is that of the observation distribution where it has one, which
    leaves out its sampling noise.
    """
    model, guide = plan.build(inputs.model_floats, inputs.guide_floats)
    X, params, key = inputs.X, inputs.params, inputs.key
    unseen = ModelBatch(X, carry=inputs.carry)
    # automatic guides read the model's latent sites from a batch with targets
    seen = ModelBatch(X, jnp.zeros(X.shape[:2], X.dtype), jnp.zeros(X.shape[:2], bool))
    handlers.seed(handlers.substitute(guide, params), _key(key, 2))(seen)

    local = getattr(guide, "local", False)  # leaves the weeks' own sites to the model

    def draw(number: Any) -> tuple[Any, Any]:
        guide_key, model_key = jax.random.split(jax.random.fold_in(_key(key, 3), number))
        guided = handlers.substitute(handlers.seed(guide, guide_key), params)
        latent = handlers.trace(guided).get_trace(unseen if local else seen)
        replayed = handlers.replay(handlers.seed(model, model_key), latent)
        site = handlers.trace(handlers.substitute(replayed, params)).get_trace(unseen)["obs"]
        return site["value"], _mean_of(site)

    values, means = jax.vmap(draw)(draws)
    valid = draws < inputs.count
    total = jnp.where(valid[:, None, None], means, 0.0).sum(0)
    return values, total / valid.sum()


def _loss_function(plan: Plan, model: Any, guide: Any, params: Any, n_obs: Any) -> Any:
    """``(key, batch, likelihood scale) -> negative ELBO per observed entry``."""
    elbo = _LOSSES[plan.loss](num_particles=plan.particles, vectorize_particles=plan.vectorized)

    def loss(key: Any, batch: ModelBatch, scale: Any) -> Any:
        scored = Likelihood(model, scale, batch.M)
        if plan.complete:  # rows are in or out as a whole: the model need not look at a mask
            batch = ModelBatch(batch.X, batch.y)
        return elbo.loss(key, params, scored, guide, batch) / n_obs

    return loss


def _step_loss(plan: Plan, loss: Any, data: Data, group: Any, key: Any) -> Any:
    if plan.window_len is None:
        return loss(key, ModelBatch(data.X, data.y, data.M), 1.0)

    def window_loss(row: Any, key: Any) -> Any:
        first, length, burn_in, count = row

        def cut(array: Any) -> Any:
            return lax.dynamic_slice_in_dim(array, first, plan.window_len)

        position = jnp.arange(plan.window_len)
        outside = (position < burn_in) | (position >= length)
        batch = ModelBatch(cut(data.X), cut(data.y), cut(data.M) | outside[:, None])
        return loss(key, batch, data.n_obs / jnp.maximum(count, 1))

    rows = data.table[group]
    losses = jax.vmap(window_loss)(rows, jax.random.split(key, rows.shape[0]))
    counts = rows[:, 3]
    return (losses * counts).sum() / counts.sum()


def _adam(
    plan: Plan, hyper: Hyper, step: Any, state: tuple[Any, Any, Any], gradient: Any
) -> tuple[Any, Any, Any]:
    free, first, second = state
    time = step + 1.0
    rate = hyper.learning_rate
    if plan.clipped:
        gradient = jax.tree.map(lambda g: jnp.clip(g, -hyper.clip, hyper.clip), gradient)
        rate = rate * _decayed(plan, hyper, time)
    b1, b2 = hyper.beta1, hyper.beta2
    first = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, first, gradient)
    second = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, second, gradient)

    def move(value: Any, m: Any, v: Any, pace: Any) -> Any:
        moment = (m / (1 - b1**time)) / (jnp.sqrt(v / (1 - b2**time)) + _ADAM_EPS)
        return value - rate * pace * moment

    return jax.tree.map(move, free, first, second, hyper.rates), first, second


def _decayed(plan: Plan, hyper: Hyper, time: Any) -> Any:
    if plan.schedule == "exponential":
        return hyper.decay**time
    floor = hyper.decay**hyper.n_steps
    progress = time / hyper.n_steps
    if plan.schedule == "cosine":
        progress = 0.5 * (1.0 - jnp.cos(jnp.pi * progress))
    return 1.0 - (1.0 - floor) * progress


def _mean_of(site: dict[str, Any]) -> Any:
    try:
        mean = site["fn"].mean
    except NotImplementedError:
        return site["value"]
    return jnp.where(jnp.isfinite(mean), mean, site["value"])


def _key(data: Any, stream: int) -> Any:
    return jax.random.fold_in(jax.random.wrap_key_data(data, impl="threefry2x32"), stream)
