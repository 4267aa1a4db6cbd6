"""The outcome of a selection."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from fastpanel.errors import ArtifactError
from fastpanel.typing import FloatArray

_ARRAYS = (
    "es_model",
    "se_es",
    "crps_model",
    "ql_model",
    "crps_rank",
    "ql_rank",
    "secondary_score",
    "complexity",
)


@dataclass(frozen=True, eq=False)
class Selection:
    """Scores, survivors and pick of one selection over M candidates.

    Every array is read-only float64 [M]; candidates are named by their
    position. CRPS, quantile loss and ranks are NaN for candidates outside the
    energy-score band.

    Attributes
    ----------
    es_model, se_es
        Energy score and its bootstrap standard error; NaN = failed candidate.
    crps_model, ql_model
        Secondary scores, NaN where not computed.
    crps_rank, ql_rank, secondary_score
        Ranks among the survivors (1 = best) and their sum.
    complexity
        Effective number of free parameters; NaN where none was given.
    survivors
        Candidates inside the band, ascending.
    finalists
        Survivors with the smallest secondary score.
    failed
        Candidates with a NaN energy score; none of them survives.
    pick
        The chosen candidate.
    threshold
        Largest energy score that the band admits.
    n_weeks, n_missing
        Test weeks (over splits) with and without a score; 0 in a combined selection.
    """

    es_model: FloatArray
    se_es: FloatArray
    crps_model: FloatArray
    ql_model: FloatArray
    crps_rank: FloatArray
    ql_rank: FloatArray
    secondary_score: FloatArray
    complexity: FloatArray
    survivors: tuple[int, ...]
    finalists: tuple[int, ...]
    failed: tuple[int, ...]
    pick: int
    threshold: float
    n_weeks: int = 0
    n_missing: int = 0

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Selection):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name), equal_nan=True)
            for f in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]

    def to_dict(self, *, nan_as_none: bool = False) -> dict[str, Any]:
        """Plain values for JSON. NaN stays NaN unless ``nan_as_none`` asks for null."""
        plain: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value = [_plain(x, nan_as_none) for x in value.tolist()]
            elif isinstance(value, tuple):
                value = list(value)
            elif isinstance(value, float):
                value = _plain(value, nan_as_none)
            plain[field.name] = value
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Selection:
        """Rebuild what :meth:`to_dict` gave (null counts as NaN)."""
        known = {field.name for field in fields(cls)}
        if set(values) != known:
            wrong = sorted(set(values) ^ known)
            raise ArtifactError(f"not a stored selection: missing or unknown keys {wrong}")
        plain = dict(values)
        for name in _ARRAYS:
            plain[name] = [math.nan if x is None else x for x in plain[name]]
        for name in ("survivors", "finalists", "failed"):
            plain[name] = tuple(plain[name])
        if plain["threshold"] is None:
            plain["threshold"] = math.nan
        return cls(**plain)

    def metrics(self, *, nan_as_none: bool = False) -> dict[str, dict[str, Any]]:
        """Per candidate id: scores, complexity, survivor and pick flags (``metrics.json``)."""
        table: dict[str, dict[str, Any]] = {}
        for candidate in range(len(self.es_model)):
            row: dict[str, Any] = {
                name: _plain(float(getattr(self, name)[candidate]), nan_as_none)
                for name in ("es_model", "se_es", "crps_model", "ql_model", "complexity")
            }
            row["survivor"] = candidate in self.survivors
            row["pick"] = candidate == self.pick
            table[str(candidate)] = row
        return table


def _plain(value: float, nan_as_none: bool) -> float | None:
    return None if nan_as_none and math.isnan(value) else value
