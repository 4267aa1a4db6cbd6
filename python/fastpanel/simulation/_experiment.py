"""One model, one splitter, some metrics: an experiment from a nested mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from fastpanel import models
from fastpanel.config import StrictModel, parse
from fastpanel.data import Panel
from fastpanel.models import FitJob, PredictJob
from fastpanel.preprocess import PreprocessingSpec
from fastpanel.registry import Registry
from fastpanel.simulation._config import (
    DatasetParams,
    PredictiveConfig,
    ScoreSpec,
    SimulationConfig,
)
from fastpanel.simulation._dataset import Dataset, dataset_from_panel
from fastpanel.simulation._hooks import Prediction
from fastpanel.simulation._loaders import FEATURE_STORE_PANEL, load_named
from fastpanel.simulation._metrics import Metric
from fastpanel.simulation._seeds import unit_seed
from fastpanel.simulation._splits import SplitData, prepare_splits
from fastpanel.simulation._structure import OuterPlan
from fastpanel.splits import CV_REGISTRY, Fold

_AGGREGATES: dict[str, Callable[[Any], Any]] = {
    "mean": np.mean,
    "median": np.median,
    "min": np.min,
    "max": np.max,
}


Trainer = Callable[[Sequence[FitJob]], Sequence[Any]]

TRAINER_REGISTRY: Registry[Trainer] = Registry("trainer")
"""Name to what fits jobs; its states are what ``fp.models.predict_many`` takes."""

TRAINER_REGISTRY.add("svi_trainer", models.fit_many)


class ExperimentData(StrictModel):
    """Which registered loader brings the panel, and what it is told."""

    dataset_name: str = FEATURE_STORE_PANEL
    """A registered dataset loader."""
    dataset_params: DatasetParams = DatasetParams()
    """As in ``data.dataset_params`` of a simulation."""


class ExperimentCV(StrictModel):
    """Which registered splitter is used."""

    cv_name: str = "cpcv"
    """A registered splitter."""
    params: dict[str, Any] = Field(
        default_factory=lambda: {"n_blocks": 5, "n_test_blocks": 1, "purge_window": 1}
    )
    """Its arguments."""


class ExperimentMetrics(StrictModel):
    """What is measured on each fold, and how folds are put together."""

    metric_names: tuple[str, ...] = ("energy_score",)
    """Registered inner metrics; higher is better."""
    aggregation: Literal["mean", "median", "min", "max"] = "mean"
    """Over folds; NaN on one fold is NaN over all."""


class ExperimentConfig(StrictModel):
    """The whole experiment."""

    data: ExperimentData = ExperimentData()
    cv: ExperimentCV = ExperimentCV()
    preprocessing: PreprocessingSpec = PreprocessingSpec()
    model: models.ModelConfig = models.ModelConfig()
    training: models.TrainingConfig = models.TrainingConfig()
    trainer_name: str = "svi_trainer"
    """A registered trainer."""
    predictive: PredictiveConfig = PredictiveConfig()
    metrics: ExperimentMetrics = ExperimentMetrics()
    scoring: ScoreSpec = ScoreSpec()
    seed: Annotated[int, Field(ge=0)] = 123
    """Of every fit and draw."""


@dataclass(frozen=True)
class Experiment:
    """A panel, its folds and what is to be fitted; made by :func:`build_experiment`."""

    config: ExperimentConfig
    dataset: Dataset
    folds: tuple[Fold, ...]
    trainer: Trainer
    metrics: Mapping[str, Metric]

    def run_folds(self) -> list[dict[str, float]]:
        """Fit on every fold's training rows, forecast its test rows; one mapping per fold."""
        if not self.folds:
            return []
        config, dataset = self.config, self.dataset
        whole = SimulationConfig(
            preprocessing=config.preprocessing, scoring={"spec": config.scoring.model_dump()}
        )
        rows = len(dataset.times)
        plan = OuterPlan(0, self.folds[0], self.folds, ((0, rows),), rows)
        splits = prepare_splits(dataset, plan, whole)
        sections = config.model_dump(mode="json", include={"model", "training"})
        jobs = [
            FitJob(
                split.Z_train,
                split.y_train,
                {**sections, "seed": unit_seed(config.seed, k), "train_index": split.rows},
            )
            for k, split in enumerate(splits)
        ]
        states = self.trainer(jobs)
        draws = config.predictive.num_samples
        forecasts = models.predict_many(
            [
                PredictJob(split.Z_test, state, job.config, draws)
                for split, state, job in zip(splits, states, jobs, strict=True)
            ]
        )
        return [self._scored(split, pred) for split, pred in zip(splits, forecasts, strict=True)]

    def _scored(self, split: SplitData, pred: Prediction) -> dict[str, float]:
        """Every metric on one fold."""
        scoring, space = self.config.scoring, split.space
        weekly = space.energy_score(split.y_test, pred["samples"], scoring.estimator)
        spec = {**scoring.model_dump(), "transform": space, "energy_score": weekly}
        return {
            name: float(metric(split.y_test, pred, spec)) for name, metric in self.metrics.items()
        }

    def run(self) -> dict[str, float]:
        """Every metric, put together over folds; empty without a fold."""
        folds = self.run_folds()
        reduce = _AGGREGATES[self.config.metrics.aggregation]
        names = folds[0] if folds else {}
        return {name: float(reduce([fold[name] for fold in folds])) for name in names}


