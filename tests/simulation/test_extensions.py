"""The documented ways to extend a run, as a user writes them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fastpanel as fp
from fastpanel.errors import DataError, DuplicateNameError, ParameterError, UnknownNameError
from fastpanel.models import metric_registry
from fastpanel.simulation import DATASET_REGISTRY, load_config, register_dataset
from tests.simulation.conftest import make_panel

PREBUILD = """
from fastpanel.models import PrebuildContext, PrebuildResult, register_prebuild

@register_prebuild("documented_prior_init")
def build_priors(context: PrebuildContext) -> PrebuildResult:
    return PrebuildResult(
        model_params={"likelihood": {"sigma_scale": 0.08}},
        guide_params={},
        metadata={"note": "train-only init"},
    )
"""

MODEL_AND_GUIDE = """
import pyro
import pyro.distributions as dist
import torch
from fastpanel.models import ModelBatch, register_guide, register_model

@register_model("documented_model")
class DocumentedModel:
    def __init__(self, params):
        self.scale = float(params.get("scale", 1.0))

    def __call__(self, batch: ModelBatch) -> None:
        n_features = batch.X.shape[-1]
        beta = pyro.sample("beta", dist.Normal(torch.zeros(n_features), self.scale).to_event(1))
        sigma = pyro.sample("sigma", dist.HalfNormal(1.0))
        mean = batch.X @ beta
        with pyro.plate("assets", mean.shape[1], dim=-1), pyro.plate("weeks", len(mean), dim=-2):
            pyro.sample("obs", dist.Normal(mean, sigma), obs=batch.y)

@register_guide("documented_guide")
class DocumentedGuide:
    def __init__(self, params):
        pass

    def __call__(self, batch: ModelBatch) -> None:
        n_features = batch.X.shape[-1]
        loc = pyro.param("loc", torch.zeros(n_features))
        width = pyro.param(
            "width", 0.1 * torch.ones(n_features), constraint=dist.constraints.positive
        )
        pyro.sample("beta", dist.Normal(loc, width).to_event(1))
        size = pyro.param("size", torch.tensor(0.5), constraint=dist.constraints.positive)
        pyro.sample("sigma", dist.LogNormal(size.log(), 0.1))
"""

METRIC = """
import numpy as np
from fastpanel.models import register_metric

@register_metric("documented_metric", scope="inner")
def build(spec):
    def score(y_true, pred, score_spec):
        return -float(np.nanmean(np.abs(y_true - pred["samples"].mean(axis=0))))
    return score

@register_metric("documented_metric", scope="outer")
def worst_week(record):
    return record.pnl.min()
