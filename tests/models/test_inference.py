"""Choices of inference by name: guides, losses, schedules, annealing, NUTS and reports."""

from __future__ import annotations

import re

import numpy as np
import pyro
import pytest
import torch
from pyro import distributions as dist

from fastpanel import models
from fastpanel.errors import ConfigError, ModelError, ParameterError
from fastpanel.models import FitReport, ModelBatch, RequireConfig
from fastpanel.models._config import KLAnnealing, parse_config
from fastpanel.models.numpyro_ import _engine, _inputs
from fastpanel.models.pyro_.trainer import SVITrainer

AUTO = ["AutoDelta", "AutoNormal", "AutoLowRankMultivariateNormal", "AutoMultivariateNormal"]


@pytest.fixture(scope="module")
def panel():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 3, 2))
    return X, X @ np.array([0.5, -0.4]) + rng.normal(size=(64, 3))


def given(config, backend, guide="factor_guide_v1", steps=5, svi=None, **extra):
    model = {"guide_name": guide} | extra.pop("model", {})
    training = {"standardize_targets": False} | extra.pop("training", {})
    return config(backend, steps=steps, model=model, svi=svi or {}, training=training, **extra)


@pytest.mark.parametrize("guide", AUTO)
def test_automatic_guides_learn_and_predict_by_name(panel, config, guide):
    X, y = panel
    settings = given(config, "pyro", guide, steps=150)
    state = models.fit(X, y, settings)
    got = models.predict(X[:4], state, settings, 200)
    want = X[:4] @ np.array([0.5, -0.4])
    np.testing.assert_allclose(got["mean"], want, atol=0.6)
    assert state.losses[-10:].mean() < state.losses[:10].mean()


class LoweredError(Exception):
    """The program is written down; nobody wants to compile it."""


@pytest.mark.parametrize("guide", AUTO[2:])
def test_guides_that_call_lapack_factorise_one_matrix_at_a_time(panel, config, monkeypatch, guide):
    # two batched calls at a time can block every worker of XLA's pool on the CPU
    texts = []

    def spying(*arguments, build=_engine._fit_program):
        def lower(*inputs):
            texts.append(build(*arguments).lower(*inputs).as_text())
            raise LoweredError

        return lower

    monkeypatch.setattr(_engine, "_fit_program", spying)
    svi = {"num_elbo_particles": 3}
    jobs = [
        models.FitJob(*panel, given(config, "numpyro", guide, svi=svi, seed=seed))
        for seed in range(3)
    ]
    with pytest.raises(LoweredError):
        models.fit_many(jobs)
    calls = re.findall(r"(?:custom_call @lapack|cholesky|triangular_solve).*", texts[0])
    shapes = [shape for call in calls for shape in re.findall(r"tensor<([\dx]+)xf32>", call)]
    assert shapes
    assert all(len(shape.split("x")) == 2 for shape in shapes), calls


@pytest.mark.parametrize("guide", AUTO[2:])
@pytest.mark.parametrize("model", ["factor_model_v1", "factor_student_t", "factor_regime"])
def test_drawing_from_such_a_guide_calls_no_lapack(config, monkeypatch, guide, model):
    texts = []

    def spying(plan, build=_engine._predict_program):
        def lower(*inputs):
            texts.append(build(plan).lower(*inputs).as_text())
            raise LoweredError

        return lower

    monkeypatch.setattr(_engine, "_predict_program", spying)
    settings = config("numpyro", model={"model_name": model, "guide_name": guide})
    plan, _ = _inputs.traceable(parse_config(settings), np.zeros((4, 3, 2)))
    carry = {"ends": np.array([9.0]), "filtered": np.array([[0.5, 0.5]])}
    state = models.FitState(
        backend="numpyro",
        model_name=model,
        guide_name=guide,
        params={
            name: np.eye(*shape) if name == "auto_scale_tril" else np.ones(shape)
            for name, shape in _inputs._shapes(plan, 3, 2).items()
        },
        center=np.zeros(3),
        scale=np.ones(3),
        losses=np.zeros(0),
        n_obs=10,
        n_assets=3,
        n_features=2,
        rows=(0, 10),
        seed=0,
        carry=carry if model == "factor_regime" else {},
    )
    with pytest.raises(LoweredError):
        models.predict(np.zeros((4, 3, 2)), state, settings, 8)
    assert "stablehlo" in texts[0]
    assert not re.search(r"@lapack|cholesky|triangular_solve", texts[0])


