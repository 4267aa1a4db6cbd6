"""A small panel with a real signal, and a configuration that runs on it in seconds."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np
import pytest

import fastpanel as fp
from tests.simulation.services import create_database, postgres_server

N_WEEKS, N_ASSETS, N_FEATURES = 96, 4, 5


def make_panel(seed: int = 0, n_weeks: int = N_WEEKS) -> fp.Panel:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_weeks, N_ASSETS, N_FEATURES))
    common = rng.standard_normal((n_weeks, 1))
    noise = 0.7 * common + 0.7 * rng.standard_normal((n_weeks, N_ASSETS))
    targets = 0.02 * (0.5 * X[..., 0] + noise)
    targets[-1] = np.nan  # the newest week has no label yet
    times = np.datetime64("2020-01-03", "ns") + np.arange(n_weeks) * np.timedelta64(7, "D")
    assets = [f"A{i}" for i in range(N_ASSETS)]
    features = [f"f{i}" for i in range(N_FEATURES)]
    return fp.Panel(X, times, assets, features, targets=targets)


@pytest.fixture
def panel() -> fp.Panel:
    return make_panel()


def stub_config(label: str = "run") -> dict:
    """Stub mode: the whole flow without a probabilistic programming library."""
    return {
        "data": {"simulation_output_path": label},
        "cv": {"warmup_len": 11, "group_len": 14, "horizon": 1, "embargo_len": 2, "q": 2},
        "scoring": {"spec": {"metric_name": "energy_score"}},
        "predictive": {"num_samples": 64},
        "tuning": {
            "num_samples": 2,
            "space": [
                {
                    "path": "training.svi.learning_rate",
                    "type": "float",
                    "bounds": [1e-3, 1e-1],
                    "transform": "log",
                }
            ],
        },
        "model_selection": {"enable": True},
        "flags": {"simulation_mode": "stub"},
    }


@pytest.fixture
def config(tmp_path, monkeypatch) -> dict:
    monkeypatch.setenv("SIMULATION_SOURCE", str(tmp_path / "runs"))
    return stub_config()


@pytest.fixture(scope="session")
def postgres_instance() -> Iterator[str]:
    """URL of a real PostgreSQL, started for this session."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres(postgres_instance) -> str:
    """URL of an empty database of this test's own: Optuna and MLflow cannot share one."""
    return create_database(postgres_instance, f"test_{uuid.uuid4().hex}")
