"""Gradients of the losses by name: unbiased, and quieter where structure or a baseline is used."""

from __future__ import annotations

import math

import numpy as np
import pyro
import pytest
import torch
from pyro import distributions as dist
from pyro.distributions.testing.fakes import NonreparameterizedNormal

from fastpanel.models import ModelBatch
from fastpanel.models.pyro_.trainer import SVITrainer

EMPTY = ModelBatch(torch.zeros(3, 1, 0), torch.tensor([1.0, 0.0, 1.0]))


@pytest.fixture(autouse=True)
def own_store():
    with pyro.get_param_store().scope(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def gradients(model, guide, names, draws, loss="Trace_ELBO", batch=EMPTY):
    """Gradients of the loss at the initial parameters, ``{name: [draws, ...]}``."""
    pyro.clear_param_store()
    elbo = SVITrainer(model, guide, optim_args={"lr": 0.1}, loss=loss).elbo
    found = {name: [] for name in names}
    for _ in range(draws):
        for param in pyro.get_param_store()._params.values():
            param.grad = None
        elbo.loss_and_grads(model, guide, batch)
        for name, values in found.items():
            values.append(pyro.get_param_store()._params[name].grad.clone().numpy())
    return {name: np.array(values, dtype=float) for name, values in found.items()}


def unbiased(sample, expected):
    error = sample.std() / math.sqrt(len(sample))
    assert abs(sample.mean() - expected) < 3 * error


def normal_model(batch):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    pyro.sample("obs", dist.Normal(z, 1.0), obs=torch.tensor(1.5))


def normal_guide(family):
    def guide(batch):
        pyro.sample("z", family(pyro.param("loc", torch.tensor(0.2)), 0.5))

    return guide


def test_both_gradients_are_unbiased_and_the_one_through_the_draw_is_quieter():
    # loss = E[z^2 + (z - 1.5)^2] / 2 + const: its slope at loc 0.2 is 2 * 0.2 - 1.5
    through = gradients(normal_model, normal_guide(dist.Normal), ["loc"], 400)["loc"]
    score = gradients(normal_model, normal_guide(NonreparameterizedNormal), ["loc"], 1500)["loc"]
    unbiased(through, -1.1)
    unbiased(score, -1.1)
    assert through.var() < 0.5 * score.var()


def coin(name):
    """A guide's coin that shows heads with probability 0.4 at first."""
    return dist.Bernoulli(logits=pyro.param(name, torch.logit(torch.tensor(0.4))))


def coin_model(batch):
    """Two coins, each with an observation of its own."""
    for i in range(2):
        z = pyro.sample(f"z{i}", dist.Bernoulli(0.3))
        pyro.sample(f"obs{i}", dist.Normal(4.0 * z, 1.0), obs=torch.tensor(1.0 + i))


def coin_guide(baseline=None):
    def guide(batch):
        for i in range(2):
            infer = {} if baseline is None else {"baseline": baseline}
            pyro.sample(f"z{i}", coin(f"odds{i}"), infer=infer)

    return guide


def coin_slope(i):
    """Exact derivative of the loss by the log odds of coin ``i`` in the guide, at 0.4."""
    joint = [
        dist.Bernoulli(0.3).log_prob(torch.tensor(z))
        + dist.Normal(4.0 * z, 1.0).log_prob(torch.tensor(1.0 + i))
        for z in (0.0, 1.0)
    ]
    return 0.4 * 0.6 * (float(joint[0] - joint[1]) + math.log(0.4) - math.log(0.6))


@pytest.mark.parametrize(("loss", "draws"), [("Trace_ELBO", 800), ("TraceGraph_ELBO", 150)])
def test_score_function_gradient_of_a_coin_is_unbiased(loss, draws):
    found = gradients(coin_model, coin_guide(), ["odds0", "odds1"], draws, loss)
    for i in range(2):
        unbiased(found[f"odds{i}"], coin_slope(i))


def test_the_graph_leaves_out_costs_that_do_not_depend_on_a_site():
    plain, graph = (
        gradients(coin_model, coin_guide(), ["odds0"], draws, loss)["odds0"].var()
        for loss, draws in (("Trace_ELBO", 600), ("TraceGraph_ELBO", 150))
    )
    assert graph < 0.8 * plain


def test_the_graph_is_no_noisier_on_a_plated_mixture():
    data = torch.tensor([-2.0, -1.9, 2.1, 2.0])

    def model(batch):
        with pyro.plate("rows", 4):
            kind = pyro.sample("kind", dist.Bernoulli(0.5))
            pyro.sample("obs", dist.Normal(4.0 * kind - 2.0, 1.0), obs=data)

    def guide(batch):
        with pyro.plate("rows", 4):
            pyro.sample("kind", dist.Bernoulli(pyro.param("q", torch.full((4,), 0.4))))

    plain, graph = (
        gradients(model, guide, ["q"], draws, loss)["q"].var(0).mean()
        for loss, draws in (("Trace_ELBO", 400), ("TraceGraph_ELBO", 100))
    )
    assert graph < 1.25 * plain


def test_a_decaying_average_baseline_lowers_the_variance_and_keeps_the_mean():
    option = {"use_decaying_avg_baseline": True, "baseline_beta": 0.9}
    plain = gradients(coin_model, coin_guide(), ["odds0"], 150, "TraceGraph_ELBO")["odds0"]
    found = gradients(coin_model, coin_guide(option), ["odds0"], 250, "TraceGraph_ELBO")["odds0"][
        30:
    ]
    unbiased(found, coin_slope(0))
    assert found.var() < 0.8 * plain.var()


def test_a_guide_with_a_baseline_trains():
    guide = coin_guide({"use_decaying_avg_baseline": True})
    trainer = SVITrainer(coin_model, guide, optim_args={"lr": 0.1}, loss="TraceGraph_ELBO")
    for _ in range(70):
        trainer.step(EMPTY)
    likelihoods = [math.exp(-((1.0 - 4.0 * z) ** 2) / 2) for z in (0, 1)]
    exact = 0.3 * likelihoods[1] / (0.7 * likelihoods[0] + 0.3 * likelihoods[1])
    assert coin("odds0").probs.item() == pytest.approx(exact, abs=0.1)


class Network(torch.nn.Module):
    """A baseline with one parameter, whatever its input."""

    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(0.7))

    def forward(self, x):
        return self.level * x


