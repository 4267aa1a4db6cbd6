"""How many fits an hour each engine gets through, and what keeping a record costs.

One outer fold, the normal factor model in NumPyro, compilation included; engines with workers
compile in each of them. Time for the record is what the inner stage spends beside fitting,
predicting and scoring: payloads, ledger, study and tracking.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastpanel as fp

SMOKE = os.environ.get("FASTPANEL_BENCH") == "smoke"
WEEKS, ASSETS, FEATURES, STEPS = (130, 4, 4, 50) if SMOKE else (400, 20, 45, 300)
FEW = 4 if SMOKE else 16
THREADS = fp.show_versions()["threads"]
MLFLOW = {"mlflow": {"uri": "sqlite:///mlflow.db"}}
ENGINES: dict[str, dict[str, Any]] = {
    "fastpanel": {"engine": "local"},
    "fastpanel, one fit at a time": {"engine": "local", "batch_units": 1},
    "fastpanel, optuna with 2 processes": {"engine": "optuna", "optuna": {"workers": 2}},
    "fastpanel, ray": {"engine": "ray"},
}


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
        "cv": {"warmup_len": 22 if SMOKE else 52, "group_len": 18 if SMOKE else 49, "q": 2},
        "model": {"backend": "numpyro", "params": {"num_factors": 2}},
        "training": {"svi": {"num_steps": STEPS, "learning_rate": 0.02}},
        "tuning": {"num_samples": candidates, "space": space, **tuning},
        "scoring": {"spec": {"metric_name": "energy_score"}},
        "outer": {"test_groups": "last"},
        "flags": {"stop_after": "inner"},
        "tracking": tracking,
    }


def run(benchmark: Any, kernel: str, library: str, settings: dict[str, Any]) -> None:
    if THREADS != 1:
        pytest.skip("workers share the cores by themselves: timed in the run on one thread")
    data = panel()
    result = benchmark.pedantic(
        lambda: fp.simulation.run(settings, panel=data, progress=False), rounds=1
    )
    units = [u for records in result.records.values() for own in records.values() for u in own]
    manifest = json.loads((result.folder / "run_manifest.json").read_text())
    inner = manifest["stages"]["inner"]["seconds"]
    note = f"{len(units)} fits, {3600 * len(units) / inner:,.0f} an hour"
    if settings["tuning"]["engine"] == "local":
        spent = sum(unit.seconds for unit in units)
        note += f", {100 * (1 - spent / inner):.1f} % of the time for the record"
    benchmark.extra_info |= {
        "family": "engines",
        "kernel": kernel,
        "size": f"T{WEEKS}-A{ASSETS}-F{FEATURES}",
        "shape": [WEEKS, ASSETS, FEATURES],
        "library": library,
        "threads": 1,
        "stands_for": 1,
        "note": note,
        "peak_bytes": int(manifest["peak_memory_mib"] * (1 << 20)),
    }


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
    run(benchmark, "inner stage", engine, config(FEW, tuning, {}))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(SMOKE, reason="says nothing at the smoke size")
def test_more_candidates(benchmark: Any) -> None:
    """What twice the candidates cost."""
    run(benchmark, "twice the candidates", "fastpanel", config(2 * FEW, {"engine": "local"}, {}))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(SMOKE, reason="setting up the database takes longer than the smoke size")
def test_tracking(benchmark: Any) -> None:
    """What MLflow on SQLite adds."""
    pytest.importorskip("mlflow")
    library = "fastpanel, tracked by MLflow"
    run(benchmark, "inner stage", library, config(FEW, {"engine": "local"}, MLFLOW))
