"""Every engine gives the same ledger and the same winner; samplers propose on the earliest fold."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pytest

import fastpanel as fp
from tests.simulation.conftest import make_panel


def with_tuning(config: dict, label: str, **tuning) -> dict:
    return {
        **config,
        "data": {"simulation_output_path": label},
        "tuning": {**config["tuning"], **tuning},
    }


def ledger(result) -> dict:
    """Everything that the ledgers of a run say, the times aside."""
    return {
        (group, candidate): [
            (unit.key, unit.split, unit.score, unit.sha256, unit.error) for unit in units
        ]
        for group, records in result.records.items()
        for candidate, units in records.items()
    }


def study_trials(result, group: int):
    backend = optuna.storages.journal.JournalFileBackend(
        str(result.folder / "inner" / "optuna.journal")
    )
    name = f"{result.folder.name}/outer_{group}"
    return optuna.load_study(
        study_name=name, storage=optuna.storages.JournalStorage(backend)
    ).trials


@pytest.fixture
def local(config, panel):
    return fp.simulation.run(with_tuning(config, "local"), panel=panel, progress=False)


def test_optuna_follows_the_plan_and_picks_the_same(config, panel, local):
    settings = with_tuning(config, "optuna", engine="optuna")
    result = fp.simulation.run(settings, panel=panel, progress=False)
    assert ledger(result) == ledger(local)
    assert result.picks == local.picks
    for group, records in result.records.items():
        trials = study_trials(result, group)
        assert [t.user_attrs["candidate"] for t in trials] == list(result.candidates)
        assert [t.params for t in trials] == list(result.candidates.values())
        expected = [np.mean([unit.score for unit in units]) for units in records.values()]
        assert [t.value for t in trials] == expected
    # a rerun finds every trial told and adds none
    fp.simulation.run(settings, panel=panel, progress=False)
    assert len(study_trials(result, group)) == len(result.candidates)


@pytest.mark.slow
def test_optuna_with_worker_processes_gives_the_same_ledger(config, panel, local):
    settings = with_tuning(config, "many", engine="optuna", optuna={"workers": 2})
    result = fp.simulation.run(settings, panel=panel, progress=False)
    assert ledger(result) == ledger(local)
    assert result.picks == local.picks


@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_a_sampler_proposes_on_the_earliest_fold_only(config, panel, sampler):
    tuning = {
        "engine": "optuna",
        "num_samples": 6,
        "optuna": {"sampler": sampler, "generation": 2},
    }
    result = fp.simulation.run(with_tuning(config, sampler, **tuning), panel=panel, progress=False)
    assert list(result.candidates) == [str(i) for i in range(6)]
    stored = json.loads((result.folder / "cv" / "candidates.json").read_text())
    assert stored == result.candidates
    first = min(result.records)
    assert [t.params for t in study_trials(result, first)] == list(result.candidates.values())
    # a huge target in the last group reaches no proposal
    last = result.structure.outer[-1]
    changed = fp.Panel(
        panel.values,
        panel.times,
        panel.assets,
        panel.features,
        targets=np.where(
            (np.arange(len(panel)) >= last.start)[:, None], 1e6 * panel.targets, panel.targets
        ),
    )
    other = fp.simulation.run(
        with_tuning(config, f"{sampler}_changed", **tuning), panel=changed, progress=False
    )
    assert other.candidates == result.candidates


def test_a_pruned_candidate_cannot_win_and_is_not_tried_again(config, panel):
    tuning = {
        "engine": "optuna",
        "num_samples": 8,
        "optuna": {"sampler": "random", "generation": 4, "pruner": "median"},
    }
    config["outer"] = {"test_groups": [3, 4]}  # three splits on the earliest fold
    result = fp.simulation.run(with_tuning(config, "pruned", **tuning), panel=panel, progress=False)
    first, *later = result.records
    errors = {
        name: {unit.error for unit in units if unit.error}
        for name, units in result.records[first].items()
    }
    pruned = {name for name, reasons in errors.items() if reasons}
    assert pruned, "the median pruner should give up on some of the last four"
    assert pruned <= set("4567")  # the first four are its start-up trials
    for name in pruned:
        assert all("pruned after split" in reason for reason in errors[name])
        for group in later:
            records = result.records[group][name]
            assert {unit.error for unit in records} == {f"pruned on outer fold {first}"}
    assert not pruned & set(result.picks.values())
    states = [t.state.name for t in study_trials(result, first)]
    assert [str(i) for i, state in enumerate(states) if state == "PRUNED"] == sorted(pruned)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_study_lives_in_a_database(config, panel, local, tmp_path, request, kind):
    url = f"sqlite:///{tmp_path}/study.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres")
    settings = with_tuning(config, kind, engine="optuna", optuna={"storage": url})
    result = fp.simulation.run(settings, panel=panel, progress=False)
    assert ledger(result) == ledger(local)
    storage = optuna.storages.RDBStorage(url.replace("postgresql:", "postgresql+psycopg:"))
    for group in result.records:
        study = optuna.load_study(study_name=f"{kind}/outer_{group}", storage=storage)
        assert [t.params for t in study.trials] == list(result.candidates.values())
    storage.remove_session()
    storage.engine.dispose()


RUN = """
import sys, json
import fastpanel as fp
from tests.simulation.conftest import make_panel
if __name__ == "__main__":
    fp.simulation.run(json.loads(sys.argv[1]), panel=make_panel(), progress=False)
"""


@pytest.mark.slow
def test_a_run_killed_with_its_workers_goes_on_and_loses_nothing(config, panel, local, tmp_path):
    settings = with_tuning(config, "killed", engine="optuna", optuna={"workers": 2})
    script = tmp_path / "run.py"
    script.write_text(RUN)
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, script, json.dumps(settings)],
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    lines = Path(os.environ["SIMULATION_SOURCE"]) / "killed" / "inner"
    deadline = time.monotonic() + 120
    while not list(lines.glob("*/ledger.jsonl")):
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = sum(len(p.read_text().splitlines()) for p in lines.glob("*/ledger.jsonl"))
    result = fp.simulation.run(settings, panel=panel, progress=False)
    after = sum(len(p.read_text().splitlines()) for p in lines.glob("*/ledger.jsonl"))
    assert ledger(result) == ledger(local)
    assert result.picks == local.picks
    units = sum(len(u) for records in result.records.values() for u in records.values())
    assert before > 0
    assert after == units  # no finished unit was recorded twice


def test_the_panel_of_the_tests_is_the_same_every_time():
    assert np.array_equal(make_panel().values, make_panel().values)
