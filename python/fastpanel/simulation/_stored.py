"""A finished run, read back from its folder; nothing is computed and nothing written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastpanel._files import read_json
from fastpanel.errors import ArtifactError, ConfigError
from fastpanel.simulation._config import SimulationConfig, load_config
from fastpanel.simulation._dataset import load_dataset
from fastpanel.simulation._ledger import Ledger, UnitRecord
from fastpanel.simulation._manifest import FILE as MANIFEST
from fastpanel.simulation._open import PANEL
from fastpanel.simulation._outer_store import read_outer
from fastpanel.simulation._result import SimulationResult
from fastpanel.simulation._structure import CVStructure


@dataclass(frozen=True)
class StoredRun:
    """What a run has left in its folder.

    Attributes
    ----------
    config : SimulationConfig
    result : SimulationResult
        Without selections and weekly scores, which are not stored whole.
    prebuilt : mapping or None
        What the prebuild hook gave.
    """

    config: SimulationConfig
    result: SimulationResult
    prebuilt: Mapping[str, Any] | None

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.result.folder

    @property
    def structure(self) -> CVStructure:
        """The fold plan as it was written."""
        assert self.result.structure is not None
        return self.result.structure


def load_run(folder: str | Path) -> StoredRun:
    """Read a run whose outer folds are finished.

    Raises
    ------
    ArtifactError
        The folder holds no run, the run has no outer results yet, or a file is
        missing or damaged.
    """
    root = Path(folder)
    if not (root / MANIFEST).is_file():
        raise ArtifactError(f"{root} holds no run: {MANIFEST} is missing")
    manifest = read_json(root / MANIFEST)
    if "outer" not in manifest["stages"]:
        raise ArtifactError(
            f"the run in {root} has no outer results (status: {manifest['status']}); finish it "
            "with 'fastpanel simulation' and without stop_after"
        )
    try:
        config = load_config(manifest["config"])
    except ConfigError as error:
        raise ArtifactError(f"{root / MANIFEST}: another version wrote it: {error}") from None
    structure = CVStructure.from_dict(read_json(root / "cv" / "cv_structure.json"))
    groups = [plan.group for plan in structure.outer]
    best = {
        group: read_json(root / "inner" / f"outer_{group}" / "best_config.json") for group in groups
    }
    summary = root / "cv" / "summary.json"
    result = SimulationResult(
        folder=root,
        dataset=load_dataset(root / PANEL),
        structure=structure,
        candidates=read_json(root / "cv" / "candidates.json"),
        records={group: _records(root / "inner" / f"outer_{group}") for group in groups},
        picks={group: str(chosen["candidate"]) for group, chosen in best.items()},
        outer=tuple(read_outer(root / "outer" / f"outer_{group}") for group in groups),
        summary=read_json(summary) if summary.is_file() else {},
    )
    return StoredRun(config, result, _prebuilt(root))


def _records(folder: Path) -> dict[str, list[UnitRecord]]:
    records: dict[str, list[UnitRecord]] = {}
    for record in Ledger(folder).newest():
        records.setdefault(record.candidate, []).append(record)
    return records


def _prebuilt(root: Path) -> Mapping[str, Any] | None:
    path = root / "artifacts" / "prebuild" / "prebuild.json"
    if not path.is_file():
        return None
    stored = read_json(path)
    return {"params": stored["model_params"], "guide_params": stored["guide_params"]}
