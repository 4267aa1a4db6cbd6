"""Fitting candidates on splits: one NumPyro program for all against Pyro job by job.

Pyro is timed on one job, which stands for all of them. At the smoke size the forecasts of
both have to be equally good.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from benches.harness import Rival, suite

from fastpanel import models

SEED_DRAWS = 400


class Fits:
    """Splits of one panel, times candidates that differ in a prior scale."""

    def __init__(self, size: tuple[int, int, int, int, int, int]) -> None:
        weeks, assets, features, splits, self.candidates, self.steps = size
        self.panels = [make_panel(weeks, assets, features, seed) for seed in range(splits)]

    def config(self, candidate: int, backend: str, steps: int) -> dict:
        params = {"coefficients": {"scale": 0.01 * (1 + candidate)}}
        svi = {"num_steps": steps, "learning_rate": 0.005, "lr_decay": 0.1}
        return {"model": {"backend": backend, "params": params}, "training": {"svi": svi}}

    def jobs(self, backend: str) -> list[models.FitJob]:
        return [
            models.FitJob(X, y, self.config(c, backend, self.steps))
            for X, y in self.panels
            for c in range(self.candidates)
        ]

    @cached_property
    def numpyro(self) -> list[models.FitJob]:
        return self.jobs("numpyro")

    @cached_property
    def pyro(self) -> list[models.FitJob]:
        return self.jobs("pyro")


def make_panel(weeks: int, assets: int, features: int, seed: int):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(weeks, assets, features))
    market = rng.normal(size=(weeks, 1)) * np.linspace(0.3, 0.7, assets)
    y = 0.03 * X[..., 0] + market + 0.8 * rng.normal(size=(weeks, assets))
    return X, y


def fit(jobs):
    return lambda: (jobs[0], models.fit_many(jobs)[0])


def crps_of_first(result) -> float:
    """Mean CRPS of the first job's forecasts on its first 52 rows."""
    job, state = result
    drawn = models.predict_many([models.PredictJob(job.X[:52], state, job.config, SEED_DRAWS)])
    ordered = np.sort(drawn[0]["samples"], axis=0)
    n = len(ordered)
    spread = ((2 * np.arange(1, n + 1) - n - 1)[:, None, None] * ordered).sum(0) / n**2
    return float((np.abs(ordered - job.y[:52]).mean(0) - spread).mean())


def refits(i: Fits):
    """Cold once, then warm-started on a panel that grows by a week."""
    X, y = i.panels[0]
    first = len(X) - 26
    cold = i.config(1, "numpyro", i.steps)
    warm = i.config(1, "numpyro", max(10, i.steps // 10))

    def walk() -> models.FitState:
        state = models.fit(X[:first], y[:first], cold)
        for week in range(first + 1, len(X)):
            state = models.fit(X[:week], y[:week], warm, state)
            models.predict(X[week : week + 1], state, warm, 200)
        return state

    return walk


test_models = suite(
    "models",
    {"smoke": (60, 4, 5, 2, 4, 40), "40 jobs": (400, 20, 45, 5, 8, 500)},
    Fits,
    {
        "fit_many": {
            "fastpanel": Rival(lambda i: fit(i.numpyro), read=crps_of_first),
            "pyro": Rival(
                lambda i: fit(i.pyro[:1]),
                read=crps_of_first,
                rtol=0.05,
                stands_for=lambda i: len(i.pyro),
            ),
        },
        "26 weekly refits": {"fastpanel": Rival(refits, read=None)},
    },
)
