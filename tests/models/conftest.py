from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.fixture(params=["numpyro", "pyro"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


class Truth:
    """Panel simulated from the factor model, in arbitrary units."""

    def __init__(self, T=320, A=5, F=4, K=1, *, df=None, unit=1.0, seed=0, beta=None):
        rng = np.random.default_rng(seed)
        self.X = rng.normal(size=(T, A, F))
        self.beta = np.resize([0.4, -0.3, 0.0, 0.2], F) if beta is None else np.asarray(beta)
        self.loadings = 0.6 * np.cos(np.pi * (np.arange(A) + 0.5)[:, None] * np.arange(K) / A)
        self.sigma = np.linspace(0.6, 1.0, A)
        shocks = rng.normal(size=(T, K)) @ self.loadings.T + self.sigma * rng.normal(size=(T, A))
        if df is not None:
            shocks *= np.sqrt(df / rng.chisquare(df, size=(T, 1)))
        self.y = unit * (self.X @ self.beta + shocks)
        self.unit = unit

    @property
    def covariance(self) -> np.ndarray:
        return self.unit**2 * (self.loadings @ self.loadings.T + np.diag(self.sigma**2))


@pytest.fixture(scope="session")
def truth() -> Truth:
    return Truth()


def _make_config(backend="numpyro", *, steps=300, lr=0.02, seed=0, params=None, **extra) -> Any:
    model = {"backend": backend, "params": {"coefficients": {"scale": 0.5}} | (params or {})}
    model |= extra.pop("model", {})
    svi = {"num_steps": steps, "learning_rate": lr, "lr_decay": 0.05} | extra.pop("svi", {})
    training = {"svi": svi} | extra.pop("training", {})
    return {"model": model, "training": training, "seed": seed, **extra}


@pytest.fixture(scope="session")
def config():
    return _make_config


@pytest.fixture(scope="session")
def simulate():
    return Truth
