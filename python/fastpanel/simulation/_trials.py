"""What the search has cost: inner forecasts of every candidate, traded along the CPCV paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel.portfolio import effective_trials, overfitting
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import Dataset
from fastpanel.simulation._hooks import Hooks
from fastpanel.simulation._ledger import UnitRecord
from fastpanel.simulation._outer import account_rows, decide
from fastpanel.simulation._payload import Payload
from fastpanel.simulation._postprocess import payloads_of
from fastpanel.simulation._structure import OuterPlan
from fastpanel.typing import FloatArray, IntArray

_MOST_DECISIONS = 6000
"""Weeks times candidates that are traded; more paths are left out."""


def search_cost(
    dataset: Dataset,
    plan: OuterPlan,
    records: Mapping[str, Sequence[UnitRecord]],
    folder: Path,
    config: SimulationConfig,
    hooks: Hooks,
) -> dict[str, Any]:
    """Overfitting of the search in one outer fold; None where there is too little to say.

    A CPCV path holds every earlier week once, forecast by a split that did not
    train on it. Candidates with a failed split are left out.
    """
    paths = cpcv_paths(plan)
    whole = {
        name: loaded
        for name, units in records.items()
        if len(loaded := payloads_of(units, folder)) == len(plan.inner)
    }
    out: dict[str, Any] = {
        "group": plan.group,
        "tried": len(records),
        "paths": len(paths),
        "pbo_energy_score": None,
        "pbo_pnl": None,
        "effective_trials": None,
        "trial_sharpes": {},
    }
    weeks = sum(len(rows) for rows in _rows_of(plan, paths[0])) if paths else 0
    if len(whole) < 2 or weeks < 16:
        return out
    blocks = 8 if weeks >= 64 else 4
    scores = [
        np.column_stack([-_along(plan, path, loaded, _es) for loaded in whole.values()])
        for path in paths
    ]
    out["pbo_energy_score"] = overfitting(scores, n_blocks=blocks, measure="mean").pbo
    traded = paths[: max(1, _MOST_DECISIONS // (weeks * len(whole)))]
    pnl = [
        np.column_stack(
            [_pnl(dataset, plan, path, loaded, config, hooks) for loaded in whole.values()]
        )
        for path in traded
    ]
    out["pbo_pnl"] = overfitting(pnl, n_blocks=blocks).pbo
    out["effective_trials"] = effective_trials(pnl[0])
    spread = pnl[0].std(axis=0, ddof=1)
    ratio = np.divide(pnl[0].mean(axis=0), spread, out=np.zeros_like(spread), where=spread > 0)
    out["trial_sharpes"] = dict(zip(whole, ratio.tolist(), strict=True))
    return out


def cpcv_paths(plan: OuterPlan) -> list[list[tuple[int, int]]]:
    """Back-test paths: per path, the ``(group, split)`` pairs in time order.

    The j-th split that tests a group lends it to path j; only paths that hold
    every tested group are whole.
    """
    tests: dict[int, list[int]] = {}
    for k, split in enumerate(plan.inner):
        for group in np.unique(plan.group_of(split.test)):
            tests.setdefault(int(group), []).append(k)
    count = min((len(splits) for splits in tests.values()), default=0)
    return [[(group, tests[group][j]) for group in sorted(tests)] for j in range(count)]


def _rows_of(plan: OuterPlan, path: Sequence[tuple[int, int]]) -> list[IntArray]:
    out = []
    for group, k in path:
        test = plan.inner[k].test
        out.append(test[plan.group_of(test) == group])
    return out


def _along(
    plan: OuterPlan, path: Sequence[tuple[int, int]], loaded: Mapping[int, Payload], part: Any
) -> FloatArray:
    pieces = []
    for group, k in path:
        here = plan.group_of(plan.inner[k].test) == group
        pieces.append(part(loaded[k], here))
    return np.concatenate(pieces)


def _es(payload: Payload, here: Any) -> FloatArray:
    out: FloatArray = payload.es[here]
    return out


def _pnl(
    dataset: Dataset,
    plan: OuterPlan,
    path: Sequence[tuple[int, int]],
    loaded: Mapping[int, Payload],
    config: SimulationConfig,
    hooks: Hooks,
) -> FloatArray:
    def weights(payload: Payload, here: Any) -> FloatArray:
        draws = payload.z_samples[:, here].astype(np.float64) * payload.scale
        return np.stack(
            [decide(dataset, draws[:, i], config, hooks) for i in range(draws.shape[1])]
        )

    rows = np.concatenate(_rows_of(plan, path))
    return account_rows(dataset, rows, _along(plan, path, loaded, weights), config, hooks)
