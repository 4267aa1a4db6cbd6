"""Which assets a split scores: those it can scale, and that are there when it is scored."""

from __future__ import annotations

import numpy as np

import fastpanel as fp
from fastpanel.simulation._config import ScoreSpec
from fastpanel.simulation._space import ScoreSpace
from tests.simulation.conftest import make_panel


def test_an_asset_that_lists_after_the_test_weeks_is_not_scored():
    rng = np.random.default_rng(0)
    y = rng.standard_normal((60, 3))
    there = np.ones((10, 3), dtype=bool)
    there[:5, 1] = False  # half of the weeks is not most of them
    there[:4, 2] = False
    assert list(ScoreSpace.fit(y, ScoreSpec(), "split").assets) == [0, 1, 2]
    assert list(ScoreSpace.fit(y, ScoreSpec(), "split", there).assets) == [0, 2]


def test_the_constants_of_the_configuration_reach_the_whitener():
    y = np.random.default_rng(0).standard_normal((60, 2))
    plain = ScoreSpace.fit(y, ScoreSpec(mad_eps=0.0, eps=0.0), "split").whitener
    scaled = ScoreSpace.fit(y, ScoreSpec(mad_eps=0.5, eps=0.0), "split").whitener
    np.testing.assert_allclose(scaled.scale, plain.scale + 0.5)
    wide = ScoreSpace.fit(y, ScoreSpec(mad_eps=0.0, eps=2.0, var_floor=3.0), "split").whitener
    covariance = np.linalg.inv(plain.matrix) @ np.linalg.inv(plain.matrix).T
    root = np.linalg.inv(wide.matrix)
    np.testing.assert_allclose(root @ root.T, covariance + 5.0 * np.eye(2))


def test_a_late_lister_does_not_leave_early_test_weeks_without_a_score(config):
    panel = make_panel()
    values, targets = panel.values.copy(), panel.targets.copy()
    values[:40, 3], targets[:40, 3] = np.nan, np.nan  # more than half of the later training rows
    late = fp.Panel(values, panel.times, panel.assets, panel.features, targets=targets)
    config["preprocessing"] = {"min_usable_ratio": 0.5}
    config["outer"] = {"test_groups": "last"}
    result = fp.simulation.run(config, panel=late, progress=False)
    (records,) = result.records.values()
    scores = [unit.score for units in records.values() for unit in units]
    assert np.isfinite(scores).all()
