from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from fastpanel.errors import ArtifactError
from fastpanel.models import FitState


@pytest.fixture
def state():
    rng = np.random.default_rng(0)
    return FitState(
        backend="numpyro",
        model_name="m",
        guide_name="g",
        params={
            "beta_loc": rng.normal(size=3),
            "loadings_loc": rng.normal(size=(2, 1)),
            "s": np.array(2.0),
        },
        center=rng.normal(size=2),
        scale=np.ones(2),
        losses=rng.normal(size=5),
        n_obs=11,
        n_assets=2,
        n_features=3,
        rows=(4, 20),
        seed=5,
    )


def test_round_trip_is_exact(state, tmp_path):
    sidecar = state.save(tmp_path / "fold_3.v2")
    assert sidecar.name == "fold_3.v2.json"
    for path in (tmp_path / "fold_3.v2", sidecar):
        back = FitState.load(path)
        for name in ("backend", "model_name", "n_obs", "n_features", "rows", "seed"):
            assert getattr(back, name) == getattr(state, name)
        for name, value in state.params.items():
            np.testing.assert_array_equal(back.params[name], value)
            assert back.params[name].dtype == np.float64
            assert back.params[name].shape == value.shape
        np.testing.assert_array_equal(back.losses, state.losses)


def test_arrays_are_read_only(state, tmp_path):
    state.save(tmp_path / "s")
    for one in (state, FitState.load(tmp_path / "s")):
        with pytest.raises(ValueError, match="read-only"):
            one.params["beta_loc"][0] = 1.0


def test_changed_weights_are_refused(state, tmp_path):
    state.save(tmp_path / "s")
    path = tmp_path / "s.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"s\.safetensors"):
        FitState.load(tmp_path / "s")


@pytest.mark.parametrize("key", ["n_features", "weights_sha256", "model_name"])
def test_changed_sidecar_is_refused(state, tmp_path, key):
    sidecar = state.save(tmp_path / "s")
    meta = json.loads(sidecar.read_text())
    meta[key] = 4 if key == "n_features" else "other"
    sidecar.write_text(json.dumps(meta))
    with pytest.raises(ArtifactError, match="changed"):
        FitState.load(tmp_path / "s")


@pytest.mark.parametrize("content", ["[]", '{"format": "other"}', "{", "\x00"])
def test_foreign_sidecar_is_refused(state, tmp_path, content):
    state.save(tmp_path / "s").write_text(content)
    with pytest.raises(ArtifactError, match=r"s\.json"):
        FitState.load(tmp_path / "s")


def test_newer_format_is_refused(state, tmp_path):
    sidecar = state.save(tmp_path / "s")
    sidecar.write_text(sidecar.read_text().replace('"version": 2', '"version": 3'))
    with pytest.raises(ArtifactError, match="version 3"):
        FitState.load(tmp_path / "s")


def test_missing_files_are_named(state, tmp_path):
    with pytest.raises(ArtifactError, match=r"s\.json"):
        FitState.load(tmp_path / "s")
    state.save(tmp_path / "s")
    (tmp_path / "s.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"s\.safetensors"):
        FitState.load(tmp_path / "s")


def test_pickle_is_refused_unopened(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ArtifactError, match="pickled files can run code"):
        FitState.load(path)
