"""Tuning engines: where the work of a candidate plan is carried out."""

from fastpanel.tuning.engines import _local as _local
from fastpanel.tuning.engines import _optuna as _optuna
from fastpanel.tuning.engines import _ray as _ray
from fastpanel.tuning.engines._base import Done as Done
from fastpanel.tuning.engines._base import Engine as Engine
from fastpanel.tuning.engines._base import Task as Task
from fastpanel.tuning.engines._base import Work as Work
from fastpanel.tuning.engines._base import engine_registry as engine_registry
from fastpanel.tuning.engines._base import make_engine as make_engine
from fastpanel.tuning.engines._base import register_engine as register_engine
from fastpanel.tuning.engines._local import LocalEngine as LocalEngine
from fastpanel.tuning.engines._processes import ProcessEngine as ProcessEngine

__all__ = [
    "Done",
    "Engine",
    "LocalEngine",
    "ProcessEngine",
    "Task",
    "Work",
    "engine_registry",
    "make_engine",
    "register_engine",
]
