"""Fitting candidates on splits: NumPyro's one program against Pyro job by job.

``-m "not slow"`` runs a smoke size; the full size is 15 splits x 16 candidates
x 1,000 steps on T=400, A=20, F=45. Pyro is timed on a few jobs and scaled.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest

from fastpanel import models


@dataclass(frozen=True)
class Size:
    weeks: int
    assets: int
    features: int
    splits: int
    candidates: int
    steps: int
    pyro_jobs: int


SMOKE = Size(60, 4, 5, 2, 4, 40, 1)
FULL = Size(400, 20, 45, 15, 16, 1000, 3)
SIZES = [
    pytest.param(SMOKE, id="smoke"),
    pytest.param(FULL, id="full", marks=pytest.mark.slow),
]


def panel(size: Size, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(size.weeks, size.assets, size.features))
    market = rng.normal(size=(size.weeks, 1)) * np.linspace(0.3, 0.7, size.assets)
    y = 0.03 * X[..., 0] + market + 0.8 * rng.normal(size=(size.weeks, size.assets))
    return X, y


def config(size: Size, candidate: int, backend: str) -> dict:
    params = {"coefficients": {"scale": 0.01 * (1 + candidate)}}
    svi = {"num_steps": size.steps, "learning_rate": 0.005, "lr_decay": 0.1}
    return {"model": {"backend": backend, "params": params}, "training": {"svi": svi}}


def jobs(size: Size, backend: str) -> list[models.FitJob]:
    splits = [panel(size, seed) for seed in range(size.splits)]
    return [
        models.FitJob(X, y, config(size, c, backend))
        for X, y in splits
        for c in range(size.candidates)
    ]


def crps(samples: np.ndarray, y: np.ndarray) -> float:
    ordered = np.sort(samples, axis=0)
    n = len(ordered)
    spread = ((2 * np.arange(1, n + 1) - n - 1)[:, None, None] * ordered).sum(0) / n**2
    return float((np.abs(samples - y).mean(0) - spread).mean())


def scores(all_jobs: list[models.FitJob], states: list[models.FitState]) -> list[float]:
    """Mean CRPS of each job's forecasts on its first 52 rows."""
    asks = [
        models.PredictJob(job.X[:52], state, job.config, 400)
        for job, state in zip(all_jobs, states, strict=True)
    ]
    drawn = models.predict_many(asks)
    return [crps(d["samples"], j.y[:52]) for d, j in zip(drawn, all_jobs, strict=True)]


@pytest.mark.parametrize("size", SIZES)
def test_fit_many_against_pyro(benchmark, size):
    work = jobs(size, "numpyro")
    started = time.perf_counter()
    models.fit_many(work)
    with_compilation = time.perf_counter() - started
    states = benchmark.pedantic(models.fit_many, args=(work,), rounds=1)
    elapsed = benchmark.stats.stats.min

    rival = jobs(size, "pyro")
    models.fit(rival[0].X, rival[0].y, config(Size(*[*vars(size).values()][:5], 2, 1), 0, "pyro"))
    chosen = [position * size.candidates for position in range(size.pyro_jobs)]
    started = time.perf_counter()
    pyro_states = models.fit_many([rival[position] for position in chosen])
    pyro = (time.perf_counter() - started) / len(chosen) * len(work)

    ours = scores([work[p] for p in chosen], [states[p] for p in chosen])
    theirs = scores([rival[p] for p in chosen], pyro_states)
    benchmark.extra_info |= {
        "job_steps_per_s": round(len(work) * size.steps / elapsed),
        "with_compilation_s": round(with_compilation, 2),
        "pyro_scaled_s": round(pyro, 1),
        "times_faster": round(pyro / elapsed, 1),
        "times_faster_with_compilation": round(pyro / with_compilation, 1),
        "crps": [round(value, 4) for value in ours],
        "crps_pyro": [round(value, 4) for value in theirs],
    }
    np.testing.assert_allclose(ours, theirs, rtol=0.03)


@pytest.mark.parametrize("size", SIZES)
def test_weekly_refits(benchmark, size):
    """Warm-started refits on a growing panel: one week more each time."""
    X, y = panel(size, 0)
    cold = config(size, 1, "numpyro")
    warm = config(Size(*[*vars(size).values()][:5], max(10, size.steps // 10), 1), 1, "numpyro")
    first = size.weeks - 26

    def walk() -> models.FitState:
        state = models.fit(X[:first], y[:first], cold)
        for week in range(first + 1, size.weeks):
            state = models.fit(X[:week], y[:week], warm, state)
            models.predict(X[week : week + 1], state, warm, 200)
        return state

    walk()
    benchmark.pedantic(walk, rounds=1)
    benchmark.extra_info["ms_per_week"] = round(1e3 * benchmark.stats.stats.min / 25, 1)
