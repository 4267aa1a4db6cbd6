"""Where an automatic guide stands, and another one placed there, in Pyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pyro import poutine
from pyro.infer.autoguide.initialization import InitMessenger, init_to_value

from fastpanel.models._config import FitConfig
from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import build_guide, default_guide_registry
from fastpanel.models._state import FitState
from fastpanel.models.pyro_._engine import (
    build,
    device_of,
    isolated,
    parameters,
    set_parameters,
)
from fastpanel.typing import FloatArray


def medians(config: FitConfig, state: FitState) -> dict[str, FloatArray]:
    """Median of every latent site under the guide, on the site's own scale."""
    with isolated((config.seed,), 1, device_of(config)), torch.no_grad():
        model, guide = build(config)
        batch = _batch(state)
        for part in (guide, model):
            poutine.trace(part).get_trace(batch)  # creates the parameters
        set_parameters(guide, state.params)
        values = guide.guide.median(batch)
        return {name: value.double().cpu().numpy() for name, value in values.items()}


def placed_at(
    config: FitConfig, values: Mapping[str, FloatArray], state: FitState
) -> dict[str, FloatArray]:
    """Initial parameters of the configured guide at ``values``."""
    with isolated((config.seed,), 1, device_of(config)), torch.no_grad():
        model, _ = build(config)
        dtype = torch.get_default_dtype()
        point = {name: torch.as_tensor(value, dtype=dtype) for name, value in values.items()}
        section = config.model
        factory = default_guide_registry("pyro")[section.guide_name]
        placed = InitMessenger(init_to_value(values=point))(model)
        guide = build_guide(factory, section.guide_name, section.guide_params, placed)
        for part in (guide, model):
            poutine.trace(part).get_trace(_batch(state))
        return parameters(guide)


def _batch(state: FitState) -> Any:
    """A batch of the state's width; no parameter depends on its rows."""
    y = torch.zeros(2, state.n_assets)
    return ModelBatch(torch.zeros(2, state.n_assets, state.n_features), y, torch.zeros_like(y) > 0)
