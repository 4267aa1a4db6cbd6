from __future__ import annotations

import json

import numpy as np
import pytest

import fastpanel as fp
from fastpanel.models import PrebuildResult, default_prebuild_registry, register_prebuild
from fastpanel.simulation._prebuild import common_rows, run_prebuild

SEEN: list = []

if "spy_on_the_context" not in default_prebuild_registry():

    @register_prebuild("spy_on_the_context")
    def spy(context):
        SEEN.append(context)
        return PrebuildResult(
            model_params={"likelihood": {"sigma_scale": 0.08}},
            guide_params={},
            metadata={"note": "train-only init"},
        )


@pytest.fixture
def prebuilt(config):
    config["model"] = {"prebuild": {"enabled": True, "name": "spy_on_the_context"}}
    SEEN.clear()
    return config


def test_hook_runs_once_on_the_rows_that_every_fold_trains_on(prebuilt, panel):
    result = fp.simulation.run(prebuilt, panel=panel, progress=False)
    (context,) = SEEN
    rows = common_rows(result.structure)
    np.testing.assert_array_equal(rows, result.structure.outer[0].fold.train)
    np.testing.assert_array_equal(context.X, result.dataset.X[rows])
    np.testing.assert_array_equal(context.y, result.dataset.y[rows])
    stored = json.loads((result.folder / "artifacts/prebuild/prebuild.json").read_text())
    assert stored["model_params"] == {"likelihood": {"sigma_scale": 0.08}}
    assert stored["metadata"] == {"note": "train-only init"}
    best = json.loads((result.folder / "inner/outer_2/best_config.json").read_text())
    assert best["model"]["params"] == {"likelihood": {"sigma_scale": 0.08}}


def test_candidates_override_what_the_hook_gave(prebuilt, panel):
    prebuilt["tuning"]["space"].append(
        {"path": "model.params.likelihood.sigma_scale", "type": "float", "bounds": [1, 2]}
    )
    result = fp.simulation.run(prebuilt, panel=panel, progress=False)
    best = json.loads((result.folder / "inner/outer_2/best_config.json").read_text())
    assert 1 <= best["model"]["params"]["likelihood"]["sigma_scale"] <= 2


def test_no_file_without_the_hook(config, panel):
    folder = fp.simulation.run(config, panel=panel, progress=False).folder
    assert not (folder / "artifacts").exists()


def test_hook_sees_no_value_after_the_first_fold_trains(prebuilt, panel):
    """Huge values in every row that some outer fold does not train on change no prior."""
    clean = fp.simulation.run(prebuilt, panel=panel, progress=False)
    rows = common_rows(clean.structure)
    values, targets = np.array(panel.values), np.array(panel.targets)
    others = np.setdiff1d(np.arange(len(panel)), rows)
    assert others.min() == clean.structure.outer[0].start
    values[others], targets[others] = 1e12, 1e12
    prebuilt["data"] = {"simulation_output_path": "planted"}
    prebuilt["flags"]["stop_after"] = "cv"
    planted = fp.Panel(values, panel.times, panel.assets, panel.features, targets=targets)
    dataset = fp.simulation.run(prebuilt, panel=planted, progress=False).dataset
    run_prebuild(dataset, clean.structure, fp.simulation.load_config(prebuilt), clean.folder)
    before, after = SEEN
    np.testing.assert_array_equal(before.X, after.X)
    np.testing.assert_array_equal(before.y, after.y)
    assert np.abs(after.X).max() < 100
