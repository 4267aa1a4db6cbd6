"""Facts of a run: the run, its folds, the candidates of a fold, the result."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal


@dataclass(frozen=True)
class Fact:
    """One entry of ``tracking.jsonl``; in MLflow, one run (the result belongs to the outermost).

    Attributes
    ----------
    kind : {"run", "fold", "candidate", "result"}
    fold : int or None
        Outer test group, for folds and candidates.
    candidate : str or None
    params : dict
        What was set.
    metrics : dict of float
        What came out; NaN = no score.
    series : dict of list of float
        A metric per step, such as the score of each split.
    artifacts : tuple of str
        Files and folders, relative to the run's folder.
    seconds : float or None
        Time spent; not part of what the fact says.
    """

    kind: Literal["run", "fold", "candidate", "result"]
    fold: int | None = None
    candidate: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, list[float]] = field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def key(self) -> str:
        """What the fact is about; unique in a run."""
        parts: list[str] = [self.kind]
        if self.fold is not None:
            parts.append(str(self.fold))
        if self.candidate is not None:
            parts.append(self.candidate)
        return "/".join(parts)

    @cached_property
    def digest(self) -> str:
        """Of what the fact says."""
        said = {name: value for name, value in self.to_dict().items() if name != "seconds"}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready record."""
        return {**asdict(self), "artifacts": list(self.artifacts)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Fact:
        """Inverse of :meth:`to_dict`."""
        return cls(**{**record, "artifacts": tuple(record["artifacts"])})


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings and lists as ``{"a.b.0": value}``.

    Examples
    --------
    >>> flat({"cv": {"q": 2}, "space": [{"path": "x"}]})
    {'cv.q': 2, 'space.0.path': 'x'}
    """
    out: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        listed = isinstance(value, list | tuple)
        inner = {str(i): item for i, item in enumerate(value)} if listed else value
        if isinstance(inner, Mapping) and inner:
            out.update(flat(inner, f"{name}."))
        else:
            out[name] = value
    return out


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The real numbers among flattened values; what is no number is left out."""
    return {
        name: float(value)
        for name, value in flat(values).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and not math.isinf(value)
    }
