from __future__ import annotations

import numpy as np
import pytest

from fastpanel.errors import ConfigError, UnknownNameError
from fastpanel.models import metric_registry, register_metric
from fastpanel.simulation import build_experiment, registries
from fastpanel.splits import CombinatorialPurgedCV
from tests.simulation.conftest import make_panel

CV = {"cv_name": "cpcv", "params": {"n_blocks": 5, "n_test_blocks": 2, "purge_window": 1}}


def test_folds_are_those_of_the_registered_splitter(panel):
    experiment = build_experiment({"cv": CV}, panel)
    splitter = CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2, purge_window=1)
    expected = list(splitter.split(np.zeros(95)))
    assert len(experiment.folds) == len(expected) == 10
    for fold, (train, test) in zip(experiment.folds, expected, strict=True):
        np.testing.assert_array_equal(fold.train, np.sort(train))
        np.testing.assert_array_equal(fold.test, np.sort(test))


if "test_rows" not in metric_registry("inner"):

    @register_metric("test_rows")
    def rows(spec):
        return lambda y_true, pred, score_spec: len(y_true)


def test_metrics_are_put_together_over_folds(panel):
    def run(**metrics):
        config = {
            "cv": {"params": {"n_blocks": 5, "n_test_blocks": 1, "purge_window": 1}},
            "model": {"backend": "pyro", "model_name": "test_model", "guide_name": "test_guide"},
            "training": {"svi": {"num_steps": 1}},
            "predictive": {"num_samples": 8},
            "metrics": metrics,
        }
        return build_experiment(config, make_panel(n_weeks=98))

    experiment = run(metric_names=["test_rows", "neg_mse"])
    folds = experiment.run_folds()
    assert [fold["test_rows"] for fold in folds] == [20, 20, 19, 19, 19]
    assert all(np.isfinite(fold["neg_mse"]) and fold["neg_mse"] < 0 for fold in folds)
    assert experiment.run()["test_rows"] == pytest.approx(97 / 5)
    assert run(metric_names=["test_rows"], aggregation="median").run() == {"test_rows": 19.0}


def test_mistakes_come_before_any_work(panel):
    with pytest.raises(ConfigError, match=r"aggregation[\s\S]*did you mean 'cv'"):
        build_experiment({"metrics": {"aggregation": "mode"}, "cvv": {}}, panel)
    for config in ({"trainer_name": "x"}, {"metrics": {"metric_names": ["x"]}}):
        with pytest.raises(UnknownNameError, match="'x'"):
            build_experiment(config, panel)
    with pytest.raises(UnknownNameError, match="'x'"):
        build_experiment({"cv": {"cv_name": "x"}}, panel)


def test_six_registries_stand_side_by_side():
    assert set(registries.__all__) == {
        f"{kind}_REGISTRY" for kind in ("DATASET", "CV", "MODEL", "GUIDE", "TRAINER", "METRIC")
    }
    assert "svi_trainer" in registries.TRAINER_REGISTRY
    assert "cpcv" in registries.CV_REGISTRY
    assert "energy_score" in registries.METRIC_REGISTRY
    assert "feature_store_panel" in registries.DATASET_REGISTRY
