"""How candidates come to their records: a plan is scored, a sampler proposes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from fastpanel.simulation._board import Listener, aggregate_score
from fastpanel.simulation._candidate import check_space
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._inner import InnerObjective
from fastpanel.simulation._ledger import UnitRecord
from fastpanel.simulation._structure import OuterPlan
from fastpanel.tuning import Study, sample_candidates

Candidates = dict[str, dict[str, Any]]
Records = dict[str, list[UnitRecord]]
Objective = Callable[[OuterPlan, Sequence[Listener]], InnerObjective]


class Tuner(Protocol):
    """Brings the records of every candidate on one outer fold after the other, in time order."""

    candidates: Candidates
    """All candidates; those of a sampler are known after the earliest fold."""

    def records(self, plan: OuterPlan, objective: Objective) -> Records:
        """One record per split of every candidate."""


def make_tuner(config: SimulationConfig, folder: Path) -> Tuner:
    """The tuner that ``tuning`` describes.

    Raises
    ------
    ConfigError
        The space gives candidates that are no valid configuration.
    """
    if config.tuning.optuna.sampler == "plan":
        return PlanTuner(config, folder)
    return SamplerTuner(config, folder)


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


class PlanTuner:
    """The stratified Sobol plan; with engine ``optuna``, a study per fold follows it."""

    def __init__(self, config: SimulationConfig, folder: Path) -> None:
        tuning = config.tuning
        self._config, self._folder = config, folder
        self.candidates = sample_candidates(tuning.space, tuning.num_samples, tuning.seed)
        check_space(config, self.candidates)

    def records(self, plan: OuterPlan, objective: Objective) -> Records:
        """Score the whole plan."""
        with _followers(self._config, plan, self._folder, self.candidates) as listeners:
            return objective(plan, listeners).evaluate_all(self.candidates)


class SamplerTuner:
    """A sampler proposes on the earliest fold; nothing later can steer it.

    Later folds judge the same candidates, so that a run has one list of them:
    one number of trials, one selection over folds. A candidate that was pruned
    has no score from then on and cannot win.
    """

    def __init__(self, config: SimulationConfig, folder: Path) -> None:
        self._config, self._folder = config, folder
        self.candidates: Candidates = {}
        self._pruned: set[str] = set()
        self._first: int | None = None

    def records(self, plan: OuterPlan, objective: Objective) -> Records:
        """Search on the first fold that is asked for, score what is left on the others."""
        if self._first is None:
            self._first = plan.group
            return self._search(plan, objective(plan, ()))
        kept = {name: v for name, v in self.candidates.items() if name not in self._pruned}
        with _followers(self._config, plan, self._folder, kept) as listeners:
            scored = objective(plan, listeners).evaluate_all(kept)
        reason = f"pruned on outer fold {self._first}"
        for name in self._pruned:
            scored[name] = [_missing(name, split, reason) for split in range(len(plan.inner))]
        return {name: scored[name] for name in self.candidates}

    def _search(self, plan: OuterPlan, objective: InnerObjective) -> Records:
        """Let the sampler propose generation after generation.

        Within a generation all candidates are fitted together. The sampler hears
        of them in the order in which it proposed them, so what it proposes next
        does not depend on how many workers there are, and a rerun proposes the
        same and finds it in the ledger.
        """
        with closing(open_study(self._config, plan, self._folder, fresh=True)) as study:
            return self._generations(plan, objective, study)

    def _generations(self, plan: OuterPlan, objective: InnerObjective, study: Study) -> Records:
        tuning = self._config.tuning
        records: Records = {}
        while len(self.candidates) < tuning.num_samples:
            left = tuning.num_samples - len(self.candidates)
            proposed = study.propose(min(tuning.optuna.generation, left))
            check_space(self._config, proposed)
            self.candidates |= proposed
            if tuning.optuna.pruner == "none":
                found = objective.evaluate_all(proposed)
                for name in proposed:
                    _tell(study, self._config, name, found[name])
            else:
                found = self._split_by_split(plan, objective, study, proposed)
            records |= found
        return records

    def _split_by_split(
        self, plan: OuterPlan, objective: InnerObjective, study: Study, proposed: Candidates
    ) -> Records:
        """Score a generation on one split after the other; the pruner decides after each."""
        alive, n_splits = dict(proposed), len(plan.inner)
        records: Records = {name: [] for name in proposed}
        for split in range(n_splits):
            for name, found in objective.evaluate_all(alive, [split]).items():
                records[name] += found
                study.report(name, split, found[0].score)
            last = split + 1 == n_splits
            for name in [name for name in alive if not last and study.should_prune(name)]:
                study.finish(name, float("nan"), pruned=True)
                reason = f"pruned after split {split}"
                records[name] += [_missing(name, k, reason) for k in range(split + 1, n_splits)]
                del alive[name]
                self._pruned.add(name)
            if not alive:
                break
        for name in alive:
            study.finish(name, _score(self._config, records[name]))
        return records


@contextmanager
def _followers(
    config: SimulationConfig, plan: OuterPlan, folder: Path, candidates: Candidates
) -> Iterator[list[Listener]]:
    """With engine ``optuna``: a study that opens a trial per candidate and hears its scores."""
    if config.tuning.engine != "optuna":
        yield []
        return
    study = open_study(config, plan, folder)
    study.enqueue(candidates)

    def follow(candidate: str, values: Mapping[str, Any], records: Sequence[UnitRecord]) -> None:
        del values
        _tell(study, config, candidate, records)

    with closing(study):
        yield [follow]


def _tell(
    study: Study, config: SimulationConfig, candidate: str, records: Sequence[UnitRecord]
) -> None:
    for record in records:
        study.report(candidate, record.split, record.score)
    study.finish(candidate, _score(config, records))


def _score(config: SimulationConfig, records: Sequence[UnitRecord]) -> float:
    return aggregate_score([record.score for record in records], config)


def _missing(candidate: str, split: int, reason: str) -> UnitRecord:
    return UnitRecord("", candidate, split, float("nan"), None, None, reason, 0.0)
