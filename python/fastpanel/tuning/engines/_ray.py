"""Tasks on a Ray cluster: this machine, or one that is running elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fastpanel._extras import require
from fastpanel.errors import EngineError
from fastpanel.tuning.engines._base import Done, Work, register_engine

if TYPE_CHECKING:
    from fastpanel.tuning._config import TuningConfig

_RETRIES = 2
"""How often a task runs again after its worker or node was lost."""
_AHEAD = 2
"""Tasks in flight per slot: enough to keep workers busy, few enough to bound stored results."""


class RayEngine:
    """Ray as an executor: what is tried and what came out stay with the caller.

    The panel goes once into the object store, however many folds and tasks
    read it. A task whose worker or node is lost runs again on another one.
    ``tuning.resources`` says what a task takes. A Ray session that was open
    before is used and left open.
    """

    in_process = False

    def __init__(self, config: TuningConfig, use_gpu: bool) -> None:
        self._ray: Any = require("ray", "tuning.engine 'ray'")
        self._address = config.ray.address
        self._cpus = config.resources.cpu
        self._gpus = config.resources.gpu if use_gpu else 0.0
        self._own_session = False
        self._stored: tuple[Any, Any] | None = None

    def execute(self, work: Work, tasks: Sequence[Any], done: Done) -> None:
        if not tasks:
            return
        self._connect()
        ray = self._ray
        remote = ray.remote(
            num_cpus=self._cpus, num_gpus=self._gpus, max_retries=_RETRIES, retry_exceptions=False
        )(_run_task)
        place, shared, waiting = ray.put(work), self._store(work.load()), list(reversed(tasks))
        running: dict[Any, Any] = {}
        try:
            while waiting or running:
                while waiting and len(running) < _AHEAD * self._slots():
                    task = waiting.pop()
                    running[remote.remote(place.hex(), place, shared, task)] = task
                ready, _ = ray.wait(list(running), num_returns=1)
                for reference in ready:
                    task = running.pop(reference)
                    done(task, self._result(reference, task))
        except BaseException:
            for reference in running:
                ray.cancel(reference, force=True)
            self.close()
            raise

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._stored = None
        if self._own_session and self._ray.is_initialized():
            self._ray.shutdown()
        self._own_session = False

    def _connect(self) -> None:
        if self._ray.is_initialized():
            return
        self._ray.init(
            address=self._address or "local",
            include_dashboard=None if self._address else False,
            log_to_driver=False,
            logging_level="ERROR",
        )
        self._own_session = True

    def _store(self, shared: Any) -> Any:
        """Reference to the shared inputs; they are stored when they are new."""
        if self._stored is None or self._stored[0] is not shared:
            self._stored = (shared, self._ray.put(shared))
        return self._stored[1]

    def _slots(self) -> int:
        """How many tasks the cluster, as it is now, can run at the same time."""
        there = self._ray.cluster_resources()
        need = {"CPU": self._cpus, "GPU": self._gpus}
        fit = [there.get(name, 0.0) / amount for name, amount in need.items() if amount > 0]
        return max(1, int(min(fit, default=1)))

    def _result(self, reference: Any, task: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            raise EngineError(
                f"Ray lost the task {task.key} {_RETRIES + 1} times: {error}. Probably memory ran "
                "out: lower tuning.batch_units, or ask for more tuning.resources.cpu per task"
            ) from error


_OPEN: dict[str, Callable[[Any], Any]] = {}
"""In a worker: the fold it is at work on, ready to run (one at a time)."""


def _run_task(name: str, work: Any, shared: Any, task: Any) -> Any:
    if name not in _OPEN:
        _OPEN.clear()
        _OPEN[name] = work.open(shared)
    return _OPEN[name](task)


@register_engine("ray")
def make(config: TuningConfig, use_gpu: bool) -> RayEngine:
    """``tuning.engine: ray``."""
    return RayEngine(config, use_gpu)
