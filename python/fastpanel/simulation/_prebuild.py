"""Data-driven defaults, from the rows that every outer fold trains on and from no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel._files import write_json
from fastpanel.errors import ModelError
from fastpanel.models import PrebuildContext, PrebuildResult, default_prebuild_registry
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import Dataset
from fastpanel.simulation._structure import CVStructure
from fastpanel.typing import IntArray


def common_rows(structure: CVStructure) -> IntArray:
    """Intersection of the training rows of all outer folds."""
    rows = structure.outer[0].fold.train
    for plan in structure.outer[1:]:
        rows = np.intersect1d(rows, plan.fold.train, assume_unique=True)
    return rows


def run_prebuild(
    dataset: Dataset, structure: CVStructure, config: SimulationConfig, folder: Path
) -> Mapping[str, Any] | None:
    """Run the configured hook once; what it returns is merged under every candidate.

    Raises
    ------
    ModelError
        The hook returned something other than a ``PrebuildResult``.
    """
    prebuild = config.model.prebuild
    if not prebuild.enabled:
        return None
    assert prebuild.name is not None
    hook = default_prebuild_registry()[prebuild.name]
    rows = common_rows(structure)
    result = hook(
        PrebuildContext(
            X=dataset.X[rows],
            y=dataset.y[rows],
            config=config.model_dump(mode="json"),
            params=prebuild.params,
        )
    )
    if not isinstance(result, PrebuildResult):
        raise ModelError(
            f"prebuild hook '{prebuild.name}' returned {type(result).__name__}, not PrebuildResult"
        )
    write_json(
        folder / "artifacts" / "prebuild" / "prebuild.json",
        {
            "name": prebuild.name,
            "rows": [int(rows[0]), int(rows[-1]) + 1] if rows.size else [0, 0],
            "model_params": dict(result.model_params),
            "guide_params": dict(result.guide_params),
            "metadata": dict(result.metadata),
        },
    )
    return {"params": dict(result.model_params), "guide_params": dict(result.guide_params)}