def test_a_neural_baseline_learns_the_cost_and_gets_no_gradient_of_the_bound():
    network, costs = Network(), []

    def model(batch):
        z = pyro.sample("z", dist.Bernoulli(0.3))
        pyro.sample("obs", dist.Normal(4.0 * z, 1.0), obs=torch.tensor(1.0))

    def guide(batch):
        net = pyro.module("network", network)
        infer = {"baseline": {"nn_baseline": net, "nn_baseline_input": torch.tensor(2.0)}}
        law = coin("odds")
        z = pyro.sample("z", law, infer=infer)
        joint = dist.Bernoulli(0.3).log_prob(z) + dist.Normal(4 * z, 1.0).log_prob(
            torch.tensor(1.0)
        )
        costs.append((joint - law.log_prob(z)).item())

    found = gradients(model, guide, ["network$$$level", "odds"], 60, "TraceGraph_ELBO")
    # the squared error (cost - 2 level)^2 and nothing else: the bound's gradient, which would
    # come with the score, is absent
    slopes = -2.0 * (np.array(costs) - 2.0 * 0.7) * 2.0
    np.testing.assert_allclose(found["network$$$level"], slopes, rtol=1e-4)
    unbiased(found["odds"], coin_slope(0))


def test_a_baseline_has_a_learning_rate_of_its_own_by_name():
    network = Network()

    def guide(batch):
        net = pyro.module("network", network)
        infer = {"baseline": {"nn_baseline": net, "nn_baseline_input": torch.tensor(2.0)}}
        for i in range(2):
            pyro.sample(f"z{i}", coin(f"odds{i}"), infer=infer)

    def rate(name):
        return {"lr": 0.1 if "network" in name else 0.001}

    trainer = SVITrainer(coin_model, guide, optim_args=rate, loss="TraceGraph_ELBO")
    trainer.step(EMPTY)
    assert abs(network.level.item() - 0.7) == pytest.approx(0.1, rel=1e-3)
    assert abs(pyro.param("odds0").item() - math.log(0.4 / 0.6)) == pytest.approx(0.001, rel=1e-2)


def test_a_baseline_by_hand_has_to_be_detached():
    level = torch.tensor(0.7, requires_grad=True)

    def loss_of(value):
        infer = {"baseline": {"baseline_value": value}}

        def guide(batch):
            for i in range(2):
                pyro.sample(f"z{i}", coin(f"odds{i}"), infer=infer)

        level.grad = None
        gradients(coin_model, guide, ["odds0"], 1, "TraceGraph_ELBO")
        return level.grad

    assert loss_of(level.detach()) is None
    assert loss_of(level) is not None  # docs/models.md warns of this


def test_more_particles_average_the_noise_away():
    def spread(particles):
        pyro.clear_param_store()
        guide = normal_guide(dist.Normal)
        args = {"optim_args": {"lr": 0.1}, "num_particles": particles}
        trainer = SVITrainer(normal_model, guide, vectorize_particles=particles > 1, **args)
        return np.var([trainer.evaluate_loss(EMPTY) for _ in range(600)])

    assert spread(1) / spread(10) == pytest.approx(10.0, rel=0.5)


def test_the_analytic_divergence_is_quieter():
    # the prior's divergence is most of the loss' noise here
    def model(batch):
        z = pyro.sample("z", dist.Normal(0.0, 1.0).expand([5]).to_event(1))
        pyro.sample("obs", dist.Normal(z.mean(), 5.0), obs=torch.tensor(1.5))

    def guide(batch):
        loc = pyro.param("loc", torch.full((5,), 2.0))
        pyro.sample("z", dist.Normal(loc, 0.5).to_event(1))

    def losses(name):
        trainer = SVITrainer(model, guide, optim_args={"lr": 0.1}, loss=name)
        return np.array([trainer.evaluate_loss(EMPTY) for _ in range(300)])

    plain, analytic = losses("Trace_ELBO"), losses("TraceMeanField_ELBO")
    assert analytic.var() < 0.1 * plain.var()
    assert analytic.mean() == pytest.approx(plain.mean(), abs=4 * plain.std() / math.sqrt(300))


def test_provenance_shows_what_a_value_came_from():
    from pyro.ops.provenance import get_provenance, track_provenance

    x = track_provenance(torch.tensor(2.0), frozenset({"x"}))
    y = track_provenance(torch.tensor(3.0), frozenset({"y"}))
    assert get_provenance(x + y) == frozenset({"x", "y"})
    assert get_provenance(x.exp()) == frozenset({"x"})
    assert get_provenance(torch.tensor(1.0)) == frozenset()
