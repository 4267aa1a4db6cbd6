"""Tasks in processes of this machine; what a lost worker held is given to another."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from fastpanel.errors import EngineError
from fastpanel.tuning.engines._base import Done, Work

_ATTEMPTS = 3
"""A task that loses this many workers is given up: it probably takes more memory than there is."""


class ProcessEngine:
    """A fixed number of worker processes, kept between calls.

    Workers are started afresh (``spawn``: a fork of a process that runs JAX or
    Ray can hang), so a script that uses this engine needs the usual
    ``if __name__ == "__main__":``. A worker that dies is replaced and its task
    runs again. A worker whose parent is gone ends by itself.
    """

    in_process = False

    def __init__(self, workers: int) -> None:
        self._count = workers
        self._workers: list[_Worker] = []

    def execute(self, work: Work, tasks: Sequence[Any], done: Done) -> None:
        try:
            self._execute(work, tasks, done)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._workers:
            worker.stop()
        self._workers = []

    def _execute(self, work: Work, tasks: Sequence[Any], done: Done) -> None:
        waiting = deque((task, 1) for task in tasks)
        while len(self._workers) < min(self._count, len(tasks)):
            self._workers.append(_Worker.start())
        for worker in self._workers:
            worker.give("work", work)
        idle = list(self._workers)
        busy: dict[Any, tuple[_Worker, Any, int]] = {}
        while waiting or busy:
            while waiting and idle:
                worker = idle.pop()
                busy[worker.connection] = (worker, *waiting.popleft())
                worker.give("task", busy[worker.connection][1])
            for connection in wait(list(busy)):
                worker, task, attempt = busy.pop(connection)
                answer = worker.answer()
                if answer is None:
                    if attempt == _ATTEMPTS:
                        raise EngineError(
                            f"task {task.key} ended {_ATTEMPTS} worker processes (exit code "
                            f"{worker.process.exitcode}); probably memory ran out: lower "
                            "tuning.batch_units or tuning.optuna.workers"
                        )
                    waiting.appendleft((task, attempt + 1))
                    worker = self._replace(worker)
                    worker.give("work", work)
                else:
                    done(task, answer.value())
                idle.append(worker)

    def _replace(self, lost: _Worker) -> _Worker:
        lost.stop()
        worker = _Worker.start()
        self._workers[self._workers.index(lost)] = worker
        return worker


@dataclass(frozen=True)
class _Answer:
    """A result, or the error that the task ended with."""

    result: Any = None
    error: Exception | None = None

    def value(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result


@dataclass(frozen=True, eq=False)
class _Worker:
    """One process and the pipe to it."""

    process: Any
    connection: Connection

    @classmethod
    def start(cls) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), name="fastpanel", daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, kind: str, content: Any) -> None:
        """Send; that the process is gone shows when its answer is read."""
        try:
            self.connection.send((kind, content))
        except OSError:
            return

    def answer(self) -> _Answer | None:
        """The answer to the last task, None if the process is gone."""
        try:
            received: _Answer = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return None
        return received

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection) -> None:
    """Answer tasks until the other end is closed; Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work: Any = None
    run: Callable[[Any], Any] | None = None
    while True:
        try:
            kind, content = connection.recv()
        except (EOFError, OSError):
            return
        if kind == "work":
            work, run = content, None
            continue
        try:
            run = run or work.open(work.load())
            answer = _Answer(run(content))
        except Exception as error:
            answer = _Answer(error=error)
        try:
            connection.send(answer)
        except OSError:
            return  # the parent is gone
