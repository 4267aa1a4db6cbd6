"""The registries that an experiment is put together from, side by side."""

from fastpanel.models import guide_registry, metric_registry, model_registry
from fastpanel.simulation._experiment import TRAINER_REGISTRY
from fastpanel.simulation._loaders import DATASET_REGISTRY
from fastpanel.splits import CV_REGISTRY

MODEL_REGISTRY = model_registry("pyro")
"""Models in Pyro; the built-in ones are there after ``fp.models.default_model_registry()``."""

GUIDE_REGISTRY = guide_registry("pyro")
"""Guides in Pyro; the built-in ones are there after ``fp.models.default_guide_registry()``."""

METRIC_REGISTRY = metric_registry("inner")
"""Inner metrics; outer ones are in ``fp.models.metric_registry("outer")``."""

__all__ = [
    "CV_REGISTRY",
    "DATASET_REGISTRY",
    "GUIDE_REGISTRY",
    "METRIC_REGISTRY",
    "MODEL_REGISTRY",
    "TRAINER_REGISTRY",
]
