"""Pipelines that cheat on purpose: ``fp.audit`` catches each one and says where."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

import fastpanel as fp
from fastpanel import splits
from fastpanel.cli import main
from fastpanel.errors import ArtifactError, LeakageError, ParameterError
from fastpanel.features import register, unregister
from fastpanel.preprocess import PanelPreprocessor
from fastpanel.simulation import _outer, _splits, _stages, _structure, _work
from fastpanel.simulation._hooks import Hooks, stub_hooks
from fastpanel.simulation._space import ScoreSpace
from tests.simulation.conftest import make_panel, stub_config


def linear_hooks() -> Hooks:
    """A small but real forecaster: least squares per asset, with the residuals as draws."""

    def fit_model(X_train, y_train, config, init_state):
        del init_state
        known = np.isfinite(y_train).all(axis=1)
        X, y = X_train[known], y_train[known]
        beta = np.stack([np.linalg.lstsq(X[:, a], y[:, a], rcond=None)[0] for a in range(4)])
        return {"beta": beta, "rest": y - np.einsum("taf,af->ta", X, beta), "seed": config["seed"]}

    def predict(X_pred, state, config, num_samples):
        del config
        rng = np.random.default_rng(state["seed"])
        rows = rng.integers(len(state["rest"]), size=(num_samples, len(X_pred)))
        return {"samples": np.einsum("taf,af->ta", X_pred, state["beta"]) + state["rest"][rows]}

    stub = stub_hooks(fp.simulation.load_config(stub_config()))
    return replace(stub, fit_model=fit_model, predict=predict)


def settings(folder, **changes) -> dict:
    config = stub_config(str(folder / "run"))
    config["flags"]["stop_after"] = "outer"
    return {**config, "outer": {"test_groups": [2, 3]}, **changes}


def audited(config, hooks=None, panel=None, **options):
    run = fp.simulation.run(config, panel=panel or make_panel(), hooks=hooks, progress=False)
    return fp.audit(run, hooks=hooks, **options)


def failed(report) -> set[str]:
    assert not report.ok
    with pytest.raises(LeakageError, match="leaks"):
        report.raise_if_leaking()
    return {check.name for check in report.checks if check.status == "failed"}


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    config = settings(tmp_path_factory.mktemp("honest"))
    return fp.simulation.run(config, panel=make_panel(), hooks=linear_hooks(), progress=False)


@pytest.fixture
def copy(honest, tmp_path):
    return shutil.copytree(honest.folder, tmp_path / "copy")


def test_an_honest_run_passes(honest):
    report = fp.audit(honest, hooks=linear_hooks(), folds="all")
    assert report.ok
    assert report.leaks == ()
    assert not report.complete  # its panel was given, so nothing is known of its features
    assert report["future"].notes == ()  # the plant had power, and stored bits came out again
    assert "nothing found, but not everything could be checked: features" in str(report)


def test_scaler_fitted_on_all_rows(tmp_path, monkeypatch):
    def cheat(dataset, plan, config):
        del plan
        return _splits.preprocessor(config).fit(
            dataset.X, dataset.features, mask=dataset.mask, asset_names=list(dataset.assets)
        )

    for module in (_outer, _stages, sys.modules["fastpanel._audit._future"]):
        monkeypatch.setattr(module, "fit_fold_preprocessing", cheat)
    report = audited(settings(tmp_path), linear_hooks())
    assert {"fits", "future"} <= failed(report)
    first = report["fits"].leaks[0]
    assert first.what == "feature scaler"
    assert first.where == "test group 2, preprocessing/outer_2.json"
    assert "not for training, the first is row 39" in first.amount


def test_scaler_fitted_on_the_test_rows_of_inner_splits(tmp_path, monkeypatch):
    class Cheat(PanelPreprocessor):
        def fit_splits(self, X, names, folds, **options):
            return [self.fit(X, names, **options)] * len(folds)

    def preprocessor(config):
        return Cheat(**config.preprocessing.model_dump())

    monkeypatch.setattr(_splits, "preprocessor", preprocessor)
    report = audited(settings(tmp_path), linear_hooks())
    assert failed(report) == {"future"}
    first = report["future"].leaks[0]
    assert first.what == "inner forecast"
    assert first.where.startswith("test group 3, inner split 0, row ")


def test_scoring_space_fitted_on_all_rows(tmp_path, monkeypatch):
    honest = _splits.prepare_splits

    def cheat(dataset, plan, config):
        space = ScoreSpace.fit(dataset.y[: plan.known], config.scoring.spec, "everywhere")
        return [replace(split, space=space) for split in honest(dataset, plan, config)]

    monkeypatch.setattr(_work, "prepare_splits", cheat)
    report = audited(settings(tmp_path), linear_hooks())
    assert {"fits", "future"} == failed(report)
    assert {leak.what for leak in report["fits"].leaks} == {"scoring scale", "whitener"}


def test_purge_too_short(tmp_path, monkeypatch):
    def cheat(groups, **options):
        return splits.make_cpcv_splits(groups, **{**options, "horizon": 0, "embargo_len": 0})

    monkeypatch.setattr(_structure, "make_cpcv_splits", cheat)
    report = audited(settings(tmp_path), linear_hooks())
    assert failed(report) == {"plan"}
    assert report["plan"].leaks[0].where == "test group 2, inner split 0"
    assert "its label [" in report["plan"].leaks[0].amount


def test_labels_longer_than_the_purge(honest):
    ends = np.arange(len(honest.dataset.y)) + 5  # the targets look five weeks ahead
    report = fp.audit(honest, hooks=linear_hooks(), label_end=ends)
    assert failed(report) == {"plan"}
    outer = next(leak for leak in report["plan"].leaks if leak.what == "outer fold")
    assert "is not known at the first test row" in outer.amount


def test_training_on_a_label_that_is_not_known_yet(tmp_path, monkeypatch):
    honest = _outer.training_rows

    def cheat(plan, row, config):
        rows = honest(plan, row, config)
        return rows if row == plan.start else np.append(rows, row)

    monkeypatch.setattr(_outer, "training_rows", cheat)
    report = audited(settings(tmp_path, outer={"test_groups": [2]}), linear_hooks())
    assert failed(report) == {"future"}
    first = report["future"].leaks[0]
    assert first.what == "outer forecast"
    assert first.where == "test group 2, row 46, values planted after row 46"


def test_selection_on_outer_data(tmp_path, monkeypatch):
    honest = _stages.select_for_fold

    def cheat(records, candidates, plan, folder, config, shape):
        chosen = honest(records, candidates, plan, folder, config, shape)
        return replace(chosen, pick=1 - chosen.pick)  # the other one did better on outer weeks

    monkeypatch.setattr(_stages, "select_for_fold", cheat)
    report = audited(settings(tmp_path), linear_hooks())
    assert failed(report) == {"selection"}
    assert [leak.what for leak in report["selection"].leaks] == ["selected", "outer forecasts"] * 2


def test_a_score_that_knows_the_outer_weeks(tmp_path):
    """With selection off, the recorded score decides; here it carries the outcome in it."""
    config = settings(tmp_path, model_selection={"enable": False})
    hooks = linear_hooks()
    bonus = iter(range(10_000))
    cheat = replace(hooks, score=lambda y, pred, spec: hooks.score(y, pred, spec) + next(bonus))
    report = audited(config, cheat)
    assert failed(report) == {"selection"}
    assert report["selection"].leaks[0].what == "score"


def test_a_peeking_feature(tmp_path):
    @register("attack_peek", inputs=("close",), group="attack")
    def peek(close):
        ahead = np.full_like(close, np.nan)
        ahead[:-1] = close[1:] / close[:-1] - 1.0
        ahead[-1] = 0.0
        return ahead

    market = {"n_assets": 4, "years": 2, "bar": "1d", "late_listers": 0}
    config = settings(tmp_path)
    config["data"]["dataset_params"] = {
        "bars": "simulated", "simulated": market, "groups": ["attack", "mean_reversion"],
        "features": ["attack_peek", "rev"],
    }  # fmt: skip
    try:
        run = fp.simulation.run(config, hooks=linear_hooks(), progress=False)
        report = fp.audit(run, hooks=linear_hooks())
    finally:
        unregister("attack_peek")
    assert failed(report) == {"features"}
    assert {leak.what for leak in report["features"].leaks} == {"feature 'attack_peek'"}
    assert "when bars after row" in report["features"].leaks[0].amount


def test_altered_files_are_named(copy):
    plan = copy / "cv" / "cv_structure.json"
    content = json.loads(plan.read_text())
    content["outer_folds"][0]["inner_splits"][0]["train_intervals"] = [[0, 39]]
    plan.write_text(json.dumps(content))
    report = fp.audit(copy, hooks=linear_hooks())
    assert "plan" in failed(report)
    assert "training set and in the test set" in report["plan"].leaks[0].amount


def test_a_rewritten_forecast_is_named(copy):
    file = sorted((copy / "inner" / "outer_2" / "candidates").glob("*.pt"))[0]
    other = sorted((copy / "inner" / "outer_3" / "candidates").glob("*.pt"))[0]
    file.write_bytes(other.read_bytes())
    report = fp.audit(copy, hooks=linear_hooks())
    assert {"fits", "selection"} <= failed(report)
    assert any("was altered" in leak.amount for leak in report["selection"].leaks)


def test_command_writes_both_files_and_sets_the_exit_code(tmp_path, capsys):
    run = fp.simulation.run(settings(tmp_path), panel=make_panel(), progress=False)
    assert main(["audit", str(run.folder), "--quiet"]) == 0
    assert "not everything could be checked" in capsys.readouterr().out
    verdict = json.loads((run.folder / "audit.json").read_text())
    assert (verdict["ok"], verdict["complete"]) == (True, False)
    page = (run.folder / "audit.html").read_text()
    assert "Leak audit: run" in page
    plan = run.folder / "cv" / "cv_structure.json"
    content = json.loads(plan.read_text())
    content["outer_folds"][0]["inner_splits"][0]["purged_intervals"] = []
    plan.write_text(json.dumps(content))
    out = tmp_path / "elsewhere"
    assert main(["audit", "run", str(run.folder), "--out", str(out), "--quiet"]) == 1
    assert "it is not the plan that the configuration describes" in capsys.readouterr().err
    assert not json.loads((out / "audit.json").read_text())["ok"]
    assert main(["audit", str(run.folder), "--folds", "x"]) == 2


def test_bad_requests(honest, tmp_path):
    with pytest.raises(ParameterError, match=r"no test group 7; the run has \[2, 3\]"):
        fp.audit(honest, folds=[7])
    with pytest.raises(ParameterError, match="'fold' does not go with this subject"):
        fp.audit(honest, fold=1)
    config = settings(tmp_path)
    config["flags"]["stop_after"] = "inner"
    unfinished = fp.simulation.run(config, panel=make_panel(), progress=False)
    with pytest.raises(ArtifactError, match="no outer results"):
        fp.audit(unfinished)
