"""The inner stage of one outer fold: NumPyro in one program against Pyro split by split.

What a simulation does for 16 candidates on the 15 CPCV splits of 400 weeks: scale every split
with the statistics of its own training rows, fit 1,000 steps, predict, score and record. NumPyro
runs all of it once, compilation included; Pyro runs some of the units, one fit after the other, and
its time is multiplied up to all of them. The numbers are not part of the report::

    python -m pytest benches/bench_nested_cv.py --benchmark-json=raw.json
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastpanel as fp
from fastpanel import models
from fastpanel.tuning import sample_candidates

SMOKE = os.environ.get("FASTPANEL_BENCH") == "smoke"
WARMUP, GROUP, ASSETS, FEATURES = (22, 18, 4, 4) if SMOKE else (52, 58, 20, 45)
CANDIDATES, STEPS, PYRO_CANDIDATES = (2, 60, 2) if SMOKE else (16, 1000, 2)
INNER_GROUPS = 6  # two of them are tested at a time: 15 splits
SPACE = {
    "path": "model.params.coefficients.scale",
    "type": "float",
    "bounds": [0.003, 0.3],
    "transform": "log",
}


@dataclass
class Spent:
    """Seconds by the clock and of all cores."""

    wall: float
    cpu: float


def timed(call: Callable[[], Any]) -> tuple[Any, Spent]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, Spent(time.perf_counter() - wall, time.process_time() - cpu)


class Compiling:
    """Seconds that XLA has spent compiling since this was made."""

    def __init__(self) -> None:
        import jax

        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._heard)

    def _heard(self, event: str, seconds: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            self.seconds += seconds


def dataset() -> fp.simulation.Dataset:
    rng = np.random.default_rng(0)
    weeks = WARMUP + (INNER_GROUPS + 1) * GROUP  # the last group is the outer test
    X = rng.standard_normal((weeks, ASSETS, FEATURES))
    y = 2.0 * (0.2 * X[..., 0] + rng.standard_normal((weeks, ASSETS)))
    times = np.datetime64("2015-01-02", "ns") + np.arange(weeks) * np.timedelta64(7, "D")
    names = tuple(f"A{i}" for i in range(ASSETS)), tuple(f"f{i}" for i in range(FEATURES))
    newest = X[:0], times[:0]
    return fp.simulation.Dataset(X, y, np.isnan(X), times, *names, *newest, 100, "simple", {})


def config(backend: str) -> fp.simulation.SimulationConfig:
    return fp.simulation.load_config(
        {
            "cv": {"warmup_len": WARMUP, "group_len": GROUP, "q": 2},
            "model": {"backend": backend, "params": {"num_factors": 2}},
            "training": {
                "svi": {"num_steps": STEPS, "learning_rate": 0.02, "lr_decay": 0.1},
            },
            "tuning": {"num_samples": CANDIDATES, "space": [SPACE]},
            "scoring": {"spec": {"metric_name": "energy_score"}},
            "outer": {"test_groups": "last"},
        }
    )


class Inner:
    """The inner stage of the last outer fold with one back end."""

    def __init__(self, backend: str, folder: Path) -> None:
        self.config, self.data, self.folder = config(backend), dataset(), folder
        [self.plan] = fp.simulation.build_structure(len(self.data.times), self.config).outer
        self.hooks = fp.simulation.Hooks(
            models.fit,
            models.predict,
            models.metric_registry()["energy_score"](self.config.scoring.spec.model_dump()),
            fp.portfolio.allocate,
            fp.portfolio.compute_pnl,
            fit_many=models.fit_many,
            predict_many=models.predict_many,
        )
        self.runs = 0

    def scores(self, candidates: Any, splits: Any = None) -> dict[tuple[str, int], float]:
        """Scale, fit, predict, score and record, into a ledger of its own."""
        self.runs += 1
        folder = self.folder / f"{self.config.model.backend}_{self.runs}"
        objective = fp.simulation.make_inner_objective(
            self.data, self.plan, self.config, self.hooks, folder
        )
        records = objective.evaluate_all(candidates, splits)
        return {(name, r.split): r.score for name, own in records.items() for r in own}


@pytest.mark.filterwarnings("ignore")
def test_nested_cv(benchmark: Any, tmp_path: Path) -> None:
    pytest.importorskip("numpyro")
    pytest.importorskip("pyro")
    fast, slow = Inner("numpyro", tmp_path), Inner("pyro", tmp_path)
    candidates = sample_candidates([SPACE], CANDIDATES, 1)
    compiling = Compiling()
    scores, spent = benchmark.pedantic(timed, args=(lambda: fast.scores(candidates),), rounds=1)

    some = {name: candidates[name] for name in list(candidates)[:PYRO_CANDIDATES]}
    known, part = timed(lambda: slow.scores(some, [0]))
    share = len(scores) / len(known)
    gaps = [score / scores[unit] - 1.0 for unit, score in known.items()]
    assert np.abs(gaps).max() < 0.05  # two approximations of one posterior, each with own draws
    wall, cpu = share * part.wall, share * part.cpu
    benchmark.extra_info |= {
        "units": len(scores),
        "numpyro_wall_s": round(spent.wall, 2),
        "numpyro_cpu_s": round(spent.cpu, 2),
        "numpyro_compile_wall_s": round(compiling.seconds, 2),
        "pyro_wall_s": round(wall, 1),
        "pyro_cpu_s": round(cpu, 1),
        "pyro_method": f"{len(known)} units of one split timed, times {share:g}",
        "ratio_wall": round(wall / spent.wall, 1),
        "ratio_wall_without_compiling": round(wall / (spent.wall - compiling.seconds), 1),
        "ratio_cpu": round(cpu / spent.cpu, 1),
        "score_gap": round(float(np.abs(gaps).max()), 5),
    }
