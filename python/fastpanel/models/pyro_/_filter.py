"""State of a hidden chain after the training rows, in Pyro."""

from __future__ import annotations

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
    laws: list[FloatArray] = []
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
            law = poutine.trace(replayed).get_trace(batch).nodes["obs"]["fn"].filtered(batch.y)
            laws.append(law.reshape(CARRY_DRAWS, -1).double().mean(0).cpu().numpy())
    return np.stack(laws)
