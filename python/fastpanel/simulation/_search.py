"""Candidates that an Optuna sampler proposes, and the study that keeps every candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastpanel.simulation._board import aggregate_score
from fastpanel.simulation._candidate import check_space
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._inner import InnerObjective
from fastpanel.simulation._ledger import UnitRecord
from fastpanel.simulation._structure import OuterPlan
from fastpanel.tuning import Study

Candidates = dict[str, dict[str, Any]]
Records = dict[str, list[UnitRecord]]


def open_study(
    config: SimulationConfig, plan: OuterPlan, folder: Path, *, fresh: bool = False
) -> Study:
    """The study of one outer fold; without a storage of its own, a journal in the run's folder."""
    tuning = config.tuning
    return Study(
        tuning.optuna,
        tuning.space,
        name=f"{folder.name}/outer_{plan.group}",
        seed=tuning.seed,
        journal=folder / "inner" / "optuna.journal",
        fresh=fresh,
    )


class PlanStudy:
    """A study that follows a candidate plan: one trial per candidate, told when it is scored."""

    def __init__(self, study: Study, config: SimulationConfig, candidates: Candidates) -> None:
        self._study, self._config = study, config
        study.enqueue(candidates)

    def __call__(
        self, candidate: str, values: Mapping[str, Any], records: Sequence[UnitRecord]
    ) -> None:
        """Listen to the inner objective."""
        del values
        _tell(self._study, self._config, candidate, records)


@dataclass(frozen=True)
class Found:
    """What a search came back with.

    Attributes
    ----------
    candidates : dict
        All that were proposed, in that order.
    records : dict
        Their records on the searched fold.
    pruned : frozenset of str
        Given up before they had all splits.
    """

    candidates: Candidates
    records: Records
    pruned: frozenset[str]


def search(
    objective: InnerObjective, study: Study, config: SimulationConfig, n_splits: int
) -> Found:
    """Let the sampler propose generation after generation.

    Within a generation all candidates are fitted together. The sampler hears of
    them in the order in which it proposed them, so what it proposes next does
    not depend on how many workers there are, and a rerun proposes the same.
    """
    tuning = config.tuning
    candidates: Candidates = {}
    records: Records = {}
    pruned: set[str] = set()
    while len(candidates) < tuning.num_samples:
        left = tuning.num_samples - len(candidates)
        proposed = study.propose(min(tuning.optuna.generation, left))
        check_space(config, proposed)
        candidates |= proposed
        if tuning.optuna.pruner == "none":
            records |= objective.evaluate_all(proposed)
            for name in proposed:
                _tell(study, config, name, records[name])
        else:
            pruned |= _split_by_split(objective, study, config, proposed, records, n_splits)
    return Found(candidates, records, frozenset(pruned))


def unscored(names: frozenset[str], n_splits: int, reason: str) -> Records:
    """Records of candidates that are not tried on a fold."""
    return {name: [_missing(name, split, reason) for split in range(n_splits)] for name in names}


def _split_by_split(
    objective: InnerObjective,
    study: Study,
    config: SimulationConfig,
    proposed: Candidates,
    records: Records,
    n_splits: int,
) -> set[str]:
    """Score a generation on one split after the other; the pruner decides after each."""
    alive, pruned = dict(proposed), set()
    own: Records = {name: [] for name in proposed}
    for split in range(n_splits):
        for name, found in objective.evaluate_all(alive, [split]).items():
            own[name] += found
            study.report(name, split, found[0].score)
        for name in list(alive):
            if split + 1 < n_splits and study.should_prune(name):
                study.finish(name, float("nan"), pruned=True)
                reason = f"pruned after split {split}"
                own[name] += [_missing(name, k, reason) for k in range(split + 1, n_splits)]
                del alive[name]
                pruned.add(name)
        if not alive:
            break
    for name in alive:
        study.finish(name, aggregate_score([unit.score for unit in own[name]], config))
    records |= own
    return pruned


def _tell(
    study: Study, config: SimulationConfig, candidate: str, records: Sequence[UnitRecord]
) -> None:
    for record in records:
        study.report(candidate, record.split, record.score)
    study.finish(candidate, aggregate_score([record.score for record in records], config))


def _missing(candidate: str, split: int, reason: str) -> UnitRecord:
    return UnitRecord("", candidate, split, float("nan"), None, None, reason, 0.0)
