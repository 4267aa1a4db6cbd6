"""Data-driven defaults, from the rows that every outer fold trains on and from no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel import models
from fastpanel._files import write_json
from fastpanel.models import PrebuildContext
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
    rows = common_rows(structure)
    context = PrebuildContext(
        X=dataset.X[rows],
        y=dataset.y[rows],
        config=config.model_dump(mode="json"),
        params=prebuild.params,
    )
    result = models.run_prebuild(prebuild.name, context)
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
