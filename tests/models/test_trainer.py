from __future__ import annotations

import numpy as np
import pyro
import pytest
import torch
from pyro import poutine

from fastpanel.errors import ModelError, ParameterError
from fastpanel.models import ModelBatch, default_guide_registry, default_model_registry
from fastpanel.models._config import SVIConfig
from fastpanel.models._registries import build_guide, build_model
from fastpanel.models.pyro_._engine import _trainer
from fastpanel.models.pyro_.trainer import SVITrainer


@pytest.fixture(autouse=True)
def fresh_store():
    with pyro.get_param_store().scope(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    X = torch.as_tensor(rng.normal(size=(40, 3, 2)), dtype=torch.float32)
    return ModelBatch(X, X @ torch.tensor([1.0, -1.0]) + 0.5 * torch.randn(40, 3))


def pair():
    return default_model_registry()["test_model"]({}), default_guide_registry()["test_guide"]({})


def snapshot():
    return {name: value.detach().clone() for name, value in pyro.get_param_store().items()}


def test_steps_lower_the_loss(batch):
    trainer = SVITrainer(*pair(), optim_args={"lr": 0.05})
    losses = [trainer.step(batch) for _ in range(200)]
    assert np.mean(losses[-20:]) < 0.95 * np.mean(losses[:20])
    assert trainer.steps == 200


def test_evaluate_loss_changes_no_parameter(batch):
    trainer = SVITrainer(*pair(), optim_args={"lr": 0.05})
    trainer.step(batch)
    before = snapshot()
    values = [trainer.evaluate_loss(batch) for _ in range(50)]
    many = trainer.evaluate_loss(batch, num_particles=200)
    for name, value in snapshot().items():
        assert torch.equal(value, before[name])
    assert many == pytest.approx(np.mean(values), abs=4 * np.std(values) / 7)


def test_learning_rate_per_parameter(batch):
    def moved(rates):
        with pyro.get_param_store().scope():
            torch.manual_seed(1)
            trainer = SVITrainer(*pair(), optim_args=rates)
            trainer.evaluate_loss(batch)
            before = snapshot()
            trainer.step(batch)
            return {name: (value - before[name]) for name, value in snapshot().items()}

    slow = moved(lambda name: {"lr": 0.001})
    mixed = moved(lambda name: {"lr": 0.01 if name == "weights_loc" else 0.001})
    torch.testing.assert_close(mixed["weights_loc"], 10 * slow["weights_loc"], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(mixed["sigma_loc"], slow["sigma_loc"], rtol=1e-3, atol=1e-7)


def test_decay_reaches_its_factor_at_the_last_step(batch):
    svi = SVIConfig(num_steps=1000, lr_decay=0.1, learning_rate=0.01)
    trainer = _trainer(svi, *pair())
    trainer.step(batch)
    (first, *_) = trainer.optim.optim_objs.values()
    group = first.param_groups[0]
    assert group["lrd"] == pytest.approx(0.997700064, abs=1e-9)
    for _ in range(999):
        first.step()
    assert group["lr"] == pytest.approx(0.001, rel=1e-6)
    assert group["betas"] == (0.95, 0.999)
    assert group["clip_norm"] == 10.0


def test_the_learning_rate_is_cautious_by_default():
    assert SVIConfig().learning_rate == 1e-3


@pytest.mark.parametrize("name", sorted(default_guide_registry()))
def test_scales_of_every_guide_are_kept_positive(batch, name):
    models = default_model_registry()
    partner = {"test_guide": "test_model", "encoder_guide": "factor_latent"}
    model = build_model(models[partner.get(name, "factor_model_v1")], "model", {})
    guide = build_guide(default_guide_registry()[name], name, {}, model)
    masked = ModelBatch(batch.X, batch.y, torch.zeros_like(batch.y) > 0)
    poutine.trace(guide).get_trace(masked)
    constraints = pyro.get_param_store()._constraints
    scales = {k: c for k, c in constraints.items() if "scale" in k and not k.endswith("_tril")}
    assert scales or name == "AutoDelta"
    for key, constraint in scales.items():
        assert constraint.lower_bound >= 0, key


def test_particles_reach_the_loss():
    assert _trainer(SVIConfig(num_elbo_particles=7), *pair()).elbo.num_particles == 7


def test_non_finite_loss_names_the_step(batch):
    trainer = SVITrainer(*pair(), optim_args={"lr": 0.01})
    trainer.step(batch)
    broken = ModelBatch(batch.X, batch.y * float("inf"))
    with pytest.raises(ModelError, match="step 1"), pyro.validation_enabled(False):
        trainer.step(broken)


def test_unknown_names():
    with pytest.raises(ParameterError, match=r"'SGD'.*ClippedAdam"):
        SVITrainer(*pair(), optim_args={}, optimizer="SGD")
    with pytest.raises(ParameterError, match=r"'ELBO'.*Trace_ELBO"):
        SVITrainer(*pair(), optim_args={}, loss="ELBO")