@pytest.mark.slow
@pytest.mark.parametrize("guide", ["AutoDelta", "AutoMultivariateNormal"])
def test_automatic_guides_agree_with_the_other_back_end(panel, config, guide):
    X, y = panel
    means = []
    for backend in ("numpyro", "pyro"):
        settings = given(config, backend, guide, steps=300)
        state = models.fit(X, y, settings)
        means.append(models.predict(X[:6], state, settings, 400)["mean"])
    np.testing.assert_allclose(means[0], means[1], atol=0.15)


def test_a_full_rank_state_stays_in_its_back_end(panel, config):
    X, y = panel
    state = models.fit(X, y, given(config, "pyro", "AutoMultivariateNormal", steps=2))
    with pytest.raises(ModelError, match="stays in the back end"):
        models.predict(X[:1], state, given(config, "numpyro", "AutoMultivariateNormal"), 2)


def test_the_point_estimate_is_the_analytic_mode(config):
    # one asset, no factor, noise known up to its own mode: ridge regression
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 1, 2))
    y = X @ np.array([0.6, -0.2]) + rng.normal(size=(80, 1))
    params = {"num_factors": 0, "coefficients": {"scale": 0.3}}
    settings = given(config, "pyro", "AutoDelta", steps=800, params=params)
    state = models.fit(X, y, settings)
    noise = state.params["sigma_auto_loc"][0] ** 2
    design = np.concatenate([X[:, 0], np.ones((80, 1))], axis=1)
    precision = design.T @ design / noise + np.diag([1 / 0.3**2] * 2 + [1 / 0.05**2])
    mode = np.linalg.solve(precision, design.T @ y[:, 0] / noise)
    np.testing.assert_allclose(state.params["beta_auto_loc"], mode[:2], atol=0.01)


def test_start_of_an_automatic_guide(panel, config):
    X, y = panel
    model = {"guide_params": {"init_scale": 0.02, "init_loc": "mean"}}
    state = models.fit(X, y, given(config, "pyro", "AutoNormal", steps=1, lr=1e-9, model=model))
    np.testing.assert_allclose(state.params["beta_auto_scale"], 0.02, rtol=1e-3)
    with pytest.raises(ParameterError, match="init_loc is 'middle'"):
        models.fit(
            X,
            y,
            given(config, "pyro", "AutoNormal", model={"guide_params": {"init_loc": "middle"}}),
        )


@pytest.mark.parametrize("loss", ["Trace_ELBO", "TraceGraph_ELBO", "TraceMeanField_ELBO"])
def test_losses_by_name_estimate_the_same_bound(panel, config, loss):
    X, y = panel
    svi = {"loss": loss, "num_elbo_particles": 40}
    state = models.fit(X, y, given(config, "pyro", steps=1, svi=svi))
    base = {"loss": "Trace_ELBO", "num_elbo_particles": 40, "vectorize_particles": True}
    other = models.fit(X, y, given(config, "pyro", steps=1, seed=3, svi=base))
    assert state.losses[0] == pytest.approx(other.losses[0], rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["TraceGraph_ELBO", "TraceEnum_ELBO"])
def test_losses_by_name_in_numpyro(panel, config, loss):
    X, y = panel
    svi = {"num_elbo_particles": 40}
    plain = models.fit(X, y, given(config, "numpyro", steps=1, svi=svi))
    other = models.fit(X, y, given(config, "numpyro", steps=1, svi={**svi, "loss": loss}))
    assert other.losses[0] == pytest.approx(plain.losses[0], rel=0.02)


