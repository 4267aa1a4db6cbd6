"""``tuning.engine: optuna``: an Optuna study beside the run, tasks in worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpanel._extras import require
from fastpanel.tuning.engines._base import Engine, register_engine
from fastpanel.tuning.engines._local import LocalEngine
from fastpanel.tuning.engines._processes import ProcessEngine

if TYPE_CHECKING:
    from fastpanel.tuning._config import TuningConfig


@register_engine("optuna")
def make(config: TuningConfig, use_gpu: bool) -> Engine:
    """One worker runs in this process; more run in processes of their own."""
    del use_gpu
    require("optuna", "tuning.engine 'optuna'")
    workers = config.optuna.workers
    return LocalEngine() if workers == 1 else ProcessEngine(workers)
