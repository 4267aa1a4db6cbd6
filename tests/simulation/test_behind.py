"""Batches are recorded beside the computing of the next ones, and none is lost."""

from __future__ import annotations

import signal
import time
from threading import Event, main_thread

import pytest

import fastpanel as fp
from fastpanel.errors import ArtifactError
from fastpanel.simulation import _inner
from fastpanel.simulation._behind import Behind
from fastpanel.simulation._dataset import dataset_from_panel
from fastpanel.simulation._inner import InnerObjective
from fastpanel.simulation._work import InnerWork

PATH = "training.svi.learning_rate"
CANDIDATES = {"0": {PATH: 0.02}, "1": {PATH: 0.05}}


class Steps:
    """An engine that does something of the test's before each batch."""

    in_process = True

    def __init__(self, before):
        self.before = before

    def execute(self, work, tasks, done):
        run = work.open(work.load())
        for number, batch in enumerate(tasks):
            self.before(number)
            done(batch, run(batch))


@pytest.fixture
def objective(config, panel, tmp_path):
    config["tuning"]["batch_units"] = 4
    settings = fp.simulation.load_config(config)
    dataset = dataset_from_panel(panel, settings.data.dataset_params)
    plan = fp.simulation.build_structure(len(dataset.times), settings).outer[2]
    work = InnerWork(settings, plan, dataset=dataset)

    def make(before):
        engine = Steps(before)
        return InnerObjective(work, tmp_path, digest="d", n_assets=4, engine=engine)

    return make


def lines(folder):
    return len((folder / "ledger.jsonl").read_text().splitlines())


def test_a_batch_is_written_while_the_next_is_computed(objective, monkeypatch, tmp_path):
    second_began = Event()
    save = _inner.save_payload

    def late(payload, path):
        assert second_began.wait(20), "the second batch waited for the first to be written"
        return save(payload, path)

    monkeypatch.setattr(_inner, "save_payload", late)
    objective(lambda number: second_began.set() if number == 1 else None).evaluate_all(CANDIDATES)
    assert lines(tmp_path) == 12  # 2 candidates on 6 splits


def test_ctrl_c_keeps_every_batch_that_was_computed(objective, monkeypatch, tmp_path):
    save = _inner.save_payload

    def slow(payload, path):
        time.sleep(0.2)
        return save(payload, path)

    def stop(number):
        if number == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(_inner, "save_payload", slow)
    with pytest.raises(KeyboardInterrupt):
        objective(stop).evaluate_all(CANDIDATES)
    assert lines(tmp_path) == 8  # two batches of four


@pytest.mark.parametrize("failing", [0, 2], ids=["the first batch", "the last batch"])
def test_a_full_disk_ends_the_search(objective, monkeypatch, failing):
    began, save = [], _inner.save_payload

    def full(payload, path):
        splits = range(2 * failing, 2 * failing + 2)  # of two candidates: a batch
        if any(path.stem.endswith(f"split_{split}") for split in splits):
            raise ArtifactError(f"cannot write {path}: No space left on device")
        return save(payload, path)

    monkeypatch.setattr(_inner, "save_payload", full)
    with pytest.raises(ArtifactError, match="No space left"):
        objective(began.append).evaluate_all(CANDIDATES)
    assert began == [0, 1, 2][: failing + 2]


def test_a_call_is_made_even_if_its_caller_is_interrupted_while_it_waits():
    made = []

    def interrupt():
        time.sleep(0.2)  # the caller waits by now
        signal.pthread_kill(main_thread().ident, signal.SIGINT)
        time.sleep(0.2)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # test workers ignore it
    try:
        with pytest.raises(KeyboardInterrupt), Behind() as behind:
            behind.call(interrupt)
            behind.call(made.append, "second")
            made.append("came back")
    finally:
        signal.signal(signal.SIGINT, before)
    assert made == ["second"]
