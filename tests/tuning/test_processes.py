"""Tasks in other processes: same answers, nothing lost when a worker dies."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from fastpanel.errors import EngineError, ModelError
from fastpanel.simulation import load_config
from fastpanel.tuning import make_engine
from fastpanel.tuning.engines import LocalEngine, ProcessEngine


class Task(NamedTuple):
    number: int

    @property
    def key(self) -> str:
        return f"task-{self.number}"


class Squares:
    """Squares, with a trap for some numbers; ``folder`` counts the attempts."""

    def __init__(self, folder: Path, trap: str = "none", numbers: tuple[int, ...] = ()) -> None:
        self.folder, self.trap, self.numbers = folder, trap, numbers

    def load(self) -> int:
        return 2

    def open(self, shared: int):
        def run(task: Task) -> tuple[int, int]:
            tries = self.folder / f"{task.number}.tries"
            with tries.open("a") as stream:
                stream.write("x")
            if task.number in self.numbers:
                if self.trap == "die once" and len(tries.read_text()) == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
                if self.trap == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                if self.trap == "raise":
                    raise ModelError(f"no square of {task.number}")
            return task.number**shared, os.getpid()

        return run


@pytest.fixture
def engine():
    engine = ProcessEngine(2)
    yield engine
    engine.close()


def run(engine, work, count: int) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    engine.execute(work, [Task(i) for i in range(count)], lambda t, r: found.update({t.number: r}))
    return found


@pytest.mark.slow
def test_processes_give_what_the_local_engine_gives_and_are_kept(engine, tmp_path):
    local = run(LocalEngine(), Squares(tmp_path), 5)
    first, second = run(engine, Squares(tmp_path), 5), run(engine, Squares(tmp_path), 5)
    assert [first[i][0] for i in range(5)] == [local[i][0] for i in range(5)] == [0, 1, 4, 9, 16]
    pids = {pid for _, pid in [*first.values(), *second.values()]}
    assert len(pids) <= 2
    assert os.getpid() not in pids


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_task_runs_again(engine, tmp_path):
    found = run(engine, Squares(tmp_path, "die once", (1, 3)), 6)
    assert {i: square for i, (square, _) in found.items()} == {i: i * i for i in range(6)}
    attempts = [len((tmp_path / f"{i}.tries").read_text()) for i in range(6)]
    assert attempts == [1, 2, 1, 2, 1, 1]


@pytest.mark.slow
def test_a_task_that_keeps_killing_workers_is_named(engine, tmp_path):
    with pytest.raises(EngineError, match=r"task-2 ended 3 worker processes.*batch_units"):
        run(engine, Squares(tmp_path, "die", (2,)), 3)


@pytest.mark.slow
def test_an_error_of_a_task_is_raised_here_and_ends_the_workers(engine, tmp_path):
    with pytest.raises(ModelError, match="no square of 0"):
        run(engine, Squares(tmp_path, "raise", (0,)), 2)
    assert engine._workers == []
    assert run(engine, Squares(tmp_path), 2)[1][0] == 1  # and it can be used again


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path):
    import subprocess
    import sys

    script = tmp_path / "parent.py"
    script.write_text(
        "import os, signal\n"
        "from fastpanel.tuning.engines._processes import _Worker\n"
        "if __name__ == '__main__':\n"
        "    print(_Worker.start().process.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    shown = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    child = Path(f"/proc/{int(shown.stdout)}/stat")
    deadline = time.monotonic() + 30
    while child.exists() and child.read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)


def test_optuna_makes_processes_for_several_workers():
    config = load_config({"tuning": {"engine": "optuna", "optuna": {"workers": 2}}})
    assert isinstance(make_engine(config.tuning), ProcessEngine)
    assert isinstance(
        make_engine(load_config({"tuning": {"engine": "optuna"}}).tuning), LocalEngine
    )
