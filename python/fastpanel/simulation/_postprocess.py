"""Selection of one outer fold from the payloads of its candidates, and over all folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel import scoring
from fastpanel._files import write_json
from fastpanel.errors import UnknownNameError
from fastpanel.models import complexity
from fastpanel.selection import Selection, combine, select
from fastpanel.simulation._candidate import fit_config
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._ledger import UnitRecord
from fastpanel.simulation._payload import Payload, load_payload
from fastpanel.simulation._structure import OuterPlan
from fastpanel.typing import FloatArray, IntArray

Records = Mapping[str, Sequence[UnitRecord]]


def select_for_fold(
    records: Records,
    candidates: Mapping[str, Mapping[str, Any]],
    plan: OuterPlan,
    folder: Path,
    config: SimulationConfig,
    shape: tuple[int, int],
) -> Selection:
    """Choose the candidate of one fold and write ``postprocessing/``.

    ``shape`` is (assets, features) of the panel, for the complexity measure.
    """
    selection = compute_selection(records, candidates, plan, folder, config, shape)
    out = folder / "postprocessing"
    write_json(out / "metrics.json", selection.metrics())
    write_json(out / "selection.json", selection.to_dict())
    write_json(
        out / "metadata.json",
        {
            "group": plan.group,
            "candidates": len(candidates),
            "splits": len(plan.inner),
            "alpha_tail": config.model_selection.alpha_tail,
            "estimator": config.scoring.spec.estimator,
            "failures": {
                record.candidate: record.error
                for units in records.values()
                for record in units
                if record.error is not None
            },
        },
    )
    return selection


def compute_selection(
    records: Records,
    candidates: Mapping[str, Mapping[str, Any]],
    plan: OuterPlan,
    folder: Path,
    config: SimulationConfig,
    shape: tuple[int, int],
) -> Selection:
    """The choice of one fold from the payloads in ``folder``; writes nothing."""
    ids = list(candidates)
    band = config.model_selection.es_band
    sizes = candidate_sizes(candidates, config, shape)
    common: dict[str, Any] = {
        "complexity": sizes if np.isfinite(sizes).all() else None,  # all comparable, or none
        "c": band.c,
        "min_keep": band.min_keep,
        "max_keep": band.max_keep,
        "num_samples": config.model_selection.bootstrap.num_samples,
        "seed": (config.model_selection.seed, plan.group),
    }
    es, groups = _energy_scores(records, ids, plan, folder)
    survivors = select(es, groups, **common).survivors
    crps, ql = _secondary(records, ids, survivors, plan, folder, config, shape[0])
    return select(es, groups, crps=crps, ql=ql, **common)


def select_globally(selections: Sequence[Selection], config: SimulationConfig) -> Selection:
    """One selection from the medians over folds."""
    band = config.model_selection.es_band
    return combine(selections, c=band.c, min_keep=band.min_keep, max_keep=band.max_keep)


def candidate_sizes(
    candidates: Mapping[str, Mapping[str, Any]], config: SimulationConfig, shape: tuple[int, int]
) -> FloatArray:
    """Effective number of free parameters of every candidate; NaN where the model gives none."""
    sizes = []
    for values in candidates.values():
        model = fit_config(config, values)["model"]
        try:
            sizes.append(complexity(model["model_name"], model["params"], *shape))
        except UnknownNameError:
            sizes.append(np.nan)  # a user's model without a registered measure
    return np.array(sizes, dtype=np.float64)


def payloads_of(units: Sequence[UnitRecord], folder: Path) -> dict[int, Payload]:
    """Payload per split of one candidate; failed splits are absent."""
    return {unit.split: load_payload(folder / unit.file) for unit in units if unit.file is not None}


def _energy_scores(
    records: Records, ids: Sequence[str], plan: OuterPlan, folder: Path
) -> tuple[FloatArray, IntArray]:
    """ES ``[M, K, T]`` and the group of each test week ``[K, T]``, padded with NaN and -1."""
    longest = max(len(split.test) for split in plan.inner)
    es = np.full((len(ids), len(plan.inner), longest), np.nan)
    groups = np.full(es.shape[1:], -1, dtype=np.int64)
    for k, split in enumerate(plan.inner):
        groups[k, : len(split.test)] = plan.group_of(split.test)
    for m, candidate in enumerate(ids):
        for k, payload in payloads_of(records[candidate], folder).items():
            es[m, k, : len(payload.es)] = payload.es
    return es, groups


def _secondary(
    records: Records,
    ids: Sequence[str],
    survivors: Sequence[int],
    plan: OuterPlan,
    folder: Path,
    config: SimulationConfig,
    n_assets: int,
) -> tuple[FloatArray, FloatArray]:
    """CRPS and tail quantile loss ``[M, K, T, A]`` in z-space, for survivors only."""
    longest = max(len(split.test) for split in plan.inner)
    shape = (len(ids), len(plan.inner), longest, n_assets)
    crps, ql = np.full(shape, np.nan), np.full(shape, np.nan)
    alpha = config.model_selection.alpha_tail
    estimator = config.scoring.spec.estimator
    for m in survivors:
        for k, payload in payloads_of(records[ids[m]], folder).items():
            draws = payload.z_samples.astype(np.float64)
            weeks = slice(0, len(payload.z_true))
            crps[m, k, weeks] = scoring.crps_ensemble(
                payload.z_true, draws, m_axis=0, estimator=estimator
            )
            quantile = np.quantile(draws, alpha, axis=0)
            ql[m, k, weeks] = scoring.quantile_score(payload.z_true, quantile, alpha)
    return crps, ql
