"""Built-in inner metrics: higher is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastpanel.models import metric_registry, register_metric
from fastpanel.simulation._config import SimulationConfig
from fastpanel.typing import FloatArray

Metric = Callable[[FloatArray, Mapping[str, FloatArray], Mapping[str, Any]], float]


def inner_metric(config: SimulationConfig) -> Metric:
    """The metric that ``scoring.spec.metric_name`` names, built with the scoring spec."""
    spec = config.scoring.spec
    metric: Metric = metric_registry("inner")[spec.metric_name](spec.model_dump())
    return metric


@register_metric("neg_mse", scope="inner")
def neg_mse(spec: Mapping[str, Any]) -> Metric:
    """Minus the mean squared error of the mean prediction over observed targets."""
    del spec

    def score(
        y_true: FloatArray, pred: Mapping[str, FloatArray], score_spec: Mapping[str, Any]
    ) -> float:
        del score_spec
        mean = pred["mean"] if "mean" in pred else np.mean(pred["samples"], axis=0)
        observed = np.isfinite(y_true)
        if not observed.any():
            return float("nan")
        return -float(np.mean((y_true[observed] - mean[observed]) ** 2))

    return score


@register_metric("energy_score", scope="inner")
def energy_score(spec: Mapping[str, Any]) -> Metric:
    """Minus the mean weekly energy score in the space whitened on training targets."""
    del spec

    def score(
        y_true: FloatArray, pred: Mapping[str, FloatArray], score_spec: Mapping[str, Any]
    ) -> float:
        del pred  # the caller has scored it: the weekly scores are part of every payload
        due = np.isfinite(score_spec["transform"].transform(y_true)).all(axis=-1)
        weekly = score_spec["energy_score"]
        return -float(np.mean(weekly[due])) if due.any() else float("nan")

    return score
