"""State of a hidden chain behind and after the training rows, in NumPyro."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
from jax import lax
from numpyro import handlers

from fastpanel.models._chain import CARRY_DRAWS
from fastpanel.models._config import FitConfig
from fastpanel.models._contract import ModelBatch
from fastpanel.models._prepare import Prepared
from fastpanel.models._state import FitState
from fastpanel.models._work import Forecast
from fastpanel.models.numpyro_._inputs import device_of, drawing_of, padded_size, traceable
from fastpanel.models.numpyro_._plan import Plan
from fastpanel.models.numpyro_._program import Drawing
from fastpanel.typing import FloatArray


def filtered(prepared: Prepared, config: FitConfig, state: FitState) -> FloatArray:
    """Law of the state after each stretch, averaged over the posterior, ``[n, G]``."""
    return np.stack([law for law, _ in _drawn(prepared, config, state, whole=False)])


def emissions(
    prepared: Prepared, config: FitConfig, state: FitState
) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Per stretch and posterior draw: log emission ``[D, T, G]``, and the chain."""
    drawn = _drawn(prepared, config, state, whole=True)
    return [(emission[:, -rows:], *chain) for (emission, *chain), rows in drawn]


def _drawn(
    prepared: Prepared, config: FitConfig, state: FitState, *, whole: bool
) -> Iterator[tuple[Any, int]]:
    """What the program says of each stretch, in double precision, and its number of rows."""
    with jax.enable_x64(False), jax.default_device(device_of(config)):
        for start, stop in prepared.stretches:
            own = slice(start, stop)
            plan, floats = traceable(config, prepared.X[own])
            rows, width = padded_size(plan, stop - start, prepared.X.shape[2], config)
            # unobserved rows before the first leave a chain in its stationary law
            front = ((rows - stop + start, 0), (0, 0))
            X: FloatArray = np.pad(prepared.X[own], (*front, (0, 0)))
            y = np.pad(prepared.y[own], front).astype(np.float32)
            M = np.pad(prepared.missing[own], front, constant_values=True)
            forecast = Forecast(X, state, config, 1, (config.seed, 1))
            plan = plan.for_prediction()
            inputs = drawing_of(plan, (rows, X.shape[1], width), forecast, floats)
            said = jax.device_get(_program(plan, whole)(inputs, y, M))
            yield jax.tree.map(partial(np.asarray, dtype=np.float64), said), stop - start


@lru_cache(maxsize=64)
def _program(plan: Plan, whole: bool) -> Any:
    def said(inputs: Drawing, y: Any, M: Any) -> Any:
        model, guide = plan.build(inputs.model_floats, inputs.guide_floats)
        batch = ModelBatch(inputs.X, y, M)

        def draw(key: Any) -> Any:
            guided = handlers.substitute(handlers.seed(guide, key), inputs.params)
            latent = handlers.trace(guided).get_trace(batch)
            replayed = handlers.replay(handlers.seed(model, key), latent)
            known = handlers.substitute(replayed, inputs.params)
            fn = handlers.trace(known).get_trace(batch)["obs"]["fn"]
            return (fn.log_emission(y), *fn.chain) if whole else fn.filtered(y)

        key = jax.random.wrap_key_data(inputs.key, impl="threefry2x32")
        drawn = lax.map(draw, jax.random.split(key, CARRY_DRAWS))
        return drawn if whole else drawn.mean(0)

    return jax.jit(said)
