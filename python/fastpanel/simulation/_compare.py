"""Outer forecasts against the baselines: weekly scores and their paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastpanel import scoring
from fastpanel.simulation._baselines import BASELINES
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import Dataset
from fastpanel.simulation._outer import OuterResult, score_space_of_fold, training_rows
from fastpanel.simulation._seeds import unit_seed
from fastpanel.simulation._space import ScoreSpace
from fastpanel.simulation._structure import OuterPlan
from fastpanel.typing import FloatArray

MODEL = "model"
LEVELS = (0.5, 0.9)


@dataclass(frozen=True)
class WeeklyScores:
    """Scores of one forecaster on the outer test weeks.

    Attributes
    ----------
    energy_score : float64 [N]
        In the whitened space of the week's fold; NaN = a target is missing.
    crps : float64 [N]
        Mean over scored assets, on the MAD scale of the fold.
    coverage : float64 [2]
        Share of observed targets inside the central 50 % and 90 % intervals.
    inside : float64 [2, N, A]
        1 = inside that interval, 0 = outside, NaN = not observed or not scored.
    """

    energy_score: FloatArray
    crps: FloatArray
    coverage: FloatArray
    inside: FloatArray


def score_outer(
    dataset: Dataset,
    plans: Sequence[OuterPlan],
    results: Sequence[OuterResult],
    config: SimulationConfig,
) -> dict[str, WeeklyScores]:
    """Weekly scores of the model and of every baseline, over all outer test weeks."""
    parts: dict[str, list[tuple[FloatArray, FloatArray, FloatArray]]] = {}
    for plan, result in zip(plans, results, strict=True):
        space = score_space_of_fold(dataset, plan, config)
        y = dataset.y[result.rows]
        forecasts = {MODEL: result.samples}
        for index, name in enumerate(BASELINES):
            forecasts[name] = _issue(name, index, dataset, plan, result, config)
        for name, samples in forecasts.items():
            parts.setdefault(name, []).append(_score(y, samples, space, config))
    return {name: _joined(blocks) for name, blocks in parts.items()}


def score_table(scores: Mapping[str, WeeklyScores]) -> list[dict[str, Any]]:
    """One row per forecaster: means, and the model's advantage with its standard error.

    ``es_gain`` is baseline minus model (positive: the model is better) over the
    weeks that both have; ``es_gain_se`` is its Newey-West standard error.
    """
    model = scores[MODEL]
    rows = []
    for name, weekly in scores.items():
        gain = weekly.energy_score - model.energy_score
        gain = gain[np.isfinite(gain)]
        rows.append(
            {
                "forecaster": name,
                "weeks": int(np.isfinite(weekly.energy_score).sum()),
                "energy_score": float(np.nanmean(weekly.energy_score)),
                "es_gain": 0.0 if name == MODEL else float(gain.mean()),
                "es_gain_se": 0.0 if name == MODEL else newey_west_se(gain),
                "crps": float(np.nanmean(weekly.crps)),
                "coverage_50": float(weekly.coverage[0]),
                "coverage_90": float(weekly.coverage[1]),
            }
        )
    return rows


def newey_west_se(x: FloatArray) -> float:
    """Standard error of a mean under autocorrelation (Newey and West 1987, Bartlett weights).

    Lags: ``floor(4 (n / 100)^(2/9))``.
    """
    n = len(x)
    if n < 2:
        return float("nan")
    e = x - x.mean()
    lags = min(n - 1, int(4 * (n / 100) ** (2 / 9)))
    variance = float(e @ e) / n
    for lag in range(1, lags + 1):
        variance += 2.0 * (1.0 - lag / (lags + 1)) * float(e[lag:] @ e[:-lag]) / n
    return float(np.sqrt(max(variance, 0.0) / n))


def _issue(
    name: str,
    index: int,
    dataset: Dataset,
    plan: OuterPlan,
    result: OuterResult,
    config: SimulationConfig,
) -> FloatArray:
    """A baseline's draws ``[S, N, A]``, each week from the targets known that week."""
    samples = np.empty_like(result.samples)
    for i, row in enumerate(result.rows):
        seed = unit_seed(config.cv.seed, plan.group, i, 2 + index)
        y_train = dataset.y[training_rows(plan, int(row), config)]
        samples[:, i] = BASELINES[name](y_train, len(samples), np.random.default_rng(seed))
    return samples


def _score(
    y: FloatArray, samples: FloatArray, space: ScoreSpace, config: SimulationConfig
) -> tuple[FloatArray, FloatArray, FloatArray]:
    estimator = config.scoring.spec.estimator
    es = space.energy_score(y, samples, estimator)
    z, draws = space.scaled(y)[:, space.assets], space.scaled(samples)[..., space.assets]
    crps = scoring.crps_ensemble(z, draws, m_axis=0, estimator=estimator)
    observed = np.isfinite(crps)
    weekly = np.where(observed, crps, 0.0).sum(axis=1) / np.maximum(observed.sum(axis=1), 1)
    weekly[~observed.any(axis=1)] = np.nan
    edges = [((1 - level) / 2, (1 + level) / 2) for level in LEVELS]
    inside = np.full((len(LEVELS), *y.shape), np.nan)
    for i, (low, high) in enumerate(edges):
        lower, upper = np.quantile(draws, [low, high], axis=0)
        inside[i][:, space.assets] = np.where(observed, (lower <= z) & (z <= upper), np.nan)
    return es, weekly, inside


def _joined(blocks: Sequence[tuple[FloatArray, FloatArray, FloatArray]]) -> WeeklyScores:
    es, crps, parts = zip(*blocks, strict=True)
    inside = np.concatenate(parts, axis=1)
    return WeeklyScores(
        energy_score=np.concatenate(es),
        crps=np.concatenate(crps),
        coverage=np.nanmean(inside, axis=(1, 2)),
        inside=inside,
    )
