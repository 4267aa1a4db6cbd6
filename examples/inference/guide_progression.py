"""From a point estimate to a correlated posterior, each guide started from the one before."""

from __future__ import annotations

import os

import numpy as np

import fastpanel as fp

STEPS = 2 if "CI" in os.environ else 500


def main() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4, 3))
    shocks = rng.normal(size=(200, 1)) + 0.5 * rng.normal(size=(200, 4))
    y = 0.02 * (X @ np.array([0.4, 0.0, -0.3]) + shocks)
    config = {
        "model": {"backend": "pyro", "params": {"coefficients": {"scale": 0.3}}},
        "training": {"svi": {"num_steps": STEPS, "learning_rate": 0.02, "lr_decay": 0.05}},
    }
    for guide, state in fp.models.fit_progression(X, y, config).items():
        first, last = state.losses[0], state.report.loss
        print(f"{guide:30} {len(state.losses)} steps, loss {first:.3f} -> {last:.3f}")


if __name__ == "__main__":
    main()
