"""A huge value planted after a fold's training end moves nothing that was decided before it."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fastpanel as fp
from tests.simulation.conftest import make_panel

HUGE = 1e9


def run(config, panel, label):
    config = {**config, "data": {"simulation_output_path": label}}
    return fp.simulation.run(config, panel=panel, progress=False)


def plant(panel: fp.Panel, row: int, where: str) -> fp.Panel:
    """Values and targets of ``row`` and later, replaced by huge ones."""
    values, targets = np.array(panel.values), np.array(panel.targets)
    if where in {"X", "both"}:
        values[row:] = HUGE * np.sign(values[row:])
    if where in {"y", "both"}:
        targets[row:-1] = HUGE * np.sign(targets[row:-1])
    return fp.Panel(values, panel.times, panel.assets, panel.features, targets=targets)


@pytest.fixture(params=["stub", pytest.param("full", marks=pytest.mark.slow)])
def either_mode(request, config):
    config["flags"] = {"simulation_mode": request.param}
    config["training"] = {"svi": {"num_steps": 30}}
    config["outer"] = {"test_groups": [3, 4]}
    config["preprocessing"] = {"max_abs_fail": 1e15}  # later folds do train on the planted rows
    return config


@pytest.mark.parametrize("where", ["X", "y", "both"])
def test_nothing_before_the_planted_row_moves(either_mode, where):
    panel = make_panel()
    clean = run(either_mode, panel, "clean")
    plan = clean.structure.outer[0]
    # y[start - 1] is known at start; the value after it is not
    planted = run(either_mode, plant(panel, plan.start, where), "planted")
    fold = f"outer_{plan.group}"

    def stored(result, name):
        return json.loads((result.folder / name).read_text())

    assert planted.picks[plan.group] == clean.picks[plan.group]
    same = [
        f"preprocessing/{fold}.json",
        f"inner/{fold}/postprocessing/metrics.json",
        f"inner/{fold}/postprocessing/selection.json",
        f"inner/{fold}/best_config.json",
    ]
    for name in same:
        assert repr(stored(planted, name)) == repr(stored(clean, name)), name
    for a, b in zip(
        clean.records[plan.group].values(), planted.records[plan.group].values(), strict=True
    ):
        assert [unit.sha256 for unit in a] == [unit.sha256 for unit in b]
    if where == "y":  # the first forecast is made from X[start] and older targets
        first, other = clean.outer[0], planted.outer[0]
        np.testing.assert_array_equal(first.samples[:, 0], other.samples[:, 0])
        np.testing.assert_array_equal(first.weights[0], other.weights[0])


def test_forecasts_before_a_value_in_the_middle_of_the_test_weeks_stay(either_mode):
    panel = make_panel()
    clean = run(either_mode, panel, "clean")
    row = clean.structure.outer[0].start + 6
    planted = run(either_mode, plant(panel, row, "both"), "planted")
    before = slice(0, 6)
    a, b = clean.outer[0], planted.outer[0]
    np.testing.assert_array_equal(a.samples[:, before], b.samples[:, before])
    np.testing.assert_array_equal(a.weights[before], b.weights[before])
    np.testing.assert_array_equal(a.pnl[before], b.pnl[before])
    assert not np.array_equal(a.samples[:, 7:], b.samples[:, 7:])  # the plant did something


def test_later_folds_do_see_the_planted_value(either_mode):
    """The test above could pass because nothing is read at all; this one shows that it is."""
    panel = make_panel()
    clean = run(either_mode, panel, "clean")
    later = clean.structure.outer[1]
    planted = run(either_mode, plant(panel, later.start - 4, "y"), "planted")
    a, b = clean.records[later.group]["0"], planted.records[later.group]["0"]
    assert [unit.sha256 for unit in a] != [unit.sha256 for unit in b]


def test_inner_rows_are_known_at_the_outer_start(config):
    """With a longer horizon the newest rows before the test group are still without a label."""
    config["cv"] = {**config["cv"], "horizon": 3}
    config["flags"] = {"simulation_mode": "dry_run"}
    structure = run(config, make_panel(), "horizon").structure
    for plan in structure.outer:
        assert plan.fold.train.max() == plan.start - 3
        for split in plan.inner:
            assert max(split.train.max(), split.test.max()) <= plan.start - 3
            gaps = np.abs(split.train[:, None] - split.test[None, :]).min()
            assert gaps > 3


def test_signal_in_purged_rows_changes_no_score(config):
    """Targets of purged and embargoed rows are in no training set of their split."""
    panel = make_panel()
    clean = run(config, panel, "clean")
    plan = clean.structure.outer[0]
    split = plan.inner[0]
    used = np.union1d(split.train, split.test)
    unused = np.setdiff1d(np.arange(plan.known), used)
    assert unused.size
    targets = np.array(panel.targets)
    targets[unused] = 17.0
    other = fp.Panel(panel.values, panel.times, panel.assets, panel.features, targets=targets)
    planted = run(config, other, "planted")
    a = clean.records[plan.group]["0"][0]
    b = planted.records[plan.group]["0"][0]
    assert a.sha256 == b.sha256