class WeeklyMixture:
    """Each week is calm or wild; the two kinds are enumerated."""

    def __init__(self, params):
        self.params = params

    def __call__(self, batch):
        T, A, _ = batch.X.shape
        scale = pyro.sample("scale", dist.LogNormal(torch.zeros(2), 1.0).to_event(1))
        with pyro.plate("time", T, dim=-1):
            kind = pyro.sample(
                "kind", dist.Categorical(torch.tensor([0.7, 0.3])), infer={"enumerate": "parallel"}
            )
            spread = scale[kind][..., None].expand((*kind.shape, A))
            pyro.sample("obs", dist.Normal(torch.zeros(A), spread).to_event(1), obs=batch.y)


def test_discrete_sites_are_summed_out_by_enumeration(panel, config):
    registry = models.default_model_registry("pyro")
    if "weekly_mixture" not in registry:
        models.register_model("weekly_mixture")(WeeklyMixture)
    rng = np.random.default_rng(0)
    wild = rng.random(200) < 0.3
    y = np.where(wild, 4.0, 0.5)[:, None] * rng.normal(size=(200, 3))
    X = np.zeros((200, 3, 1))
    model = {"model_name": "weekly_mixture", "params": {}}
    svi = {"loss": "TraceEnum_ELBO"}
    settings = config("pyro", steps=300, lr=0.05, svi=svi, training={"standardize_targets": False})
    settings["model"] = {"backend": "pyro", "guide_name": "AutoNormal", **model}
    state = models.fit(X, y, settings)
    np.testing.assert_allclose(np.exp(state.params["scale_auto_loc"]), [0.5, 4.0], rtol=0.25)
    samples = models.predict(X[:1], state, settings, 400)["samples"]
    assert 0.15 < (np.abs(samples).max(axis=2) > 2.0).mean() < 0.45


def test_enumerated_loss_is_the_analytic_marginal():
    batch = ModelBatch(torch.zeros(6, 2, 1), torch.linspace(-2, 2, 12).reshape(6, 2))
    fixed = pyro.poutine.condition(WeeklyMixture({}), {"scale": torch.tensor([0.5, 3.0])})
    trainer = SVITrainer(fixed, lambda batch: None, optim_args={"lr": 0.1}, loss="TraceEnum_ELBO")
    got = trainer.evaluate_loss(batch)
    kinds = [torch.distributions.Normal(0.0, s).log_prob(batch.y).sum(-1) for s in (0.5, 3.0)]
    weights = torch.log(torch.tensor([0.7, 0.3]))[:, None]
    prior = dist.LogNormal(torch.zeros(2), 1.0).log_prob(torch.tensor([0.5, 3.0])).sum()
    want = torch.logsumexp(torch.stack(kinds) + weights, 0).sum() + prior
    assert got == pytest.approx(-float(want), rel=1e-5)


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_schedules_shrink_the_steps(panel, config, backend, shape):
    X, y = panel
    svi = {"lr_schedule": shape, "lr_decay": 1e-6}
    state = models.fit(X, y, given(config, backend, steps=2, lr=0.01, svi=svi))
    start = models.fit(X, y, given(config, backend, steps=1, lr=1e-12, svi=svi))
    # of two steps the first has half the rate in both shapes, the last next to none
    moved = np.abs(state.params["alpha_loc"] - start.params["alpha_loc"])
    np.testing.assert_allclose(moved, 0.005, rtol=0.02)


def test_single_parameters_have_their_own_step_size(panel, config, backend):
    X, y = panel
    start = models.fit(X, y, given(config, backend, steps=1, lr=1e-12))
    svi = {"learning_rates": {"beta_loc": 0.1}, "lr_decay": 1.0}
    state = models.fit(X, y, given(config, backend, steps=1, lr=0.01, svi=svi))
    beta = np.abs(state.params["beta_loc"] - start.params["beta_loc"])
    alpha = np.abs(state.params["alpha_loc"] - start.params["alpha_loc"])
    np.testing.assert_allclose(beta, 0.1, rtol=0.06)
    np.testing.assert_allclose(alpha, 0.01, rtol=0.06)
    with pytest.raises(ConfigError, match=r"no parameter \['gamma'\]"):
        models.fit(X, y, given(config, backend, svi={"learning_rates": {"gamma": 0.1}}))


