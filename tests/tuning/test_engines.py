from __future__ import annotations

import pytest

from fastpanel.errors import ConfigError, DuplicateNameError
from fastpanel.simulation import load_config
from fastpanel.tuning import make_engine, register_engine
from fastpanel.tuning.engines import LocalEngine


class Work:
    """Remembers what was asked of it."""

    def __init__(self):
        self.events = []

    def load(self):
        self.events.append("load")
        return 10

    def open(self, shared):
        self.events.append("open")

        def run(task):
            if task < 0:
                raise ValueError("negative")
            self.events.append(("run", task))
            return shared * task

        return run


def test_local_engine_loads_once_and_reports_each_task_before_the_next():
    work, engine = Work(), LocalEngine()
    engine.execute(work, [1, 2], lambda task, result: work.events.append((task, result)))
    assert work.events == ["load", "open", ("run", 1), (1, 10), ("run", 2), (2, 20)]


def test_nothing_to_do_loads_nothing():
    work = Work()
    LocalEngine().execute(work, [], lambda *_: None)
    assert work.events == []


def test_an_error_stops_the_engine_and_keeps_what_was_done():
    work, finished = Work(), []
    with pytest.raises(ValueError, match="negative"):
        LocalEngine().execute(work, [1, -1, 2], lambda task, _: finished.append(task))
    assert finished == [1]


def test_unknown_engine_is_an_error_that_lists_the_others():
    with pytest.raises(ConfigError, match=r"tuning\.engine.*choose one of .*local.*'slurm'"):
        load_config({"tuning": {"engine": "slurm"}})


def test_engines_are_made_by_name():
    assert isinstance(make_engine(load_config({}).tuning), LocalEngine)
    with pytest.raises(DuplicateNameError, match="local"):
        register_engine("local")(lambda config, use_gpu: LocalEngine())
