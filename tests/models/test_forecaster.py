from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from fastpanel import models
from fastpanel.data import Panel
from fastpanel.errors import ArtifactError, DataError, ModelError
from fastpanel.preprocess import PanelPreprocessor

FEATURES = ["mom", "cs_rank_mom", "vol"]


def panel(T=60, seed=0):
    rng = np.random.default_rng(seed)
    X = 50.0 * rng.normal(size=(T, 3, 3)) + 7.0
    y = 0.02 * (X[..., 0] - 7.0) / 50.0 + 0.01 * rng.normal(size=(T, 3))
    weeks = np.datetime64("2023-01-06") + 7 * np.arange(T)
    X[5, 1, 2] = np.nan
    return Panel(X, weeks, assets=["A", "B", "C"], features=FEATURES, targets=y)


@pytest.fixture(scope="module")
def fitted():
    data = panel()
    train = data[:50]
    transform = PanelPreprocessor().fit(train.values, FEATURES, mask=train.mask)
    config = {
        "model": {"backend": "pyro", "model_name": "factor_regime", "params": {"num_regimes": 2}},
        "training": {"svi": {"num_steps": 20, "learning_rate": 0.01}},
        "seed": 3,
    }
    return data, models.Forecaster.fit(train, config, transform=transform)


def test_a_saved_forecaster_predicts_the_same_in_a_fresh_process(fitted, tmp_path):
    data, forecaster = fitted
    here = forecaster.predict(data, num_samples=20)
    folder = forecaster.save(tmp_path / "weekly")
    data.save(tmp_path / "panel.npz")
    code = (
        "import sys, numpy as np, fastpanel as fp\n"
        "pred = fp.models.load(sys.argv[1]).predict(fp.Panel.load(sys.argv[2]), num_samples=20)\n"
        "np.savez(sys.argv[3], **pred)\n"
    )
    out = tmp_path / "out.npz"
    command = [sys.executable, "-c", code, folder, tmp_path / "panel.npz", out]
    subprocess.run([str(part) for part in command], check=True)
    with np.load(out) as there:
        for name in ("samples", "mean", "times"):
            np.testing.assert_array_equal(there[name], here[name])
    assert here["samples"].shape == (20, 10, 3)


def test_rows_are_counted_from_the_last_training_row(fitted):
    data, forecaster = fitted
    whole = forecaster.predict(data, num_samples=10)
    np.testing.assert_array_equal(forecaster.predict(data[50:], 10)["samples"], whole["samples"])
    assert whole["times"][0] == data.times[50]
    # unknown features beside the known ones, in another order
    more = data.sel(features=["vol", "mom", "cs_rank_mom"])
    np.testing.assert_array_equal(forecaster.predict(more, 10)["samples"], whole["samples"])


def test_forecasts_are_in_the_unit_of_the_target(fitted):
    data, forecaster = fitted
    assert 0.005 < forecaster.predict(data, 200)["samples"].std() < 0.06


def test_wrong_panels_are_refused(fitted):
    data, forecaster = fitted
    with pytest.raises(ModelError, match="later than the last training row"):
        forecaster.predict(data[:50])
    with pytest.raises(ModelError, match=r"lacks features \['vol'\]"):
        forecaster.predict(data.sel(features=["mom", "cs_rank_mom"]))
    with pytest.raises(ModelError, match="order them"):
        forecaster.predict(data.sel(assets=["B", "A", "C"]))
    with pytest.raises(DataError, match="no targets"):
        bare = Panel(data.values, data.times, assets=data.assets, features=data.features)
        models.Forecaster.fit(bare, {})


def test_a_scaler_that_saw_later_rows_is_refused():
    data = panel()
    transform = PanelPreprocessor().fit(data.values, FEATURES, mask=data.mask)
    with pytest.raises(DataError, match="it knows the future"):
        models.Forecaster.fit(data, {}, transform=transform, rows=np.arange(50))


def rewrite(folder, **changes):
    path = folder / "forecaster.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_is_not_a_whole_forecaster_is_refused(fitted, tmp_path):
    forecaster = fitted[1]
    folder = forecaster.save(tmp_path / "a")
    rewrite(folder, assets=["A", "B", "X"])
    with pytest.raises(ArtifactError, match="was changed after it was written"):
        models.load(folder)
    rewrite(folder, version=2)
    with pytest.raises(ArtifactError, match="format version 2"):
        models.load(folder)
    rewrite(folder, format="other")
    with pytest.raises(ArtifactError, match="not a saved forecaster"):
        models.load(folder)
    with pytest.raises(ArtifactError, match=r"forecaster\.json"):
        models.load(tmp_path / "nowhere")
    folder = forecaster.save(tmp_path / "b")
    weights = next(folder.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match="safetensors"):
        models.load(folder)
    sidecar = next(folder.glob("state-*.json"))
    sidecar.write_text(sidecar.read_text() + " ")
    with pytest.raises(ArtifactError, match="is not the state"):
        models.load(folder)


def test_pickles_are_refused(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(ArtifactError, match="pickled files can run code"):
        models.load(path)


def test_saving_again_replaces_the_old_one(fitted, tmp_path):
    forecaster = fitted[1]
    folder = forecaster.save(tmp_path / "a")
    first = sorted(p.name for p in folder.iterdir())
    forecaster.save(folder)
    assert sorted(p.name for p in folder.iterdir()) == first
    assert len(first) == 3
