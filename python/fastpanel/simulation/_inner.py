"""The inner objective: every candidate on every CPCV split of one outer fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel._files import sha256
from fastpanel.errors import ModelError
from fastpanel.models import FitJob, PredictJob
from fastpanel.preprocess import PanelPreprocessor
from fastpanel.progress import Reporter, SilentReporter
from fastpanel.simulation._candidate import FitConfig, fit_config
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import Dataset, base_name
from fastpanel.simulation._hooks import Hooks, Prediction, State
from fastpanel.simulation._keys import inner_sections
from fastpanel.simulation._ledger import Ledger, UnitRecord, content_key
from fastpanel.simulation._payload import make_payload, save_payload
from fastpanel.simulation._seeds import unit_seed
from fastpanel.simulation._space import ScoreSpace
from fastpanel.simulation._structure import OuterPlan
from fastpanel.typing import FloatArray, IntArray


@dataclass(frozen=True)
class SplitData:
    """One inner split, scaled with the statistics of its own training rows."""

    index: int
    rows: IntArray
    test_rows: IntArray
    Z_train: FloatArray
    y_train: FloatArray
    Z_test: FloatArray
    y_test: FloatArray
    space: ScoreSpace
    test_groups: IntArray


def preprocessor(config: SimulationConfig) -> PanelPreprocessor:
    """The preprocessor that the configuration describes."""
    return PanelPreprocessor(
        **config.preprocessing.model_dump(),
        use_feature_names_for_scaling=config.flags.use_feature_names_for_scaling,
    )


def largest_fit(dataset: Dataset, config: SimulationConfig) -> tuple[int, int]:
    """Most training rows and model features that any fit of the run can have."""
    weeks, _, n_features = dataset.X.shape
    channels = 2 if config.preprocessing.append_mask_as_features else 1
    return weeks, channels * n_features


def prepare_splits(dataset: Dataset, plan: OuterPlan, config: SimulationConfig) -> list[SplitData]:
    """Fit the preprocessing of all splits at once and scale their rows."""
    known = plan.known  # nothing at or after this row can be reached from here on
    X, mask, y = dataset.X[:known], dataset.mask[:known], dataset.y[:known]
    names = [base_name(name) for name in dataset.features]
    states = preprocessor(config).fit_splits(
        X, names, plan.inner, mask=mask, asset_names=dataset.assets
    )
    data = []
    for index, (split, state) in enumerate(zip(plan.inner, states, strict=True)):
        train, test = split.train, split.test
        place = f"outer fold {plan.group}, split {index}"
        data.append(
            SplitData(
                index=index,
                rows=train,
                test_rows=test,
                Z_train=state.transform(X[train], mask[train]),
                y_train=y[train],
                Z_test=state.transform(X[test], mask[test]),
                y_test=y[test],
                space=ScoreSpace.fit(y[train], config.scoring.spec, place),
                test_groups=plan.group_of(test),
            )
        )
    return data


class InnerObjective:
    """Scores candidates; what is in the ledger is not computed again.

    Calling it with ``(candidate id, values)`` gives the aggregate score over
    the splits, higher is better, NaN if a split failed.
    """

    def __init__(
        self,
        dataset: Dataset,
        plan: OuterPlan,
        config: SimulationConfig,
        hooks: Hooks,
        folder: Path,
        prebuilt: Mapping[str, Any] | None = None,
        digest: str | None = None,
    ) -> None:
        self._dataset, self._plan, self._config = dataset, plan, config
        self._hooks, self._folder, self._prebuilt = hooks, folder, prebuilt
        self.ledger = Ledger(folder, self._key(digest or dataset.digest))
        self._splits: list[SplitData] | None = None

    @property
    def splits(self) -> list[SplitData]:
        """Prepared splits; made on first use, so a finished fold costs nothing on a rerun."""
        if self._splits is None:
            self._splits = prepare_splits(self._dataset, self._plan, self._config)
        return self._splits

    def __call__(self, candidate: str, values: Mapping[str, Any]) -> float:
        records = self.evaluate(candidate, values)
        return aggregate_score([record.score for record in records], self._config)

    def evaluate(self, candidate: str, values: Mapping[str, Any]) -> list[UnitRecord]:
        """One record per split, from the ledger or computed now."""
        return self.evaluate_all({candidate: values})[candidate]

    def evaluate_all(
        self, candidates: Mapping[str, Mapping[str, Any]], reporter: Reporter | None = None
    ) -> dict[str, list[UnitRecord]]:
        """Every candidate, in the order of the plan; those without a record are fitted together."""
        results: dict[str, list[UnitRecord]] = {}
        best = ("", -np.inf)
        title = f"fold {self._plan.group}: candidates"
        with (reporter or SilentReporter()).task(title, len(candidates)) as task:
            stored = {name: self.ledger.finished(name) for name in candidates}
            states = self._fit({n: v for n, v in candidates.items() if stored[n] is None})
            for candidate in candidates:
                records = stored[candidate] or self._score(candidate, states[candidate])
                results[candidate] = records
                score = aggregate_score([record.score for record in records], self._config)
                if score > best[1]:
                    best = (candidate, score)
                task.advance(1, note=f"best {best[0]} ({best[1]:.4g})" if best[0] else "")
        return results

    def _job(self, candidate: str, values: Mapping[str, Any], split: SplitData) -> FitJob:
        config: FitConfig = fit_config(self._config, values, self._prebuilt)
        place = (self._plan.group, int(candidate), split.index)
        config["seed"] = unit_seed(self._config.cv.seed, *place)
        config["train_index"] = split.rows
        config["pad_to"] = largest_fit(self._dataset, self._config)
        return FitJob(X=split.Z_train, y=split.y_train, config=config, init_state=None)

    def _fit(
        self, candidates: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, list[tuple[FitJob, State | ModelError]]]:
        """Fit all splits of all ``candidates``, in one batch where the hooks can."""
        jobs = {
            candidate: [self._job(candidate, values, split) for split in self.splits]
            for candidate, values in candidates.items()
        }
        flat = [job for own in jobs.values() for job in own]
        states = iter(self._fit_batch(flat))
        return {name: [(job, next(states)) for job in own] for name, own in jobs.items()}

    def _fit_batch(self, jobs: Sequence[FitJob]) -> list[State | ModelError]:
        if self._hooks.fit_many is not None and jobs:
            try:
                return list(self._hooks.fit_many(jobs))
            except ModelError:
                pass  # find out below which of them failed
        states: list[State | ModelError] = []
        for job in jobs:
            try:
                states.append(self._hooks.fit_model(job.X, job.y, job.config, job.init_state))
            except ModelError as error:
                states.append(error)
        return states

    def _score(
        self, candidate: str, fits: Sequence[tuple[FitJob, State | ModelError]]
    ) -> list[UnitRecord]:
        """Predict, score and record all splits of one candidate."""
        predictions = self._predict(fits)
        records = [
            self._record(candidate, split, prediction)
            for split, prediction in zip(self.splits, predictions, strict=True)
        ]
        self.ledger.append(candidate, records)
        return records

    def _predict(
        self, fits: Sequence[tuple[FitJob, State | ModelError]]
    ) -> list[Prediction | ModelError]:
        draws = self._config.predictive.num_samples
        tests = [split.Z_test for split in self.splits]
        asked = [
            PredictJob(X=test, state=state, config=job.config, num_samples=draws)
            for test, (job, state) in zip(tests, fits, strict=True)
            if not isinstance(state, ModelError)
        ]
        if self._hooks.predict_many is not None and len(asked) == len(fits):
            return list(self._hooks.predict_many(asked))
        return [
            state
            if isinstance(state, ModelError)
            else self._hooks.predict(test, state, job.config, draws)
            for test, (job, state) in zip(tests, fits, strict=True)
        ]

    def _record(
        self, candidate: str, split: SplitData, outcome: Prediction | ModelError
    ) -> UnitRecord:
        if isinstance(outcome, ModelError):
            reason = str(outcome)
            return UnitRecord(candidate, split.index, float("nan"), None, None, error=reason)
        spec = {**self._config.scoring.spec.model_dump(), "transform": split.space}
        score = float(self._hooks.score(split.y_test, outcome, spec))
        payload = make_payload(
            split.y_test,
            np.asarray(outcome["samples"], dtype=np.float64),
            split.space,
            split.test_rows,
            split.test_groups,
            self._config.scoring.spec.estimator,
        )
        name = f"candidates/candidate_{candidate}_split_{split.index}.pt"
        save_payload(payload, self._folder / name)
        return UnitRecord(candidate, split.index, score, name, sha256(self._folder / name))

    def _key(self, digest: str) -> str:
        return content_key(
            {
                "data": digest,
                "splits": [split.to_dict() for split in self._plan.inner],
                "prebuilt": self._prebuilt,
                "config": inner_sections(self._config),
            }
        )


def make_inner_objective(
    dataset: Dataset,
    plan: OuterPlan,
    config: SimulationConfig,
    hooks: Hooks,
    folder: Path,
    prebuilt: Mapping[str, Any] | None = None,
) -> InnerObjective:
    """The objective of one outer fold, as tuning engines call it.

    Parameters
    ----------
    dataset : Dataset
    plan : OuterPlan
        The fold; only rows before its test group are read.
    config : SimulationConfig
    hooks : Hooks
    folder : Path
        Where payloads and the ledger go.
    prebuilt : mapping, optional
        Result of the prebuild hook, merged under every candidate.

    Returns
    -------
    InnerObjective
        ``objective(candidate_id, {path: value}) -> float``, higher is better.
    """
    return InnerObjective(dataset, plan, config, hooks, folder, prebuilt)


def aggregate_score(scores: Sequence[float], config: SimulationConfig) -> float:
    """One number per candidate; NaN as soon as one split failed."""
    reduce: Callable[[Sequence[float]], Any] = (
        np.mean if config.tuning.aggregate == "mean" else np.median
    )
    return float(reduce(scores))
