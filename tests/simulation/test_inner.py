"""Batches of the inner objective: the same bits anywhere, and only what is missing recorded."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fastpanel as fp
from fastpanel.errors import ConfigError, MissingExtraError, ModelError
from fastpanel.simulation._board import aggregate_score
from fastpanel.simulation._dataset import dataset_from_panel, save_dataset
from fastpanel.simulation._hooks import check_portable, stub_hooks
from fastpanel.simulation._inner import InnerObjective
from fastpanel.simulation._work import InnerWork
from fastpanel.tuning import sample_candidates


class Counting:
    """An engine that remembers the batches it was given."""

    in_process = True

    def __init__(self, backwards=False):
        self.batches, self.backwards = [], backwards

    def execute(self, work, tasks, done):
        run = work.open(work.load())
        for batch in reversed(tasks) if self.backwards else tasks:
            self.batches.append(batch)
            done(batch, run(batch))


@pytest.fixture
def setting(config, panel, tmp_path):
    config["tuning"]["batch_units"] = 4
    config["tuning"]["num_samples"] = 4
    settings = fp.simulation.load_config(config)
    dataset = dataset_from_panel(panel, settings.data.dataset_params)
    save_dataset(dataset, tmp_path / "panel.pt")
    plan = fp.simulation.build_structure(len(dataset.times), settings).outer[2]
    candidates = sample_candidates(settings.tuning.space, 4, 1)
    work = InnerWork(settings, plan, panel=tmp_path / "panel.pt", dataset=dataset)

    def objective(name, engine=None):
        return InnerObjective(
            work, tmp_path / name, digest=dataset.digest, n_assets=4, engine=engine
        )

    return work, candidates, objective


def contents(folder):
    return {p.name: p.read_bytes() for p in sorted((folder / "candidates").iterdir())}


def facts(folder):
    """Ledger lines without the time they took, in a fixed order."""
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    return sorted(repr({**line, "seconds": 0}) for line in lines)


def test_order_of_batches_changes_nothing(setting, tmp_path):
    _, candidates, objective = setting
    forward, backward = Counting(), Counting(backwards=True)
    objective("a", forward).evaluate_all(candidates)
    objective("b", backward).evaluate_all(candidates)
    assert len(forward.batches) == 6  # 4 candidates x 6 splits, 4 units each
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert facts(tmp_path / "a") == facts(tmp_path / "b")


def test_work_runs_in_another_process_with_the_same_bits(setting, tmp_path):
    work, candidates, objective = setting
    batch = objective("a").batches(candidates)[1]
    here = work.open(work.load())(batch)
    (tmp_path / "work.bin").write_bytes(pickle.dumps((work, batch)))
    assert (tmp_path / "work.bin").stat().st_size < 20_000  # without the data
    code = """
        import pickle, sys
        work, batch = pickle.load(open(sys.argv[1], "rb"))
        assert work.dataset is None
        results = work.open(work.load())(batch)
        pickle.dump(results, open(sys.argv[2], "wb"))
    """
    out = tmp_path / "out.bin"
    arguments = [str(tmp_path / "work.bin"), str(out)]
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), *arguments], check=True)
    there = pickle.loads(out.read_bytes())
    assert [r.unit for r in there] == [r.unit for r in here]
    for a, b in zip(here, there, strict=True):
        assert a.score == b.score
        assert a.payload.z_samples.tobytes() == b.payload.z_samples.tobytes()
        assert a.payload.es.tobytes() == b.payload.es.tobytes()


def test_partly_recorded_batch_is_computed_whole_and_completed(setting, tmp_path):
    _, candidates, objective = setting
    objective("a").evaluate_all(candidates)
    whole, lines = facts(tmp_path / "a"), contents(tmp_path / "a")
    ledger = tmp_path / "a" / "ledger.jsonl"
    rows = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(rows[:6]))  # the second batch: 2 of 4 units
    engine = Counting()
    objective("a", engine).evaluate_all(candidates)
    assert [len(batch.units) for batch in engine.batches] == [4] * 5
    assert len(ledger.read_text().splitlines()) == len(rows)
    assert facts(tmp_path / "a") == whole
    assert contents(tmp_path / "a") == lines
    again = Counting()
    objective("a", again).evaluate_all(candidates)
    assert again.batches == []


def test_damaged_payload_is_named_and_computed_again_without_a_new_line(setting, tmp_path):
    _, candidates, objective = setting
    objective("a").evaluate_all(candidates)
    whole, n_lines = contents(tmp_path / "a"), len(facts(tmp_path / "a"))
    victim = tmp_path / "a" / "candidates" / "candidate_3_split_5.pt"
    victim.write_bytes(b"")
    said, engine = [], Counting()

    class Said(fp.progress.SilentReporter):
        def say(self, text):
            said.append(text)

    damaged = objective("a", engine)
    damaged._say = Said()
    damaged.evaluate_all(candidates)
    assert said == [f"Damaged payload {victim}: computed again"]
    assert len(engine.batches) == 1
    assert contents(tmp_path / "a") == whole
    assert len(facts(tmp_path / "a")) == n_lines


def test_one_failing_unit_leaves_its_batch_alone(setting, tmp_path):
    work, candidates, _ = setting
    stub = stub_hooks(work.config)

    def fit(X, y, job, state):
        if job["training"]["svi"]["learning_rate"] == candidates["2"][PATH] and len(X) % 2:
            raise ModelError("diverged")
        return stub.fit_model(X, y, job, state)

    def fit_many(jobs):
        return [fit(j.X, j.y, j.config, None) for j in jobs]

    hooks = replace(stub, fit_model=fit, fit_many=fit_many)
    objective = InnerObjective(replace(work, hooks=hooks), tmp_path, digest="d", n_assets=4)
    records = objective.evaluate_all(candidates)
    sizes = [len(split.train) % 2 for split in work.plan.inner]
    assert 0 < sum(sizes) < len(sizes)
    assert [r.error for r in records["2"]] == ["diverged" if odd else None for odd in sizes]
    assert all(r.error is None for c in "013" for r in records[c])


def test_fits_and_forecasts_are_told_where_their_rows_lie(setting, tmp_path):
    """Windows and hidden chains need it: the training rows of a split have gaps."""
    work, candidates, _ = setting
    stub, seen = stub_hooks(work.config), []

    def fit(X, y, job, state):
        seen.append(("fit", job["train_index"], len(X), job["seed"]))
        return stub.fit_model(X, y, job, state)

    def predict(X, state, job, num_samples):
        seen.append(("predict", job["predict_index"], len(X), job["seed"]))
        return stub.predict(X, state, job, num_samples)

    hooks = replace(stub, fit_model=fit, predict=predict)
    objective = InnerObjective(replace(work, hooks=hooks), tmp_path, digest="d", n_assets=4)
    objective.evaluate_all({"0": candidates["0"]})
    splits = work.plan.inner
    assert any((np.diff(split.train) > 1).any() for split in splits)
    for kind, rows_of in (("fit", lambda s: s.train), ("predict", lambda s: s.test)):
        calls = [call for call in seen if call[0] == kind]
        assert len(calls) == len(splits)
        for (_, index, count, _), split in zip(calls, splits, strict=True):
            np.testing.assert_array_equal(index, rows_of(split))
            assert count == len(index)
    assert len({seed for *_, seed in seen}) == len(splits)


PATH = "training.svi.learning_rate"


def test_the_best_mean_over_the_splits_wins_and_a_failed_split_loses(config):
    settings = fp.simulation.load_config(config)
    scores = {"0": [1.0, 3.0], "1": [2.5, 2.5], "2": [9.0, float("nan")]}
    means = {name: aggregate_score(own, settings) for name, own in scores.items()}
    assert (means["0"], means["1"]) == (2.0, 2.5)
    assert np.isnan(means["2"])


@pytest.mark.parametrize(("engine", "library"), [("ray", "ray"), ("optuna", "optuna")])
def test_an_engine_without_its_library_is_refused_before_any_fit(
    config, panel, monkeypatch, engine, library
):
    monkeypatch.setitem(sys.modules, library, None)
    config["tuning"]["engine"] = engine
    extra = {"ray": "ray", "optuna": "tuning"}[engine]
    with pytest.raises(MissingExtraError, match=rf"pip install 'fastpanel\[{extra}\]'"):
        fp.simulation.run(config, panel=panel, progress=False)
    assert not list((Path(os.environ["SIMULATION_SOURCE"])).rglob("ledger.jsonl"))


def module_level_score(y_true, pred, score_spec):
    return -float(np.mean(pred["mean"] - y_true) ** 2)


def test_hooks_for_other_processes_must_be_importable(setting):
    hooks = fp.simulation.Hooks(
        fp.models.fit,
        fp.models.predict,
        module_level_score,
        fp.portfolio.allocate,
        fp.portfolio.compute_pnl,
    )
    check_portable(hooks, "ray")
    with pytest.raises(ConfigError, match=r"'ray' runs in other processes.*hook score"):
        check_portable(replace(hooks, score=lambda *_: 0.0), "ray")


@pytest.mark.slow
def test_both_back_ends_give_the_same_scores(config, panel, tmp_path):
    config["tuning"]["space"][0]["path"] = "model.params.coefficients.scale"
    config["training"] = {"svi": {"num_steps": 250, "learning_rate": 0.04, "lr_decay": 0.05}}
    config["predictive"] = {"num_samples": 2000}
    config["flags"] = {"simulation_mode": "full"}
    candidates = {"0": {SCALE: 2e-3}, "1": {SCALE: 1.0}}  # coefficients held at zero, and free
    scores = {}
    for backend in ("numpyro", "pyro"):
        settings = fp.simulation.load_config(config | {"model": {"backend": backend}})
        dataset = dataset_from_panel(panel, settings.data.dataset_params)
        plan = fp.simulation.build_structure(len(dataset.times), settings).outer[2]
        work = InnerWork(settings, plan, dataset=dataset)
        objective = InnerObjective(work, tmp_path / backend, digest=dataset.digest, n_assets=4)
        records = objective.evaluate_all(candidates, splits=[0, 5])
        scores[backend] = np.array([[r.score for r in records[c]] for c in candidates])
    gap = np.abs(scores["numpyro"] - scores["pyro"]).max()
    # the signal is worth far more than the back ends differ by
    assert (scores["numpyro"][1] - scores["numpyro"][0] > 8 * gap).all()
    assert gap < 0.01 * np.abs(scores["pyro"]).mean()


SCALE = "model.params.coefficients.scale"
