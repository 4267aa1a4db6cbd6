"""Probabilistic panel models: one contract, two probabilistic back ends."""

from __future__ import annotations

from fastpanel.models import _factor as _factor
from fastpanel.models import _regime as _regime
from fastpanel.models import _volatility as _volatility
from fastpanel.models._api import fit, fit_many, predict, predict_many
from fastpanel.models._chain import Carry
from fastpanel.models._complexity import complexity, register_complexity
from fastpanel.models._config import (
    FitConfig,
    KLAnnealing,
    ModelConfig,
    RequireConfig,
    SVIConfig,
    TrainingConfig,
)
from fastpanel.models._contract import (
    FitJob,
    ModelBatch,
    PrebuildContext,
    PrebuildResult,
    PredictJob,
    PyroGuide,
    PyroModel,
)
from fastpanel.models._forecaster import Forecaster, load
from fastpanel.models._memory import MemoryEstimate, estimate_memory
from fastpanel.models._metrics import metric_registry, register_metric
from fastpanel.models._prebuilds import (
    default_prebuild_registry,
    register_prebuild,
    run_prebuild,
)
from fastpanel.models._progression import fit_progression
from fastpanel.models._registries import (
    default_guide_registry,
    default_model_registry,
    guide_registry,
    model_registry,
    register_guide,
    register_model,
    resolve_backend,
)
from fastpanel.models._render import render_model, trace_shapes
from fastpanel.models._report import FitReport
from fastpanel.models._state import FitState
from fastpanel.models._states import HiddenStates, hidden_states
from fastpanel.models._stream import predict_chunks
from fastpanel.models._windows import Window, build_windows, group_windows, segments

__all__ = [
    "Carry",
    "FitConfig",
    "FitJob",
    "FitReport",
    "FitState",
    "Forecaster",
    "HiddenStates",
    "KLAnnealing",
    "MemoryEstimate",
    "ModelBatch",
    "ModelConfig",
    "PrebuildContext",
    "PrebuildResult",
    "PredictJob",
    "PyroGuide",
    "PyroModel",
    "RequireConfig",
    "SVIConfig",
    "TrainingConfig",
    "Window",
    "build_windows",
    "complexity",
    "default_guide_registry",
    "default_model_registry",
    "default_prebuild_registry",
    "estimate_memory",
    "fit",
    "fit_many",
    "fit_progression",
    "group_windows",
    "guide_registry",
    "hidden_states",
    "load",
    "metric_registry",
    "model_registry",
    "predict",
    "predict_chunks",
    "predict_many",
    "register_complexity",
    "register_guide",
    "register_metric",
    "register_model",
    "register_prebuild",
    "render_model",
    "resolve_backend",
    "run_prebuild",
    "segments",
    "trace_shapes",
]
