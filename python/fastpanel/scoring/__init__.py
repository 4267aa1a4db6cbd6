"""Scores of probabilistic forecasts given as samples.

Meaning, axes and estimator names are those of ``scoringrules``; its names
``es_ensemble`` and ``vs_ensemble`` are aliases, so that an import can be
switched. Lower is better throughout. NumPy arrays are scored by the compiled
core; torch and JAX arrays are scored on their own device and come back as
what they were.
"""

from __future__ import annotations

from fastpanel.scoring._aliases import es_ensemble, vs_ensemble
from fastpanel.scoring._calibration import coverage, pit
from fastpanel.scoring._crps import crps_ensemble
from fastpanel.scoring._energy import energy_loss, energy_score
from fastpanel.scoring._kernel import kernel_score
from fastpanel.scoring._quantile import ensemble_quantile, quantile_score, tail_quantile_loss
from fastpanel.scoring._variogram import variogram_score
from fastpanel.scoring._whitening import Whitener

__all__ = [
    "Whitener",
    "coverage",
    "crps_ensemble",
    "energy_loss",
    "energy_score",
    "ensemble_quantile",
    "es_ensemble",
    "kernel_score",
    "pit",
    "quantile_score",
    "tail_quantile_loss",
    "variogram_score",
    "vs_ensemble",
]