def test_annealing_weights_the_kl_terms(panel, config, backend):
    X, y = panel
    quiet = {"steps": 3, "lr": 1e-12}
    many = {"num_elbo_particles": 40}
    full = models.fit(X, y, given(config, backend, svi=many, **quiet)).losses
    kl = {"start": 0.0, "end": 1.0, "steps": 2}
    got = models.fit(X, y, given(config, backend, svi={**many, "kl_annealing": kl}, **quiet)).losses
    assert got[2] == pytest.approx(full[2], rel=0.02)
    cost = full[0] - got[0]
    assert cost > 0.01  # without its KL terms the loss is the expected negative log likelihood
    assert full[1] - got[1] == pytest.approx(cost / 2, rel=0.5)


def test_weight_of_the_kl_terms():
    kl = KLAnnealing(start=0.2, end=1.0, steps=4)
    assert [kl.weight(step) for step in (0, 2, 4, 9)] == pytest.approx([0.2, 0.6, 1.0, 1.0])


def test_validation_is_switched_on_by_name(panel, config):
    X, y = panel
    seen = []

    @models.register_model("watched_model")
    def watched(params):
        def model(batch):
            seen.append(pyro.settings.get("validate_distributions_pyro"))
            mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
            with pyro.plate("time", len(batch.X), dim=-2), pyro.plate("assets", 3, dim=-1):
                pyro.sample("obs", dist.Normal(mu, 1.0), obs=batch.y)

        return model

    settings = given(config, "pyro", "AutoNormal", steps=2, svi={"validate_sites": True})
    settings["model"] |= {"model_name": "watched_model", "params": {}}
    models.fit(X, y, settings)
    assert seen[-1]
    settings["training"]["svi"]["validate_sites"] = False
    models.fit(X, y, settings)
    assert not seen[-1]
    with pytest.raises(ConfigError, match="Pyro back end only"):
        models.fit(X, y, given(config, "numpyro", svi={"validate_sites": True}))


def test_a_baseline_that_the_loss_does_not_read_is_refused(panel, config):
    X, y = panel

    @models.register_guide("baseline_guide")
    def build(params):
        def guide(batch):
            loc = pyro.param("loc", torch.zeros(batch.X.shape[-1]))
            infer = {"baseline": {"use_decaying_avg_baseline": True}}
            pyro.sample("weights", dist.Normal(loc, 0.1).to_event(1), infer=infer)
            pyro.sample("sigma", dist.LogNormal(pyro.param("size", torch.tensor(0.0)), 0.1))

        return guide

    settings = given(config, "pyro", "baseline_guide", steps=2)
    settings["model"] |= {"model_name": "test_model", "params": {}}
    with pytest.raises(ConfigError, match=r"site 'weights' a baseline.*'TraceGraph_ELBO'"):
        models.fit(X, y, settings)
    settings["training"]["svi"]["loss"] = "TraceGraph_ELBO"
    assert np.isfinite(models.fit(X, y, settings).losses).all()


def test_a_negative_scale_is_refused_before_training(panel, config):
    X, y = panel

    @models.register_model("negative_scale_model")
    def build(params):
        def model(batch):
            mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
            with pyro.plate("time", len(batch.X), dim=-2), pyro.plate("assets", 3, dim=-1):
                pyro.sample("obs", dist.Normal(mu, -1.0), obs=batch.y)

        return model

    settings = given(config, "pyro", "AutoNormal")
    settings["model"] |= {"model_name": "negative_scale_model", "params": {}}
    with pytest.raises(ValueError, match=r"parameter scale .* satisfy the constraint"):
        models.fit(X, y, settings)


