"""What a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastpanel.selection import Selection
from fastpanel.simulation._compare import WeeklyScores
from fastpanel.simulation._dataset import Dataset
from fastpanel.simulation._ledger import UnitRecord
from fastpanel.simulation._outer import OuterResult
from fastpanel.simulation._structure import CVStructure


@dataclass(frozen=True)
class SimulationResult:
    """What a run leaves behind.

    Attributes
    ----------
    folder : Path
        Artefacts, ``run_manifest.json`` and, when the run is complete,
        ``report.html``.
    dataset : Dataset
    structure : CVStructure or None
        None when the run stopped after the inputs.
    candidates : dict
        Candidate id to ``{path: value}``.
    records : dict
        Outer group to candidate id to the records of its inner splits.
    picks : dict
        Outer group to the candidate that its own selection chose.
    selections : dict
        Outer group to :class:`~fastpanel.selection.Selection` (empty when
        selection is off).
    outer : tuple of OuterResult
    scores : dict
        ``model`` and baselines to their weekly scores.
    summary : dict
        As in ``cv/summary.json``.
    """

    folder: Path
    dataset: Dataset
    structure: CVStructure | None = None
    candidates: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: dict[int, dict[str, list[UnitRecord]]] = field(default_factory=dict)
    picks: dict[int, str] = field(default_factory=dict)
    selections: dict[int, Selection] = field(default_factory=dict)
    outer: tuple[OuterResult, ...] = ()
    scores: dict[str, WeeklyScores] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def report(self) -> Path | None:
        """Path of ``report.html``, None if the run did not get that far."""
        path = self.folder / "report.html"
        return path if path.is_file() else None
