"""Who leads, while the units of a fold come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fastpanel.progress import Leader, Task
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._ledger import UnitRecord

_SHOWN = 5

Listener = Callable[[str, Mapping[str, Any], list[UnitRecord]], None]
"""Called with a candidate, its values and its records as soon as all splits are known."""


class Board:
    """Counts units, ranks the candidates that have all splits, and tells listeners of them."""

    def __init__(
        self,
        task: Task,
        candidates: Mapping[str, Mapping[str, Any]],
        splits: Sequence[int],
        config: SimulationConfig,
        listeners: Sequence[Listener],
    ) -> None:
        self._task, self._candidates, self._config = task, candidates, config
        self._splits, self._listeners = splits, listeners
        self._records: dict[str, dict[int, UnitRecord]] = {}
        self._leaders: list[Leader] = []

    def add(self, records: Sequence[UnitRecord]) -> None:
        """Take finished units in."""
        for record in records:
            own = self._records.setdefault(record.candidate, {})
            own[record.split] = record
            if len(own) == len(self._splits):
                self._complete(record.candidate, [own[split] for split in self._splits])
        self._task.advance(len(records), leaders=self._leaders)

    def _complete(self, candidate: str, records: list[UnitRecord]) -> None:
        values = self._candidates[candidate]
        for listener in self._listeners:
            listener(candidate, values, records)
        score = aggregate_score([record.score for record in records], self._config)
        if np.isfinite(score):
            self._leaders.append(Leader(candidate, score, _short(values)))
            self._leaders.sort(key=lambda row: -row.score)
            del self._leaders[_SHOWN:]


def aggregate_score(scores: Sequence[float], config: SimulationConfig) -> float:
    """One number per candidate; NaN as soon as one split failed."""
    reduce: Callable[[Sequence[float]], Any] = (
        np.mean if config.tuning.aggregate == "mean" else np.median
    )
    return float(reduce(scores))


def _short(values: Mapping[str, Any]) -> str:
    """Values for one line: the last name of each path."""
    parts = []
    for path, value in values.items():
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        parts.append(f"{path.rpartition('.')[2]}={shown}")
    return " ".join(parts)
