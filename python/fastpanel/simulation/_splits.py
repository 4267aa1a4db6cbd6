"""Inner splits made ready for models: scaled on their own training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastpanel.preprocess import PanelPreprocessor
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import Dataset
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
    states = preprocessor(config).fit_splits(
        X,
        dataset.features,
        plan.inner,
        mask=mask,
        asset_names=dataset.assets,
        absent=dataset.absent[:known],
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
                space=ScoreSpace.fit(y[train], config.scoring.spec, place, np.isfinite(y[test])),
                test_groups=plan.group_of(test),
            )
        )
    return data
