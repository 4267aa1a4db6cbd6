"""Plates and enumeration under the trainer: what is scaled, summed out or refused."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyro
import pytest
import torch
from pyro import distributions as dist
from pyro import poutine
from pyro.infer import config_enumerate, infer_discrete
from pyro.infer.autoguide import AutoNormal
from pyro.ops.indexing import Vindex

from fastpanel.models import ModelBatch
from fastpanel.models.pyro_.trainer import SVITrainer

DATA = torch.tensor([0.4, -1.2, 2.0, 0.1, -0.3])
BATCH = ModelBatch(torch.zeros(5, 1, 0), DATA)


@pytest.fixture(autouse=True)
def own_store():
    with pyro.get_param_store().scope(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def loss_of(model, guide=lambda batch: None, loss="Trace_ELBO", batch=BATCH):
    return SVITrainer(model, guide, optim_args={"lr": 0.01}, loss=loss).evaluate_loss(batch)


def exact_guide(loc, scale):
    return lambda batch: pyro.sample("mu", dist.Normal(loc, scale))


def mean_model(batch):
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    with pyro.plate("rows", len(batch.y)):
        pyro.sample("obs", dist.Normal(mu, 1.0), obs=batch.y)


def test_the_bound_is_below_the_evidence_and_reaches_it_at_the_posterior():
    covariance = torch.eye(5) + 1.0
    evidence = float(dist.MultivariateNormal(torch.zeros(5), covariance).log_prob(DATA))
    posterior = float(DATA.sum()) / 6, 6**-0.5
    # at the exact posterior every draw gives the evidence itself
    assert loss_of(mean_model, exact_guide(*posterior)) == pytest.approx(-evidence, abs=1e-5)
    off = exact_guide(posterior[0] + 0.5, posterior[1])
    trainer = SVITrainer(
        mean_model, off, optim_args={"lr": 0.01}, num_particles=4000, vectorize_particles=True
    )
    gap = trainer.evaluate_loss(BATCH) + evidence
    assert gap == pytest.approx(0.5**2 / 2 * 6, rel=0.1)  # the divergence of two normals


def test_a_plate_row_by_row_is_the_plate_at_once():
    def one_by_one(batch):
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
        for i in pyro.plate("rows", len(batch.y)):
            pyro.sample(f"obs_{i}", dist.Normal(mu, 1.0), obs=batch.y[i])

    fixed = {"mu": torch.tensor(0.3)}
    both = [loss_of(poutine.condition(m, fixed)) for m in (mean_model, one_by_one)]
    assert both[0] == pytest.approx(both[1], rel=1e-6)


def test_the_mean_over_all_subsamples_is_the_full_loss():
    def of_rows(rows):
        def model(batch):
            mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
            index = None if rows is None else torch.tensor(rows)
            with pyro.plate("rows", 5, subsample=index) as i:
                pyro.sample("obs", dist.Normal(mu, 1.0), obs=batch.y[i])

        return loss_of(poutine.condition(model, {"mu": torch.tensor(0.3)}))

    for size in (1, 2, 4):
        losses = [of_rows(rows) for rows in combinations(range(5), size)]
        assert np.ptp(losses) > 0.1
        assert np.mean(losses) == pytest.approx(of_rows(None), rel=1e-6)


def test_a_guide_may_choose_the_rows_for_both():
    chosen = []

    def model(batch):
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", 5) as i:
            chosen.append(i.tolist())
            local = pyro.sample("local", dist.Normal(mu, 1.0))
            pyro.sample("obs", dist.Normal(local, 1.0), obs=batch.y[i])

    def guide(batch):
        pyro.sample("mu", dist.Normal(pyro.param("loc", torch.tensor(0.0)), 1.0))
        with pyro.plate("rows", 5, subsample_size=2) as i:
            chosen.append(i.tolist())
            locs = pyro.param("locs", torch.zeros(5))
            pyro.sample("local", dist.Normal(locs[i], 1.0))

    trainer = SVITrainer(model, guide, optim_args={"lr": 0.01})
    for _ in range(6):
        trainer.step(BATCH)
    assert chosen[::2] == chosen[1::2]
    assert {len(rows) for rows in chosen} == {2}
    assert len({tuple(rows) for rows in chosen}) > 1


@pytest.mark.gpu
def test_subsampled_rows_are_on_the_datas_device():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device that torch can use")
    data = DATA.cuda()
    with pyro.plate("rows", 5, subsample_size=2, device=data.device) as i:
        assert i.device.type == "cuda"
        assert data[i].shape == (2,)


def test_local_latents_alone_train_on_minibatches():
    # an auto-encoder of 8 numbers through one: a network maps each row to the law of its code
    directions = torch.linspace(-1.0, 1.0, 8)
    data = torch.randn(64, 1) * directions + 0.1 * torch.randn(64, 8)
    encoder, decoder = torch.nn.Linear(8, 1), torch.nn.Linear(1, 8)

    def model(batch):
        pyro.module("decoder", decoder)
        with pyro.plate("rows", len(batch.y)):
            code = pyro.sample("code", dist.Normal(torch.zeros(1), 1.0).to_event(1))
            pyro.sample("obs", dist.Normal(decoder(code), 0.3).to_event(1), obs=batch.y)

    def guide(batch):
        pyro.module("encoder", encoder)
        scale = pyro.param("scale", torch.tensor(0.3), constraint=dist.constraints.positive)
        with pyro.plate("rows", len(batch.y)):
            pyro.sample("code", dist.Normal(encoder(batch.y), scale).to_event(1))

    trainer = SVITrainer(model, guide, optim_args={"lr": 0.02})
    epochs = []
    for _ in range(12):
        parts = torch.randperm(64).split(16)
        steps = [trainer.step(ModelBatch(torch.zeros(16, 1, 0), data[rows])) for rows in parts]
        epochs.append(np.mean(steps))
    assert epochs[-1] < 0.5 * epochs[0]


CENTERS = torch.tensor([-2.0, 2.0])
MIXED = ModelBatch(torch.zeros(6, 1, 0), torch.tensor([-2.1, 1.9, 2.2, -1.8, -2.0, 2.0]))


@config_enumerate
def mixture(batch):
    with pyro.plate("rows", len(batch.y)):
        kind = pyro.sample("kind", dist.Categorical(torch.tensor([0.3, 0.7])))
        pyro.sample("obs", dist.Normal(CENTERS[kind], 1.0), obs=batch.y)


def test_enumeration_one_after_the_other_is_enumeration_at_once():
    # in the guide: a model's own sites can be enumerated at once only
    def guide(batch):
        for i in pyro.plate("rows", len(batch.y)):
            pyro.sample(f"kind_{i}", dist.Categorical(torch.tensor([0.5, 0.5])))

    sequential = config_enumerate(guide, default="sequential")
    parallel = config_enumerate(guide, default="parallel")
    short = ModelBatch(torch.zeros(3, 1, 0), MIXED.y[:3])

    def model(batch):
        for i in pyro.plate("rows", len(batch.y)):
            kind = pyro.sample(f"kind_{i}", dist.Categorical(torch.tensor([0.3, 0.7])))
            pyro.sample(f"obs_{i}", dist.Normal(CENTERS[kind], 1.0), obs=batch.y[i])

    losses = [loss_of(model, g, "TraceEnum_ELBO", short) for g in (sequential, parallel)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_most_probable_states_of_a_separated_mixture_are_the_true_ones():
    decoded = infer_discrete(mixture, first_available_dim=-2, temperature=0)
    trace = poutine.trace(decoded).get_trace(MIXED)
    assert trace.nodes["kind"]["value"].tolist() == [0, 1, 1, 0, 0, 1]


def test_tables_are_indexed_by_enumerated_states():
    table = torch.tensor([[-3.0, -2.0], [2.0, 3.0]])
    shapes = []

    def model(batch):
        group = torch.tensor([0, 1, 0, 1, 0, 1])
        with pyro.plate("rows", 6):
            kind = pyro.sample("kind", dist.Categorical(torch.tensor([0.3, 0.7])))
            loc = Vindex(table)[kind, group]
            shapes.append(tuple(loc.shape))
            pyro.sample("obs", dist.Normal(loc, 1.0), obs=batch.y)

    got = loss_of(config_enumerate(model), loss="TraceEnum_ELBO", batch=MIXED)
    poutine.trace(model).get_trace(MIXED)
    assert shapes[-2:] == [(2, 6), (6,)]
    group = torch.tensor([0, 1, 0, 1, 0, 1])
    parts = [
        dist.Normal(table[k][group], 1.0).log_prob(MIXED.y) + float(np.log(p))
        for k, p in enumerate((0.3, 0.7))
    ]
    assert got == pytest.approx(-float(torch.logsumexp(torch.stack(parts), 0).sum()), rel=1e-5)


def test_plates_that_feed_a_common_state_are_refused():
    # a state outside the plate that depends on all states inside it
    @config_enumerate
    def model(batch):
        with pyro.plate("rows", 6):
            kind = pyro.sample("kind", dist.Categorical(torch.tensor([0.3, 0.7])))
        both = torch.stack([torch.tensor([0.5, 0.5]), torch.tensor([0.1, 0.9])])
        pyro.sample("total", dist.Categorical(both[kind]))

    with pytest.raises(ValueError, match=r"(?i)plate|shape|batch"):
        loss_of(model, loss="TraceEnum_ELBO", batch=MIXED)


def test_a_blocked_mixture_finds_its_components():
    rng = torch.Generator().manual_seed(1)
    kinds = torch.rand(120, generator=rng) < 0.6
    y = torch.where(kinds, 1.5, -2.0) + 0.5 * torch.randn(120, generator=rng)

    @config_enumerate
    def model(batch):
        weights = pyro.sample("weights", dist.Dirichlet(torch.ones(2)))
        locs = pyro.sample("locs", dist.Normal(torch.tensor([-1.0, 1.0]), 2.0).to_event(1))
        with pyro.plate("rows", len(batch.y)):
            kind = pyro.sample("kind", dist.Categorical(weights))
            pyro.sample("obs", dist.Normal(locs[kind], 0.5), obs=batch.y)

    guide = AutoNormal(poutine.block(model, hide=["kind"]))
    trainer = SVITrainer(model, guide, optim_args={"lr": 0.05}, loss="TraceEnum_ELBO")
    batch = ModelBatch(torch.zeros(120, 1, 0), y)
    for _ in range(150):
        trainer.step(batch)
    found = guide.median()["locs"].detach().sort().values
    np.testing.assert_allclose(found, [-2.0, 1.5], atol=0.2)


def test_an_easy_guide_trains():
    from pyro.contrib.easyguide import EasyGuide

    class Guide(EasyGuide):
        def guide(self, batch):
            group = self.group(match="mu")
            loc = pyro.param("loc", torch.zeros(group.event_shape))
            group.sample("all", dist.Normal(loc, 0.4).to_event(1))

    guide = Guide(mean_model)
    trainer = SVITrainer(mean_model, guide, optim_args={"lr": 0.05})
    for _ in range(150):
        trainer.step(BATCH)
    assert pyro.param("loc").item() == pytest.approx(float(DATA.sum()) / 6, abs=0.15)


def test_enumeration_without_an_enumerated_site_warns():
    with pytest.warns(UserWarning, match="found no sample sites configured for enumeration"):
        loss_of(mean_model, exact_guide(0.0, 1.0), "TraceEnum_ELBO")


@pytest.mark.filterwarnings("ignore:TraceEnum_ELBO found no sample sites")
@pytest.mark.parametrize(
    "loss", ["Trace_ELBO", "TraceGraph_ELBO", "TraceMeanField_ELBO", "TraceEnum_ELBO"]
)
def test_every_loss_trains(loss):
    def guide(batch):
        loc = pyro.param("loc", torch.tensor(2.0))
        pyro.sample("mu", dist.Normal(loc, 0.4))

    trainer = SVITrainer(mean_model, guide, optim_args={"lr": 0.05}, loss=loss)
    for _ in range(120):
        trainer.step(BATCH)
    assert pyro.param("loc").item() == pytest.approx(float(DATA.sum()) / 6, abs=0.2)
