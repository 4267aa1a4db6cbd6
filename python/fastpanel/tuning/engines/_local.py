"""One task after the other, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastpanel.tuning.engines._base import Done, Work, register_engine

if TYPE_CHECKING:
    from fastpanel.tuning._config import TuningConfig


class LocalEngine:
    """Sequential; needs nothing installed and takes any callable.

    Examples
    --------
    >>> class Double:
    ...     def load(self):
    ...         return 2
    ...     def open(self, shared):
    ...         return lambda task: shared * task
    >>> LocalEngine().execute(Double(), [1, 2], lambda task, result: print(task, result))
    1 2
    2 4
    """

    in_process = True

    def execute(self, work: Work, tasks: Sequence[Any], done: Done) -> None:
        if not tasks:
            return
        run = work.open(work.load())
        for task in tasks:
            done(task, run(task))

    def close(self) -> None:
        """Nothing is held."""


@register_engine("local")
def make(config: TuningConfig, use_gpu: bool) -> LocalEngine:
    """``tuning.engine: local``."""
    del config, use_gpu
    return LocalEngine()
