"""The same fits, predictions and scores on the CPU and on a CUDA device; skips without one.

python -m pytest benches/bench_devices.py --benchmark-json=raw.json
python -m benches.devices raw.json        writes benches/devices.json, which the page shows
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import fastpanel as fp
from fastpanel import models

WEEKS, ASSETS, FEATURES, STEPS = 400, 20, 45, 1000
DEVICES = ["cpu", "cuda"]


def name_of(device: str) -> str:
    torch = pytest.importorskip("torch")
    if device == "cpu":
        return f"{os.cpu_count()} CPU cores"
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return str(torch.cuda.get_device_name())


def say(benchmark: Any, what: str, device: str) -> None:
    """Record what is timed and where; skip where there is nothing to compare with."""
    versions = {name: fp.show_versions()[name] for name in ("python", "jax", "numpyro", "torch")}
    devices = {each: name_of(each) for each in DEVICES}
    benchmark.extra_info |= {"what": what, "on": device, "devices": devices, "versions": versions}


def jobs(backend: str, device: str, splits: int, candidates: int, steps: int) -> list:
    rng = np.random.default_rng(0)
    panels = [
        (rng.normal(size=(WEEKS, ASSETS, FEATURES)), rng.normal(size=(WEEKS, ASSETS)))
        for _ in range(splits)
    ]
    return [
        models.FitJob(
            X,
            y,
            {
                "model": {
                    "backend": backend,
                    "params": {"num_factors": 4, "coefficients": {"scale": 0.01 * (1 + c)}},
                },
                "training": {"svi": {"num_steps": steps, "learning_rate": 0.005}},
                "use_gpu": device == "cuda",
            },
        )
        for X, y in panels
        for c in range(candidates)
    ]


@pytest.mark.gpu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("backend", "splits", "candidates", "steps"),
    [("numpyro", 4, 16, STEPS), ("numpyro", 1, 1, STEPS), ("pyro", 1, 1, 200)],
)
def test_fit_many(benchmark, backend, splits, candidates, steps, device):
    count = splits * candidates
    say(benchmark, f"{backend}: {count} fits side by side, {steps} steps each", device)
    work = jobs(backend, device, splits, candidates, steps)
    models.fit_many(work)
    benchmark.pedantic(models.fit_many, args=(work,), rounds=2)


@pytest.mark.gpu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backend", ["numpyro", "pyro"])
def test_predict(benchmark, backend, device):
    say(benchmark, f"{backend}: 1,000 draws of 52 weeks", device)
    [job] = jobs(backend, device, 1, 1, 20)
    state = models.fit(job.X, job.y, job.config)
    args = (job.X[:52], state, job.config, 1000)
    models.predict(*args)
    benchmark.pedantic(models.predict, args=args, rounds=3)


@pytest.mark.gpu
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_energy_score(benchmark, library, device):
    say(benchmark, f"energy score of {library} arrays, float32, T 260 S 1,000 A 200", device)
    rng = np.random.default_rng(0)
    obs = rng.normal(size=(260, 200)).astype(np.float32)
    draws = rng.normal(size=(260, 1000, 200)).astype(np.float32)
    if library == "torch":
        torch = pytest.importorskip("torch")
        args = [torch.as_tensor(a, device=device) for a in (obs, draws)]

        def score() -> None:
            fp.scoring.energy_score(*args)
            if device == "cuda":
                torch.cuda.synchronize()
    else:
        jax = pytest.importorskip("jax")
        try:
            place = jax.devices(device)[0]
        except RuntimeError:
            pytest.skip("no CUDA device that jax can use")
        args = [jax.device_put(a, place) for a in (obs, draws)]

        def score() -> None:
            fp.scoring.energy_score(*args).block_until_ready()

    score()
    benchmark.pedantic(score, rounds=3)
