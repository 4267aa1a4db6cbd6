"""What a back end is asked to do: one fit, or one prediction, checked and in plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

from fastpanel.models._chain import Carry
from fastpanel.models._config import FitConfig
from fastpanel.models._prepare import Prepared
from fastpanel.models._state import FitState
from fastpanel.typing import FloatArray


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
