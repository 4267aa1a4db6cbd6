"""The work of one outer fold: fit, predict and score batches of candidates and splits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel.errors import ModelError, ParameterError
from fastpanel.models import FitJob, PredictJob
from fastpanel.simulation._candidate import FitConfig, fit_config
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import Dataset, load_dataset
from fastpanel.simulation._hooks import Hooks, Prediction, State, default_hooks
from fastpanel.simulation._payload import Payload, make_payload
from fastpanel.simulation._seeds import unit_seed
from fastpanel.simulation._splits import SplitData, largest_fit, prepare_splits
from fastpanel.simulation._structure import OuterPlan
from fastpanel.simulation._units import Batch, Unit


@dataclass(frozen=True)
class UnitResult:
    """Score and payload of one unit, or the error that it ended with."""

    unit: Unit
    score: float
    payload: Payload | None
    error: str | None
    seconds: float


@dataclass(frozen=True)
class InnerWork:
    """Batches of one outer fold, for any engine (see ``fastpanel.tuning.engines.Work``).

    Pickled without the data: another process loads it from ``panel``.

    Attributes
    ----------
    config, plan, prebuilt
        As in :func:`make_inner_objective`.
    panel : Path or None
        The stored bundle.
    hooks : Hooks or None
        None: those of ``flags.simulation_mode``.
    dataset : Dataset or None
        The bundle, where it is in memory already.
    """

    config: SimulationConfig
    plan: OuterPlan
    prebuilt: Mapping[str, Any] | None = None
    panel: Path | None = None
    hooks: Hooks | None = None
    dataset: Dataset | None = field(default=None, repr=False, compare=False)

    def load(self) -> Dataset:
        """The bundle in memory, or read from disk."""
        if self.dataset is not None:
            return self.dataset
        if self.panel is None:
            raise ParameterError("this work holds neither a dataset nor the path of a stored one")
        return load_dataset(self.panel)

    def open(self, shared: Dataset) -> Callable[[Batch], list[UnitResult]]:
        """Make ready to run batches on ``shared``."""
        for name in self.config.extensions:  # a worker has not read the configuration file
            import_module(name)
        return _Session(self, shared, self.hooks or default_hooks(self.config)).run

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "dataset": None}


class _Session:
    """One process at work on one fold; the splits are prepared when first needed."""

    def __init__(self, work: InnerWork, dataset: Dataset, hooks: Hooks) -> None:
        self._config, self._plan, self._prebuilt = work.config, work.plan, work.prebuilt
        self._dataset, self._hooks = dataset, hooks

    @cached_property
    def _splits(self) -> list[SplitData]:
        return prepare_splits(self._dataset, self._plan, self._config)

    def run(self, batch: Batch) -> list[UnitResult]:
        """Fit all units together; predict and score them split by split."""
        began = time.perf_counter()
        jobs = [self._job(unit, batch.values[unit.candidate]) for unit in batch.units]
        fits = list(zip(batch.units, jobs, self._fit(jobs), strict=True))
        results: list[UnitResult] = []
        for split, members in groupby(fits, key=lambda fit: fit[0].split):
            own = list(members)
            outcomes = self._predict(self._splits[split], own)
            results += [
                self._result(unit, outcome)
                for (unit, *_), outcome in zip(own, outcomes, strict=True)
            ]
        seconds = (time.perf_counter() - began) / len(results)
        return [replace(result, seconds=seconds) for result in results]

    def _job(self, unit: Unit, values: Mapping[str, Any]) -> FitJob:
        split = self._splits[unit.split]
        config: FitConfig = fit_config(self._config, values, self._prebuilt)
        place = (self._plan.group, int(unit.candidate), unit.split)
        config["seed"] = unit_seed(self._config.cv.seed, *place)
        config["train_index"] = split.rows
        config["predict_index"] = split.test_rows
        config["pad_to"] = largest_fit(self._dataset, self._config)
        return FitJob(X=split.Z_train, y=split.y_train, config=config, init_state=None)

    def _fit(self, jobs: Sequence[FitJob]) -> list[State | ModelError]:
        if self._hooks.fit_many is not None:
            try:
                return list(self._hooks.fit_many(jobs))
            except ModelError:
                pass  # wrong before the first step: find out below which of them
        states: list[State | ModelError] = []
        for job in jobs:
            try:
                states.append(self._hooks.fit_model(job.X, job.y, job.config, job.init_state))
            except ModelError as error:
                states.append(error)
        return states

    def _predict(
        self, split: SplitData, fits: Sequence[tuple[Unit, FitJob, State | ModelError]]
    ) -> list[Prediction | ModelError]:
        draws = self._config.predictive.num_samples
        asked = [
            PredictJob(X=split.Z_test, state=state, config=job.config, num_samples=draws)
            for _, job, state in fits
            if not isinstance(state, ModelError)
        ]
        if self._hooks.predict_many is not None:
            drawn = iter(self._hooks.predict_many(asked))
        else:
            drawn = iter(self._hooks.predict(a.X, a.state, a.config, draws) for a in asked)
        return [state if isinstance(state, ModelError) else next(drawn) for *_, state in fits]

    def _result(self, unit: Unit, outcome: Prediction | ModelError) -> UnitResult:
        if isinstance(outcome, ModelError):
            return UnitResult(unit, float("nan"), None, str(outcome), 0.0)
        split, scoring = self._splits[unit.split], self._config.scoring.spec
        payload = make_payload(
            split.y_test,
            np.asarray(outcome["samples"], dtype=np.float64),
            split.space,
            split.test_rows,
            split.test_groups,
            scoring.estimator,
        )
        spec = {
            **scoring.model_dump(),
            "transform": split.space,
            "energy_score": payload.es,
        }
        score = float(self._hooks.score(split.y_test, outcome, spec))
        return UnitResult(unit, score, payload, None, 0.0)
