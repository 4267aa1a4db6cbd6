"""What a baseline saves where the gradient cannot go through a draw.

The coin of ``coin_fairness.py`` with a guide whose draws count as not reparameterisable: the
gradient is then that of the score function, and noisy. A baseline, here the decaying average of
the costs so far, takes a constant off the cost: the gradient's mean stays, its variance falls.
"""

from __future__ import annotations

import os

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions.testing.fakes import NonreparameterizedBeta
from torch.distributions.constraints import positive

from fastpanel.models import ModelBatch
from fastpanel.models.pyro_.trainer import SVITrainer

MAX_STEPS = 2 if "CI" in os.environ else 10_000
SEEDS = 1 if "CI" in os.environ else 5
THROWS = torch.tensor([1.0] * 6 + [0.0] * 4)
EXACT = {"alpha": 16.0, "beta": 14.0}  # Beta(10, 10) and 6 heads, 4 tails


def model(batch):
    fairness = pyro.sample("fairness", dist.Beta(10.0, 10.0))
    with pyro.plate("throws", len(batch.y)):
        pyro.sample("obs", dist.Bernoulli(fairness), obs=batch.y)


def make_guide(baseline: bool):
    options = {"use_decaying_avg_baseline": baseline, "baseline_beta": 0.90}

    def guide(batch):
        alpha = pyro.param("alpha", torch.tensor(15.0), constraint=positive)
        beta = pyro.param("beta", torch.tensor(15.0), constraint=positive)
        law = NonreparameterizedBeta(alpha, beta)
        pyro.sample("fairness", law, infer={"baseline": options})

    return guide


def steps_needed(
    baseline: bool, seed: int, *, rate: float = 0.0005, max_steps: int = MAX_STEPS
) -> int:
    """Steps until both parameters are within 0.8 of the exact posterior's."""
    pyro.clear_param_store()
    pyro.set_rng_seed(seed)
    trainer = SVITrainer(
        model,
        make_guide(baseline),
        optim_args={"lr": rate, "betas": (0.93, 0.999)},
        optimizer="Adam",
        loss="TraceGraph_ELBO",
    )
    batch = ModelBatch(X=torch.zeros(10, 1, 0), y=THROWS)
    for step in range(1, max_steps + 1):
        trainer.step(batch)
        off = [abs(pyro.param(name).item() - exact) for name, exact in EXACT.items()]
        if max(off) < 0.8:
            return step
    return max_steps


def main() -> None:
    for baseline in (False, True):
        counts = [steps_needed(baseline, seed) for seed in range(SEEDS)]
        name = "with a baseline" if baseline else "without one"
        print(f"{name}: {sum(counts) / len(counts):.0f} steps in the mean, {counts}")


if __name__ == "__main__":
    main()
