"""Calm, normal and stressed weeks, told apart by what was known when the forecast was made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastpanel import rolling
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import Dataset
from fastpanel.simulation._outer import training_rows
from fastpanel.simulation._structure import OuterPlan
from fastpanel.typing import FloatArray, IntArray

REGIMES = ("calm", "normal", "stressed")
_DECAY = 0.94
_FIRST = 12
"""Weeks before the mean has seen enough to set a threshold."""


def regimes(dataset: Dataset, plans: Sequence[OuterPlan], config: SimulationConfig) -> IntArray:
    """Position in ``REGIMES`` of every outer week, in the order of ``plans``, int64 [N].

    The index of week t is the exponentially weighted mean (decay 0.94) of the
    squared returns of all weeks up to t, each divided by its asset's median
    absolute deviation; a week's regime is the tercile of its index among the
    training weeks of its fold. Scales and terciles come from training rows.
    """
    return np.concatenate([_of_fold(dataset, plan, config) for plan in plans])


def _of_fold(dataset: Dataset, plan: OuterPlan, config: SimulationConfig) -> IntArray:
    train = training_rows(plan, plan.start, config)
    index = volatility_index(dataset, train, config.data.dataset_params.target_shift)
    known = index[train[train >= _FIRST]]
    low, high = np.nanquantile(known, [1 / 3, 2 / 3])
    own = index[plan.start : plan.stop]
    out: IntArray = (own > low).astype(np.int64) + (own > high)
    return out


def volatility_index(dataset: Dataset, train: IntArray, shift: int) -> FloatArray:
    """Index of every row ``[T]``; ``y[t]`` enters it at row ``t + shift``, when it is realised."""
    y = dataset.y
    with np.errstate(invalid="ignore"):
        centre = np.nanmedian(y[train], axis=0)
        scale = np.nanmedian(np.abs(y[train] - centre), axis=0)
    usable = np.isfinite(scale) & (scale > 0.0)
    squares = (y[:, usable] / scale[usable]) ** 2
    seen = np.isfinite(squares)
    count = seen.sum(axis=1)
    mean = np.where(seen, squares, 0.0).sum(axis=1) / np.maximum(count, 1)
    realised = np.full(len(y), np.nan)
    realised[shift:] = np.where(count > 0, mean, np.nan)[:-shift]
    out: FloatArray = rolling.ewm_mean(realised, alpha=1.0 - _DECAY)
    return out
