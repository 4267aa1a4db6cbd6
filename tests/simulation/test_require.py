"""A candidate whose fit misses ``training.require`` cannot be picked, and the run says why."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fastpanel as fp
from fastpanel import models
from fastpanel.errors import ModelError

PATH = "training.require.max_loss_change"


def with_limits(config, *limits):
    """Two candidates that differ in nothing but what their fits have to reach."""
    space = [{"path": PATH, "type": "categorical", "values": list(limits)}]
    return {
        **config,
        "data": {"simulation_output_path": f"run_{limits[0]}"},
        "model": {"backend": "pyro", "model_name": "test_model", "guide_name": "test_guide"},
        "training": {"svi": {"num_steps": 20, "learning_rate": 0.02}},
        "tuning": {"num_samples": 2, "space": space},
        "cv": {**config["cv"], "max_inner_combos": 3, "seed": 1},
        "predictive": {"num_samples": 32},
        "outer": {"test_groups": "last"},
        "flags": {"simulation_mode": "full"},
    }


@pytest.mark.parametrize("selected", [True, False])
def test_a_refused_candidate_is_never_picked_and_the_run_says_so(config, panel, selected):
    config["model_selection"] = {"enable": selected}
    free = fp.simulation.run(with_limits(config, 40.0, 50.0), panel=panel, progress=False)
    winner = free.picks[5]
    limits = [50.0, 50.0]
    limits[int(winner)] = 1e-12  # what won before is refused now
    result = fp.simulation.run(with_limits(config, *limits), panel=panel, progress=False)
    (other,) = {"0", "1"} - {winner}
    assert result.picks == {5: other}
    for record in result.records[5][winner]:
        assert np.isnan(record.score)
        assert record.file is None
        assert f"misses {PATH}" in record.error
    assert all(record.error is None for record in result.records[5][other])
    assert [r.score for r in result.records[5][other]] == [r.score for r in free.records[5][other]]
    assert "3 fits failed" in (text := result.report.read_text())
    assert f"misses {PATH}" in text
    if selected:
        folder = result.folder / "inner/outer_5/postprocessing"
        chosen = json.loads((folder / "selection.json").read_text())
        assert chosen["failed"] == [int(winner)]
        failures = json.loads((folder / "metadata.json").read_text())["failures"]
        assert set(failures) == {winner}


def test_a_run_without_an_acceptable_fit_ends_with_the_reason(config, panel):
    with pytest.raises(ModelError, match=rf"every candidate failed.*misses {PATH}"):
        fp.simulation.run(with_limits(config, 1e-12, 2e-12), panel=panel, progress=False)


def test_a_refused_fit_leaves_the_others_of_its_batch_as_they_were(config, panel, monkeypatch):
    def alone(X, y, config, init_state=None):
        raise AssertionError("a fit of the batch was repeated")

    monkeypatch.setattr(models, "fit", alone)
    settings = with_limits(config, 1e-12, 50.0)
    settings["flags"]["stop_after"] = "inner"
    records = fp.simulation.run(settings, panel=panel, progress=False).records[5]
    assert [r.error is None for r in records["0"] + records["1"]] == [False] * 3 + [True] * 3


def test_a_refused_weekly_refit_ends_the_run_and_is_named(config, panel):
    settings = with_limits(config, 40.0, 50.0)
    settings["outer"]["update_steps"] = 5  # too few to tell a change of the loss
    named = r"outer fold 5, refit for week 2021-\d\d-\d\d of candidate [01]: .*misses " + PATH
    with pytest.raises(ModelError, match=named):
        fp.simulation.run(settings, panel=panel, progress=False)
