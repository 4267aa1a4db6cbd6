"""What a model, a guide and a prebuild hook receive and return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from fastpanel.typing import BoolArray, FloatArray

if TYPE_CHECKING:
    from fastpanel.models._chain import Carry
    from fastpanel.models._state import FitState


@dataclass(frozen=True)
class ModelBatch:
    """One stretch of consecutive weeks, as a model and its guide see it.

    Attributes
    ----------
    X
        Features ``[T, A, F]``, finite; a missing entry's features are 0.
    y
        Targets ``[T, A]`` in standardised units, or None when predicting.
        Masked entries hold 0.
    M
        ``bool [T, A]``, **True = left out of the likelihood** (missing target,
        burn-in row or padding), or None when nothing is left out.
    carry
        For a model with ``carries_state``, when predicting: where its hidden
        chain stands at each row (:class:`Carry`); else None.

    Examples
    --------
    >>> import numpy as np
    >>> ModelBatch(X=np.zeros((3, 2, 4))).M is None
    True
    """

    X: Any
    y: Any = None
    M: Any = None
    carry: Carry | None = None


@runtime_checkable
class PyroModel(Protocol):
    """A model: declares latent sites and one observation site named ``"obs"``."""

    def __call__(self, batch: ModelBatch) -> None:
        """Run the model on ``batch``; ``batch.y`` None means: draw ``obs``."""


@runtime_checkable
class PyroGuide(Protocol):
    """A guide: one site per latent site of its model, no observed site."""

    def __call__(self, batch: ModelBatch) -> None:
        """Sample every latent site of the model."""


@dataclass(frozen=True)
class PrebuildContext:
    """Training rows that a prebuild hook may look at, and nothing else.

    Attributes
    ----------
    X, y
        Features ``[T, A, F]`` and targets ``[T, A]`` (NaN = missing) of the rows
        that every outer fold trains on, in the unit of the caller.
    config
        The candidate-free configuration.
    params
        ``model.prebuild.params``.
    M
        ``bool [T, A]``, True = left out; None = only NaN targets are left out.
    """

    X: FloatArray
    y: FloatArray
    config: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    M: BoolArray | None = None


@dataclass(frozen=True)
class PrebuildResult:
    """Defaults that a prebuild hook derived; candidates override them."""

    model_params: Mapping[str, Any] = field(default_factory=dict)
    guide_params: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FitJob:
    """One fit: arrays as for :func:`fastpanel.models.fit`."""

    X: Any
    y: Any
    config: Mapping[str, Any]
    init_state: FitState | None = None


@dataclass(frozen=True)
class PredictJob:
    """One prediction: arrays as for :func:`fastpanel.models.predict`."""

    X: Any
    state: FitState
    config: Mapping[str, Any]
    num_samples: int
