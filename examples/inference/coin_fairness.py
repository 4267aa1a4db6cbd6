"""How fair is a coin that showed 6 heads in 10 throws? Beta(10, 10) prior, known answer."""

from __future__ import annotations

import os

import pyro
import pyro.distributions as dist
import torch
from torch.distributions.constraints import positive

from fastpanel.models import ModelBatch
from fastpanel.models.pyro_.trainer import SVITrainer

STEPS = 2 if "CI" in os.environ else 2000
THROWS = torch.tensor([1.0] * 6 + [0.0] * 4)


def model(batch):
    fairness = pyro.sample("fairness", dist.Beta(10.0, 10.0))
    with pyro.plate("throws", len(batch.y)):
        pyro.sample("obs", dist.Bernoulli(fairness), obs=batch.y)


def guide(batch):
    alpha = pyro.param("alpha", torch.tensor(15.0), constraint=positive)
    beta = pyro.param("beta", torch.tensor(15.0), constraint=positive)
    pyro.sample("fairness", dist.Beta(alpha, beta))


def main(steps: int = STEPS) -> tuple[float, float]:
    """Mean and standard deviation of the fitted posterior."""
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    settings = {"lr": 0.0005, "betas": (0.90, 0.999)}
    trainer = SVITrainer(model, guide, optim_args=settings, optimizer="Adam")
    batch = ModelBatch(X=torch.zeros(10, 1, 0), y=THROWS)
    for _ in range(steps):
        trainer.step(batch)
    posterior = dist.Beta(pyro.param("alpha"), pyro.param("beta"))
    mean, spread = posterior.mean.item(), posterior.variance.sqrt().item()
    print(f"after {trainer.steps} steps: fairness {mean:.3f} +- {spread:.4f}")
    print("exact:            fairness 0.533 +- 0.0896")
    return mean, spread


if __name__ == "__main__":
    main()
