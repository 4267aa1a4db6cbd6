from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from fastpanel.cli._app import main
from fastpanel.data.stores import write_wide
from fastpanel.errors import ArtifactError, DataError
from fastpanel.models import FitState
from fastpanel.pipelines import Environment, fit_prepared

QUICK = {"model": {"backend": "pyro"}, "training": {"svi": {"num_steps": 5}}}


@pytest.fixture
def stores(tmp_path):
    names = {"FEATURE_STORE_SOURCE": "store", "MODEL_STORE_SOURCE": "models"}
    return Environment({key: str(tmp_path / folder) for key, folder in names.items()})


def prepare(root, week, seed=0, weeks=30, last="2024-03-08"):
    values = np.random.default_rng(seed).normal(size=(weeks, 2))
    times = np.datetime64(last, "ns") - np.timedelta64(7, "D") * np.arange(weeks)[::-1]
    folder = root / week
    folder.mkdir(parents=True)
    write_wide(folder / "processed.csv", times, ["A", "B"], values)
    write_wide(folder / "another.csv", times, ["C", "D"], values)
    (folder / "metadata.json").write_text(json.dumps({"columns": ["A", "B"]}))
    return folder, values


def test_the_newest_prepared_week_is_fitted_and_stored(stores, tmp_path):
    root = tmp_path / "store/identity/debug"
    prepare(root, "2024-09", seed=1, last="2024-03-01")
    _, values = prepare(root, "2024-10")
    done = fit_prepared(config=QUICK, environment=stores, progress=False)
    want = tmp_path / "models/factor_model_v1/factor_guide_v1/debug/2024-10"
    assert done.folder == want
    meta = json.loads((want / "metadata.json").read_text())
    assert (meta["weeks"], meta["columns"], meta["backend"]) == (29, ["A", "B"], "pyro")
    assert meta["source"]["file"].endswith("2024-10/processed.csv")
    with (want / "params.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    state = FitState.load(want / "state")
    assert len(rows) == sum(value.size for value in state.params.values())
    for row in rows:
        index = tuple(int(i) for i in row["index"].split())
        assert float(row["value"]) == state.params[row["parameter"]][index]
    # the target of a week is its row, so its median is that of all rows but the first
    np.testing.assert_array_equal(state.center, np.median(values[1:], axis=0))


def test_another_input_is_read_instead(stores, tmp_path):
    prepare(tmp_path / "store/identity/debug", "2024-10")
    folder, values = prepare(tmp_path / "elsewhere", "x", seed=5, last="2023-12-29")
    for source in (folder, folder / "processed.csv"):
        done = fit_prepared(source=source, config=QUICK, environment=stores, progress=False)
        assert done.folder.name == "2023-52"
        np.testing.assert_array_equal(done.state.center, np.median(values[1:], axis=0))


def test_what_is_missing_is_named(stores, tmp_path):
    with pytest.raises(ArtifactError, match="data_processing"):
        fit_prepared(environment=stores, progress=False)
    short, _ = prepare(tmp_path / "s", "2024-10", weeks=2)
    with pytest.raises(DataError, match="holds 2 weeks"):
        fit_prepared(source=short, environment=stores, progress=False)


def test_command(tmp_path, monkeypatch, capsys):
    folder, _ = prepare(tmp_path / "p", "2024-10")
    monkeypatch.setenv("MODEL_STORE_SOURCE", str(tmp_path / "models"))
    arguments = ["modeling", "--input", str(folder), "--steps", "3", "--backend", "pyro", "--quiet"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.strip().endswith("factor_model_v1/factor_guide_v1/debug/2024-10")
    assert main([*arguments, "--model", "no_such_model"]) == 1
    assert "no_such_model" in capsys.readouterr().err