def test_a_guide_on_another_support_is_named(panel, config):
    X, y = panel

    @models.register_guide("real_sigma_guide")
    def build(params):
        def guide(batch):
            size = batch.X.shape[-1]
            pyro.sample("weights", dist.Normal(torch.zeros(size), 1.0).to_event(1))
            pyro.sample("sigma", dist.Normal(pyro.param("loc", torch.tensor(1.0)), 0.1))

        return guide

    settings = given(config, "pyro", "real_sigma_guide")
    settings["model"] |= {"model_name": "test_model", "params": {}}
    with pytest.raises(ModelError, match="'sigma' lives on positive numbers"):
        models.fit(X, y, settings)


def test_a_feature_of_another_size_is_named(panel, config):
    X, y = panel
    X = X.copy()
    X[..., 1] *= 1e5
    with pytest.warns(UserWarning, match="feature 1 has a typical size"):
        models.fit(X, y, given(config, "pyro", steps=1))


@pytest.mark.slow
def test_nuts_matches_the_conjugate_posterior_and_reports(config):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 1, 2))
    y = X @ np.array([0.6, -0.2]) + rng.normal(size=(80, 1))
    y[3] = np.nan
    params = {"num_factors": 0, "coefficients": {"scale": 0.3}}
    model = {"guide_params": {"num_warmup": 300, "num_samples": 500, "num_chains": 2}}
    settings = given(config, "numpyro", "nuts", params=params, model=model)
    settings["training"]["require"] = {"max_rhat": 1.05, "min_ess": 100, "max_divergences": 10}
    state = models.fit(X, y, settings)
    draws = state.params
    assert draws["beta_draws"].shape == (1000, 2)
    noise = np.mean(draws["sigma_draws"] ** -2.0)
    seen = np.isfinite(y[:, 0])
    design = np.concatenate([X[seen, 0], np.ones((79, 1))], axis=1)
    precision = design.T @ design * noise + np.diag([1 / 0.3**2] * 2 + [1 / 0.05**2])
    mean = np.linalg.solve(precision, design.T @ y[seen, 0] * noise)
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    np.testing.assert_allclose(draws["beta_draws"].mean(0), mean[:2], atol=0.02)
    np.testing.assert_allclose(draws["beta_draws"].std(0), sd[:2], rtol=0.15)
    report = state.report
    assert report.method == "nuts"
    assert 0.99 < report.max_rhat < 1.05
    assert 100 < report.min_ess < 3000
    assert report.worst_site in {"alpha", "beta", "sigma"}
    # predictions pick whole draws: their spread is the posterior's
    got = models.predict(np.full((1, 1, 2), 3.0), state, settings, 1000)
    want = 3 * mean[:2].sum() + mean[2]
    assert got["mean"][0, 0] == pytest.approx(want, abs=0.1)
    settings["training"]["require"] = {"min_ess": 1e6}
    with pytest.raises(ModelError, match=r"misses training\.require\.min_ess"):
        models.fit(X, y, settings)


def test_what_a_method_lacks_cannot_be_required(panel, config, backend):
    X, y = panel
    settings = given(config, backend, training={"require": {"max_rhat": 1.05}})
    with pytest.raises(ConfigError, match="guide 'nuts' only"):
        models.fit(X, y, settings)


def test_a_report_is_refused_where_it_misses(panel, config):
    X, y = panel
    settings = given(config, "pyro", steps=40, training={"require": {"max_loss_change": 1e-9}})
    with pytest.raises(ModelError, match=r"job 0.*max_loss_change"):
        models.fit(X, y, settings)
    settings["training"]["require"] = {"max_loss_change": 10.0}
    assert models.fit(X, y, settings).report.method == "svi"


def test_checks_of_a_report():
    good = FitReport("nuts", max_rhat=1.01, min_ess=400.0, divergences=0, worst_site="beta")
    limits = RequireConfig(max_rhat=1.05, min_ess=100, max_divergences=0)
    good.check(limits, "job 0")
    for change in ({"max_rhat": 1.2}, {"min_ess": 50.0}, {"divergences": 3}, {"max_rhat": np.nan}):
        with pytest.raises(ModelError, match=r"job 0: .*worst site 'beta'"):
            FitReport(**{**vars(good), **change}).check(limits, "job 0")
    assert FitReport.from_dict(good.to_dict()) == good
