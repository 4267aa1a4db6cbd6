"""How many fits an hour each engine gets through, and what keeping a record costs.

One outer fold, the normal factor model in NumPyro. The time is that of the whole run: workers
start and compile in it. The note says what a longer run would see: fits an hour from the moment
every worker has finished its first batch, the share of the time that engines waited for payloads
and ledger to be written, and that of tracking.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastpanel as fp
from fastpanel.simulation import InnerObjective
from fastpanel.simulation.tracking import TrackingLog

SMOKE = os.environ.get("FASTPANEL_BENCH") == "smoke"
WEEKS, ASSETS, FEATURES, STEPS = (130, 4, 4, 50) if SMOKE else (400, 20, 45, 300)
CANDIDATES, SPLITS, WORKERS = (4, 2, 2) if SMOKE else (16, 8, 2)
THREADS = fp.show_versions()["threads"]
MLFLOW = {"mlflow": {"uri": "sqlite:///mlflow.db"}}
ENGINES: dict[str, dict[str, Any]] = {
    "fastpanel": {"engine": "local"},
    "fastpanel, one fit at a time": {"engine": "local", "batch_units": 1},
    "fastpanel, optuna with 2 processes": {"engine": "optuna", "optuna": {"workers": WORKERS}},
    "fastpanel, ray": {"engine": "ray"},
}


class Watch:
    """When batches ended, and how long the engine waited for recording and for tracking."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ends: list[tuple[float, int]] = []
        self.recording = self.tracking = 0.0
        evaluate, add = InnerObjective.evaluate_all, TrackingLog.add

        def evaluated(objective: InnerObjective, *arguments: Any) -> Any:
            timed = objective._engine = Timed(objective._engine, self)
            out = evaluate(objective, *arguments)
            self.recording += time.perf_counter() - timed.ended
            return out

        def tracked(log: TrackingLog, fact: Any) -> None:
            began = time.perf_counter()
            add(log, fact)
            self.tracking += time.perf_counter() - began

        monkeypatch.setattr(InnerObjective, "evaluate_all", evaluated)
        monkeypatch.setattr(TrackingLog, "add", tracked)

    def per_hour(self, workers: int) -> float:
        """Fits an hour after each worker's first batch."""
        (first, _), later = self.ends[workers - 1], self.ends[workers:]
        return 3600 * sum(count for _, count in later) / (later[-1][0] - first)


class Timed:
    """An engine, and how long it waited until it could go on to its next batch."""

    def __init__(self, engine: Any, watch: Watch) -> None:
        self.engine, self.watch, self.ended = engine, watch, 0.0

    def execute(self, work: Any, tasks: Any, done: Callable[[Any, Any], None]) -> None:
        def timed(task: Any, result: Any) -> None:
            began = time.perf_counter()
            done(task, result)
            self.watch.recording += time.perf_counter() - began
            self.watch.ends.append((began, len(result)))

        self.engine.execute(work, tasks, timed)
        self.ended = time.perf_counter()


def panel() -> fp.Panel:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((WEEKS, ASSETS, FEATURES))
    y = 0.02 * (0.2 * X[..., 0] + rng.standard_normal((WEEKS, ASSETS)))
    times = np.datetime64("2015-01-02", "ns") + np.arange(WEEKS) * np.timedelta64(7, "D")
    names = [f"A{i}" for i in range(ASSETS)], [f"f{i}" for i in range(FEATURES)]
    return fp.Panel(X, times, *names, targets=y)


def config(candidates: int, tuning: dict[str, Any], tracking: dict[str, Any]) -> dict[str, Any]:
    space = [
        {
            "path": "model.params.coefficients.scale",
            "type": "float",
            "bounds": [0.003, 0.3],
            "transform": "log",
        }
    ]
    return {
        "data": {"simulation_output_path": f"bench_{time.time_ns()}"},
        "cv": {
            "warmup_len": 22 if SMOKE else 52,
            "group_len": 18 if SMOKE else 49,
            "q": 2,
            "max_inner_combos": SPLITS,
        },
        "model": {"backend": "numpyro", "params": {"num_factors": 2}},
        "training": {"svi": {"num_steps": STEPS, "learning_rate": 0.02}},
        "tuning": {"num_samples": candidates, "space": space, "batch_units": CANDIDATES, **tuning},
        "scoring": {"spec": {"metric_name": "energy_score"}},
        "outer": {"test_groups": "last"},
        "flags": {"stop_after": "inner"},
        "tracking": tracking,
    }


def run(
    benchmark: Any,
    kernel: str,
    library: str,
    settings: dict[str, Any],
    note: Callable[[Watch, float], str],
) -> None:
    if THREADS != 1:
        pytest.skip("workers share the cores by themselves: timed in the run on one thread")
    data = panel()
    with pytest.MonkeyPatch.context() as patch:
        watch = Watch(patch)
        result = benchmark.pedantic(
            lambda: fp.simulation.run(settings, panel=data, progress=False), rounds=1
        )
    manifest = json.loads((result.folder / "run_manifest.json").read_text())
    inner = manifest["stages"]["inner"]["seconds"]
    benchmark.extra_info |= {
        "family": "engines",
        "kernel": kernel,
        "size": f"T{WEEKS}-A{ASSETS}-F{FEATURES}",
        "shape": [WEEKS, ASSETS, FEATURES],
        "library": library,
        "threads": 1,
        "stands_for": 1,
        "note": f"{sum(count for _, count in watch.ends)} fits, {note(watch, inner)}",
        "peak_bytes": int(manifest["peak_memory_mib"] * (1 << 20)),
    }


def pace(workers: int) -> Callable[[Watch, float], str]:
    """Fits an hour, and the share of the time that was spent waiting for the record."""

    def note(watch: Watch, inner: float) -> str:
        share = 100 * watch.recording / inner
        return f"{watch.per_hour(workers):,.0f} an hour under way, {share:.1f} % for the record"

    return note


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIMULATION_SOURCE", str(tmp_path / "runs"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", ENGINES)
def test_engines(benchmark: Any, engine: str) -> None:
    if SMOKE and engine != "fastpanel":
        pytest.skip("starting workers takes longer than the smoke size")
    tuning = ENGINES[engine]
    if tuning["engine"] == "ray":
        pytest.importorskip("ray")
    alone = tuning.get("batch_units") == 1
    candidates = 2 if alone else CANDIDATES
    workers = 1 if tuning["engine"] == "local" else WORKERS
    run(benchmark, "inner stage", engine, config(candidates, tuning, {}), pace(workers))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(SMOKE, reason="says nothing at the smoke size")
def test_more_candidates(benchmark: Any) -> None:
    """What twice the candidates cost."""

    def note(watch: Watch, _: float) -> str:
        seconds = 3600 * SPLITS / watch.per_hour(1)
        return f"{seconds:.2f} s for each further candidate on {SPLITS} splits"

    settings = config(2 * CANDIDATES, {"engine": "local"}, {})
    run(benchmark, "twice the candidates", "fastpanel", settings, note)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(SMOKE, reason="setting up the database takes longer than the smoke size")
def test_tracking(benchmark: Any) -> None:
    """What MLflow on SQLite adds."""
    pytest.importorskip("mlflow")

    def note(watch: Watch, inner: float) -> str:
        share = 100 * watch.tracking / inner
        return f"{share:.1f} % of the time for tracking, the database set up before"

    library = "fastpanel, tracked by MLflow"
    settings = config(CANDIDATES, {"engine": "local"}, MLFLOW)
    run(benchmark, "inner stage", library, settings, note)