"""


def run_once(code: str, name: str, registry) -> None:
    if name not in registry:
        exec(code, {})  # the text of the page, as a user would save and import it


def run(config, panel=None, **kwargs):
    return fp.simulation.run(config, panel=panel, progress=False, **kwargs)


def test_prebuild_example(config, panel):
    run_once(PREBUILD, "documented_prior_init", fp.models.default_prebuild_registry())
    config["model"] = {"prebuild": {"enabled": True, "name": "documented_prior_init"}}
    result = run(config, panel)
    stored = json.loads((result.folder / "artifacts/prebuild/prebuild.json").read_text())
    assert stored["model_params"] == {"likelihood": {"sigma_scale": 0.08}}
    assert stored["guide_params"] == {}
    assert stored["metadata"] == {"note": "train-only init"}


def test_model_and_guide_example(config, panel):
    run_once(MODEL_AND_GUIDE, "documented_model", fp.models.default_model_registry("pyro"))
    config["model"] = {
        "model_name": "documented_model",
        "guide_name": "documented_guide",
        "params": {"scale": 0.5},
    }
    config["training"] = {"svi": {"num_steps": 20}}
    config["flags"] = {"simulation_mode": "full", "stop_after": "inner"}
    config["outer"] = {"test_groups": [2]}
    result = run(config, panel)
    scores = [unit.score for units in result.records[2].values() for unit in units]
    assert np.isfinite(scores).all()


def test_metric_example_in_both_scopes(config, panel):
    run_once(METRIC, "documented_metric", metric_registry("inner"))
    config["scoring"] = {"spec": {"metric_name": "documented_metric"}}
    config["outer"] = {"metrics": ["mean_pnl", "documented_metric"]}
    result = run(config, panel)
    record = result.records[2]["0"][0]
    payload_free = run_score(result, 2)
    assert record.score == pytest.approx(payload_free)
    pnl = np.concatenate([fold.pnl for fold in result.outer])
    expected = {"mean_pnl": pnl.mean(), "documented_metric": pnl.min()}
    assert result.summary["metrics"] == pytest.approx(expected)
    fold = result.summary["folds"][1]["metrics"]
    assert fold["documented_metric"] == result.outer[1].pnl.min()


def run_score(result, group):
    """The mean absolute error of candidate 0 on split 0, from its payload."""
    from fastpanel.simulation._payload import load_payload

    folder = result.folder / "inner" / f"outer_{group}"
    payload = load_payload(folder / result.records[group]["0"][0].file)
    samples = payload.z_samples.astype(float) * payload.scale
    y = payload.z_true * payload.scale
    return -np.nanmean(np.abs(y - samples.mean(axis=0)))


def test_unknown_scope_is_refused():
    with pytest.raises(ParameterError, match=r"'middle'.*'inner', 'outer'"):
        fp.models.register_metric("x", scope="middle")


def test_outer_metrics_of_the_summary_are_the_seven(config, panel):
    result = run(config, panel)
    metrics = result.summary["metrics"]
    pnl = np.concatenate([fold.pnl for fold in result.outer])
    assert list(metrics) == list(fp.portfolio.OUTER_METRICS)
    assert metrics["volatility"] == pytest.approx(pnl.std(ddof=1))
    model = next(row for row in result.summary["scores"] if row["forecaster"] == "model")
    assert metrics["mean_es"] == pytest.approx(model["energy_score"])
    assert metrics["coverage"] == pytest.approx(model["coverage_90"])
    inside = []  # straight from the draws
    for fold in result.outer:
        low, high = np.quantile(fold.samples, [0.05, 0.95], axis=0)
        y = result.dataset.y[fold.rows]
        inside.append((low <= y) & (y <= high))
    assert metrics["coverage"] == pytest.approx(np.concatenate(inside).mean())


def test_summary_can_be_asked_for_other_metrics_without_refitting(config, panel):
    folder = run(config, panel).folder
    computed = [*folder.rglob("candidate_*.pt"), *folder.rglob("result.npz")]
    before = [path.stat().st_mtime_ns for path in computed]
    config["outer"] = {"metrics": ["sharpe"]}
    result = run(config, panel)
    assert list(result.summary["metrics"]) == ["sharpe"]
    assert [path.stat().st_mtime_ns for path in computed] == before
    assert len(computed) == 2 * 20 + 4


if "shifted_test_panel" not in DATASET_REGISTRY:

    @register_dataset("shifted_test_panel")
    def load_shifted(params):
        panel = make_panel(seed=params.target_scale)
        return panel.sel(assets=list(params.assets or panel.assets))

    @register_dataset("broken_test_loader")
    def load_broken(params):
        return {"X": 1}


def test_registered_loader_brings_the_panel(config):
    config["data"]["dataset_params"] = {"assets": ["A2", "A0"], "target_scale": 100}
    config["flags"]["stop_after"] = "cv"
    dataset = run(config, loader="shifted_test_panel").dataset
    assert dataset.assets == ("A2", "A0")
    np.testing.assert_array_equal(dataset.y[:, 1], 100 * make_panel(100).targets[:-1, 0])


def test_loaders_are_checked(config):
    with pytest.raises(UnknownNameError, match="feature_store_panel"):
        run(config, loader="nowhere")
    with pytest.raises(DataError, match="'broken_test_loader' returned dict"):
        run(config, loader="broken_test_loader")
    with pytest.raises(DuplicateNameError):
        register_dataset("feature_store_panel")(load_shifted)


def test_config_takes_no_other_loader():
    with pytest.raises(fp.errors.ConfigError, match=r"data\.loader"):
        load_config({"data": {"loader": "shifted_test_panel"}})