def build_experiment(
    config: ExperimentConfig | Mapping[str, Any], panel: Panel | None = None
) -> Experiment:
    """Build an experiment: one model on one splitter's folds, without tuning.

    It is the small brother of :func:`run`: the same preparation on training
    rows only, the same models and metrics, but no candidates, no selection and
    no files.

    Parameters
    ----------
    config : ExperimentConfig or mapping
        Sections ``data``, ``cv``, ``preprocessing``, ``model``, ``training``,
        ``trainer_name``, ``predictive``, ``metrics``, ``scoring`` and ``seed``.
    panel : Panel, optional
        With ``targets``; default: what ``data.dataset_name`` loads.

    Returns
    -------
    Experiment
        ``.folds`` can be looked at; ``.run()`` fits and scores.

    Raises
    ------
    ConfigError
        Mistakes in the configuration, all of them.
    UnknownNameError
        No splitter, loader, trainer or metric of that name.

    Examples
    --------
    >>> import numpy as np
    >>> import fastpanel as fp
    >>> rng = np.random.default_rng(0)
    >>> times = np.datetime64("2020-01-03") + 7 * np.arange(60)
    >>> panel = fp.Panel(rng.normal(size=(60, 2, 1)), times, ["A", "B"], ["f"],
    ...                  targets=0.01 * rng.normal(size=(60, 2)))
    >>> cv = {"params": {"n_blocks": 3, "n_test_blocks": 1}}
    >>> experiment = build_experiment({"cv": cv}, panel)
    >>> [len(fold.test) for fold in experiment.folds]
    [20, 20, 20]
    """
    if not isinstance(config, ExperimentConfig):
        config = parse(ExperimentConfig, config, source="experiment config")
    registry, spec = models.metric_registry("inner"), config.scoring.model_dump()
    metrics = {name: registry[name](spec) for name in config.metrics.metric_names}
    trainer = TRAINER_REGISTRY[config.trainer_name]
    params = config.data.dataset_params
    if panel is None:
        dataset = load_named(config.data.dataset_name, params)
    else:
        dataset = dataset_from_panel(panel, params)
    splitter = CV_REGISTRY[config.cv.cv_name](config.cv.params)
    folds = tuple(
        Fold(_intervals(train), _intervals(test)) for train, test in splitter.split(dataset.times)
    )
    return Experiment(config, dataset, folds, trainer, metrics)


def _intervals(rows: Any) -> Any:
    """Half-open intervals of ascending ``rows``."""
    rows = np.sort(np.asarray(rows))
    breaks = np.flatnonzero(np.diff(rows) > 1) + 1
    return [(part[0], part[-1] + 1) for part in np.split(rows, breaks) if len(part)]
