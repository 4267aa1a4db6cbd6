"""The record of a run: what went in, what ran, how it ended."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastpanel._files import read_json, write_json
from fastpanel._runtime import show_versions
from fastpanel.errors import ConfigError
from fastpanel.simulation._code import code_version
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._keys import content_key
from fastpanel.simulation.tracking._facts import flat

FILE = "run_manifest.json"
_FREE_TO_CHANGE = (
    "data",
    "diagnostics",
    "flags.stop_after",
    "flags.simulation_mode",
    "flags.use_gpu",
    "outer.metrics",
    "tuning.engine",
    "tuning.resources",
    "tuning.ray",
    "tuning.optuna.workers",
    "tuning.optuna.storage",
    "tracking",
)
"""Keys that a rerun in the same folder may change: the stored panel is used again, and the rest
decides how far and where a run goes and what is drawn and summarised. Results of another mode have
other keys.
"""


class Manifest:
    """``run_manifest.json``, rewritten at every stage."""

    def __init__(self, folder: Path, config: SimulationConfig) -> None:
        self._path = folder / FILE
        self._seconds: dict[str, float] = {}
        plain = config.model_dump(mode="json")
        self.content: dict[str, Any] = {
            "config": plain,
            "config_hash": content_key(plain),
            "code": code_version(),
            "mode": config.flags.simulation_mode,
            "stop_after": config.flags.stop_after,
            "versions": show_versions(),
            "machine": _machine(),
            "started": _now(),
            "ended": None,
            "status": "running",
            "error": None,
            "stages": {},
            "peak_memory_mib": None,
        }

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Add the wall time of the block to ``stage``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            passed = time.perf_counter() - began
            self._seconds[stage] = self._seconds.get(stage, 0.0) + passed

    def stage(self, name: str, **facts: Any) -> None:
        """Record a finished stage with its time and facts."""
        seconds = round(self._seconds.get(name, 0.0), 3)
        self.content["stages"][name] = {"finished": _now(), "seconds": seconds, **facts}
        self.write()

    def end(self, status: str, error: str | None = None) -> None:
        """Record how the run ended."""
        self.content.update(status=status, ended=_now(), error=error)
        self.write()

    def write(self) -> None:
        """Write the manifest as it is now."""
        self.content["peak_memory_mib"] = _peak_memory_mib()
        write_json(self._path, self.content)


def refuse_other_config(folder: Path, config: SimulationConfig) -> None:
    """A folder holds one configuration; another one is refused with the difference.

    Raises
    ------
    ConfigError
        Names every key that differs, with both values.
    """
    path = folder / FILE
    if not path.is_file():
        return
    before, now = flat(read_json(path)["config"]), flat(config.model_dump(mode="json"))
    changed = [
        f"{key}: {before.get(key)!r} before, {now.get(key)!r} now"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and changes_results(key)
    ]
    if changed:
        lines = "\n".join(f"  - {line}" for line in changed)
        raise ConfigError(
            f"{folder} holds a run with another configuration; choose another "
            f"data.simulation_output_path or restore:\n{lines}"
        )


def changes_results(key: str) -> bool:
    """Whether the value of a dotted key can change what a run computes on its stored panel."""
    return not any(key == free or key.startswith(f"{free}.") for free in _FREE_TO_CHANGE)


def _machine() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"node": platform.node(), "platform": platform.platform(), "cores": cores}


def _peak_memory_mib() -> float:
    """Largest resident size so far of this process or of one child that has ended."""
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return round(peak / unit, 1)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
