"""Where an automatic guide stands, and another one placed there, in NumPyro."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from numpyro.infer.initialization import init_to_value

from fastpanel.models._config import FitConfig
from fastpanel.models._contract import ModelBatch
from fastpanel.models._state import FitState
from fastpanel.models.numpyro_._plan import make_plan
from fastpanel.typing import FloatArray


def medians(config: FitConfig, state: FitState) -> dict[str, FloatArray]:
    """Median of every latent site under the guide, on the site's own scale."""

    def point(params: Any) -> Any:
        _, guide = _built(config)
        handlers.seed(handlers.substitute(guide, params), config.seed)(_batch(state))
        return guide.guide.median(params)

    return _computed(point, state.params)


def placed_at(
    config: FitConfig, values: Mapping[str, FloatArray], state: FitState
) -> dict[str, FloatArray]:
    """Initial parameters of the configured guide at ``values``."""

    def start(point: Any) -> Any:
        model, guide = _built(config)
        guide.guide.init_loc_fn = init_to_value(values=point)
        batch = _batch(state)
        found: dict[str, Any] = {}
        for part in (guide, model):
            trace = handlers.trace(handlers.seed(part, config.seed)).get_trace(batch)
            found |= {k: site["value"] for k, site in trace.items() if site["type"] == "param"}
        return found

    return _computed(start, values)


def _built(config: FitConfig) -> tuple[Any, Any]:
    plan, floats = make_plan(config, traced_floats=False)
    return plan.build(floats.model, floats.guide)


def _batch(state: FitState) -> ModelBatch:
    """A batch of the state's width; no parameter depends on its rows."""
    shape = (2, state.n_assets)
    return ModelBatch(jnp.zeros((*shape, state.n_features)), jnp.zeros(shape), jnp.zeros(shape) > 0)


def _computed(function: Callable[[Any], Any], arrays: Mapping[str, Any]) -> dict[str, FloatArray]:
    with jax.enable_x64(False):
        single = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
        result = jax.device_get(jax.jit(function)(single))
    return {name: np.asarray(value, np.float64) for name, value in result.items()}
