"""State of a hidden chain behind and after the training rows, in Pyro."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyro
import torch
from pyro import poutine

from fastpanel.models._chain import CARRY_DRAWS
from fastpanel.models._config import FitConfig
from fastpanel.models._contract import ModelBatch
from fastpanel.models._prepare import Prepared
from fastpanel.models._state import FitState
from fastpanel.models.pyro_ import _engine
from fastpanel.typing import FloatArray


def filtered(prepared: Prepared, config: FitConfig, state: FitState) -> FloatArray:
    """Law of the state after each stretch, averaged over the posterior, ``[n, G]``."""
    drawn = _drawn(prepared, config, state)
    return np.stack([_array(fn.filtered(y)).mean(0) for fn, y in drawn])


def emissions(
    prepared: Prepared, config: FitConfig, state: FitState
) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Per stretch and posterior draw: log emission ``[D, T, G]``, and the chain."""
    drawn = _drawn(prepared, config, state)
    return [tuple(map(_array, (fn.log_emission(y), *fn.chain))) for fn, y in drawn]  # type: ignore[misc]


def _drawn(prepared: Prepared, config: FitConfig, state: FitState) -> Iterator[tuple[Any, Any]]:
    """Law and value of the observations of each stretch, in a plate of posterior draws."""
    device = _engine.device_of(config)
    with _engine.isolated((config.seed, 1), prepared.X.size, device), torch.no_grad():
        whole = _engine.batch_of(prepared)
        model, guide = _engine.build(config)
        for part in (guide, model):
            poutine.trace(part).get_trace(whole)  # creates the parameters
        _engine.set_parameters(guide, state.params)
        plate = pyro.plate("draws", CARRY_DRAWS, dim=-2)
        for start, stop in prepared.stretches:
            batch = ModelBatch(whole.X[start:stop], whole.y[start:stop], whole.M[start:stop])
            latent = poutine.trace(plate(guide)).get_trace(batch)
            replayed = poutine.replay(plate(model), latent)
            yield poutine.trace(replayed).get_trace(batch).nodes["obs"]["fn"], batch.y


def _array(value: Any) -> FloatArray:
    """Draws in front; the plate's right neighbour, the dimension of rows, holds one entry."""
    return np.asarray(value.reshape(CARRY_DRAWS, *value.shape[2:]).double().cpu().numpy())
