"""The bundle of a run: shapes, mask, alignment, and that a folder keeps the one it began with."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fastpanel as fp
from fastpanel._tensors import load_tensors, save_tensors
from fastpanel.errors import DataError, ShapeError
from fastpanel.simulation._config import DatasetParams
from fastpanel.simulation._dataset import dataset_from_panel, load_dataset, save_dataset
from tests.simulation.conftest import make_panel


@pytest.fixture
def dataset():
    return dataset_from_panel(make_panel(), DatasetParams())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: {"X": d.X[..., 0]}, r"X must be \[T, A, F\], got shape \(95, 4\)"),
        (lambda d: {"y": d.y[:-1]}, r"y has shape \(94, 4\), but X \(95, 4, 5\) needs \(95, 4\)"),
        (lambda d: {"y": d.y[:, 0]}, r"y has shape \(95,\)"),
        (lambda d: {"mask": d.mask[:, :2]}, r"mask has shape \(95, 2, 5\), but X has \(95, 4, 5\)"),
        (lambda d: {"assets": d.assets[:3]}, r"lengths \(95, 3, 5\), X has \(95, 4, 5\)"),
    ],
    ids=["rank", "weeks", "rank of y", "mask", "names"],
)
def test_tensors_that_do_not_fit_are_named_with_both_shapes(dataset, change, text):
    with pytest.raises(ShapeError, match=text):
        replace(dataset, **change(dataset))


def test_mask_is_what_is_given_or_nan(dataset, tmp_path):
    path = tmp_path / "panel_tensor.pt"
    X = np.array(dataset.X)
    X[3, 1, 2] = np.nan
    given = np.zeros(X.shape, dtype=bool)
    given[7, 0, 0] = True
    save_dataset(dataset, path)
    content = load_tensors(path)
    del content["digest"]
    save_tensors(path, {**content, "X": X, "missing_mask": given})
    assert np.argwhere(load_dataset(path).mask).tolist() == [[3, 1, 2], [7, 0, 0]]
    del content["missing_mask"]
    save_tensors(path, {**content, "X": X})
    assert np.argwhere(load_dataset(path).mask).tolist() == [[3, 1, 2]]


def test_a_week_without_any_feature_of_an_asset_teaches_nothing():
    panel = make_panel()
    values = panel.values.copy()
    values[:40, 3] = np.nan  # its targets are there
    values[50, 2, 0] = np.nan  # one feature is not the asset
    late = fp.Panel(values, panel.times, panel.assets, panel.features, targets=panel.targets)
    y = dataset_from_panel(late, DatasetParams()).y
    assert np.isnan(y[:40, 3]).all()
    assert np.isnan(y).sum() == 40


def test_stored_bundle_holds_values_labels_and_names(dataset, tmp_path):
    path = tmp_path / "panel_tensor.pt"
    save_dataset(dataset, path)
    content = load_tensors(path)
    np.testing.assert_array_equal(content["X"], dataset.X)
    np.testing.assert_array_equal(content["y"], dataset.y)
    assert content["assets"] == ["A0", "A1", "A2", "A3"]
    assert content["features"] == ["f0", "f1", "f2", "f3", "f4"]
    assert content["timestamps"][0] == np.datetime64("2020-01-03", "ns").astype("int64")
    assert content["X_unlabeled"].shape == (1, 4, 5)
    assert load_dataset(path).digest == dataset.digest


def test_targets_are_returns_times_the_scale():
    panel = make_panel()
    scaled = dataset_from_panel(panel, DatasetParams())
    np.testing.assert_array_equal(scaled.y, np.array(panel.targets)[:-1] * 1_000_000)
    plain = dataset_from_panel(panel, DatasetParams(target_scale=1))
    np.testing.assert_allclose(plain.y[0, 0], scaled.y[0, 0] / 1_000_000)
    with pytest.raises(DataError, match="no targets"):
        dataset_from_panel(
            fp.Panel(panel.values, panel.times, panel.assets, panel.features), DatasetParams()
        )


def test_a_folder_keeps_the_panel_it_began_with_and_says_so(config, capsys):
    """Bars of another size later: the stored panel is used, a line and the manifest tell."""
    market = {"n_assets": 2, "years": 3, "bar": "1d", "late_listers": 0, "seed": 3}
    params = {"bars": "simulated", "simulated": market, "groups": ["momentum"]}
    config["data"]["dataset_params"] = params
    config["flags"]["stop_after"] = "inputs"
    first = fp.simulation.run(config, progress=False)
    config["data"]["dataset_params"] = {**params, "simulated": {**market, "n_assets": 3}}
    with pytest.warns(UserWarning, match=r"built with other values of: simulated$"):
        again = fp.simulation.run(config, progress=fp.progress.PlainReporter(sys.stdout))
    path = Path(os.environ["SIMULATION_SOURCE"]) / "run" / "inputs" / "panel_tensor.pt"
    assert f"Inputs: {path} is reused" in capsys.readouterr().out
    assert again.dataset.assets == first.dataset.assets
    manifest = json.loads((again.folder / "run_manifest.json").read_text())
    assert manifest["stages"]["inputs"]["built_with_other_values_of"] == ["simulated"]


@pytest.mark.parametrize("by_name", [True, False])
def test_scaling_by_name_is_a_flag(config, by_name):
    """``cs_rank_*`` pass through with the flag, and are scaled like any other without."""
    panel = make_panel()
    names = ["cs_rank_z_mom_4w", *panel.features[1:]]
    values = np.array(panel.values)
    values[..., 0] = np.argsort(np.argsort(values[..., 0], axis=1), axis=1) / 3.0
    ranked = fp.Panel(values, panel.times, panel.assets, names, targets=panel.targets)
    config["flags"] = {
        "simulation_mode": "stub",
        "use_feature_names_for_scaling": by_name,
    }
    config["outer"] = {"test_groups": "last"}
    result = fp.simulation.run(config, panel=ranked, progress=False)
    stored = json.loads((result.folder / "preprocessing" / "outer_5.json").read_text())
    assert stored["kept"][0] == "cs_rank_z_mom_4w"
    assert stored["kinds"][0] == ("rank" if by_name else "continuous")


def test_groups_may_share_a_column_name_and_rules_by_name_still_work(config):
    names = ["momentum__x", "volatility__x", "breakout__brk_up", "f3", "f4"]
    panel = make_panel()
    values = np.array(panel.values)
    values[..., 2] = values[..., 2] > 1.0
    panel = fp.Panel(values, panel.times, panel.assets, names, targets=panel.targets)
    config["outer"] = {"test_groups": "last"}
    result = fp.simulation.run(config, panel=panel, progress=False)
    stored = json.loads((result.folder / "preprocessing" / "outer_5.json").read_text())
    assert stored["kept"] == names
    assert stored["kinds"] == ["continuous", "continuous", "breakout", "continuous", "continuous"]
