"""An Optuna study follows the plan, or proposes; what a dead process left is tried again."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from fastpanel.errors import ArtifactError, ConfigError
from fastpanel.simulation import load_config
from fastpanel.tuning import OptunaSpec, Study, parse_space, sample_candidates

SPACE = parse_space(
    [
        {"path": "model.kind", "type": "categorical", "values": ["x", "y"]},
        {"path": "model.lr", "type": "float", "bounds": [1e-3, 1e-1], "transform": "log"},
        {"path": "model.k", "type": "int", "bounds": [1, 4], "when": {"model.kind": "y"}},
    ]
)


def study(tmp_path, spec=None, *, fresh=False, seed=3) -> Study:
    return Study(
        spec or OptunaSpec(),
        SPACE,
        name="run/outer_1",
        seed=seed,
        journal=tmp_path / "optuna.journal",
        fresh=fresh,
    )


def trials(path, name="run/outer_1"):
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(path / "optuna.journal"))
    )
    return optuna.load_study(study_name=name, storage=storage).trials


def score(values) -> float:
    """Best at lr 0.01 and kind y."""
    return -abs(np.log(values["model.lr"] / 0.01)) - (values["model.kind"] == "x")


def searched(study: Study, generations: int, size: int) -> list[dict]:
    seen = []
    for _ in range(generations):
        proposed = study.propose(size)
        for name, values in proposed.items():
            seen.append(values)
            study.finish(name, score(values))
    return seen


def test_a_plan_becomes_one_trial_per_candidate_with_its_values(tmp_path):
    plan, own = sample_candidates(SPACE, 8, 1), study(tmp_path)
    own.enqueue(plan)
    for name in reversed(plan):  # candidates may end in any order
        own.report(name, 0, float(name) - 1)
        own.report(name, 1, float(name) + 1)
        own.finish(name, float(name))
    kept = trials(tmp_path)
    assert [t.params for t in kept] == list(plan.values())
    assert [t.value for t in kept] == [float(name) for name in plan]
    assert kept[3].intermediate_values == {0: 2.0, 1: 4.0}


def test_what_a_dead_process_left_is_failed_and_tried_again(tmp_path):
    plan, first = sample_candidates(SPACE, 8, 1), study(tmp_path)
    first.enqueue(plan)
    first.finish("0", 1.0)
    first.finish("1", float("nan"))  # a candidate that failed is finished too
    again = study(tmp_path)  # as after SIGKILL: six trials are left running
    again.enqueue(plan)
    for name in plan:
        again.finish(name, 2.0)
    states = [(t.user_attrs["candidate"], t.state.name) for t in trials(tmp_path)]
    assert states[:2] == [("0", "COMPLETE"), ("1", "FAIL")]
    assert states[2:8] == [(str(i), "FAIL") for i in range(2, 8)]
    assert states[8:] == [(str(i), "COMPLETE") for i in range(2, 8)]


@pytest.mark.parametrize(
    "sampler", ["tpe", "qmc", "random", pytest.param("gp", marks=pytest.mark.slow)]
)
def test_a_sampler_that_hears_the_same_proposes_the_same(tmp_path, sampler):
    spec = OptunaSpec(sampler=sampler)
    first = searched(study(tmp_path, spec), 3, 4)
    assert searched(study(tmp_path, spec, fresh=True), 3, 4) == first
    assert searched(study(tmp_path, spec, fresh=True, seed=4), 3, 4) != first
    assert len(trials(tmp_path)) == 12  # a fresh study forgets


def test_proposals_are_in_the_space_and_inactive_parameters_are_left_out(tmp_path):
    for values in searched(study(tmp_path, OptunaSpec(sampler="random")), 4, 8):
        assert 1e-3 <= values["model.lr"] <= 1e-1
        assert ("model.k" in values) == (values["model.kind"] == "y")
        assert values.get("model.k", 1) in {1, 2, 3, 4}


@pytest.mark.slow
def test_tpe_learns_where_chance_does_not(tmp_path):
    def best_third(sampler):
        own = study(tmp_path, OptunaSpec(sampler=sampler), fresh=True, seed=0)
        return np.mean([score(values) for values in searched(own, 12, 4)[-16:]])

    assert best_third("tpe") > best_third("random") + 0.5


def test_the_median_pruner_gives_up_on_the_worse(tmp_path):
    own = study(tmp_path, OptunaSpec(sampler="random", pruner="median"))
    good = own.propose(4)
    for name in good:
        own.report(name, 0, 1.0)
        assert not own.should_prune(name)
        own.finish(name, 1.0)
    (bad,) = own.propose(1)
    own.report(bad, 0, 0.0)
    assert own.should_prune(bad)
    own.finish(bad, float("nan"), pruned=True)
    assert trials(tmp_path)[-1].state.name == "PRUNED"


def test_a_storage_that_cannot_be_opened_is_named(tmp_path):
    spec = OptunaSpec(storage=f"sqlite:///{tmp_path}/no/such/folder/a.db")
    with pytest.raises(ArtifactError, match="cannot open the study storage sqlite:///"):
        study(tmp_path, spec)


def test_the_library_leaves_optunas_verbosity_as_it_was(tmp_path, capfd):
    before = optuna.logging.get_verbosity()
    searched(study(tmp_path, OptunaSpec(sampler="tpe")), 1, 2)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("tuning", "message"),
    [
        ({"optuna": {"sampler": "tpe"}}, "needs engine 'optuna'"),
        ({"engine": "optuna", "optuna": {"sampler": "tpe"}}, "space is empty"),
        ({"engine": "optuna", "optuna": {"pruner": "median"}}, "needs a sampler"),
    ],
)
def test_settings_that_contradict_each_other_are_config_errors(tuning, message):
    with pytest.raises(ConfigError, match=message):
        load_config({"tuning": tuning})
