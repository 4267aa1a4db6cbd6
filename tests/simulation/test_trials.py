"""The search along CPCV paths: every week once, forecast by a split that did not train on it."""

from __future__ import annotations

import numpy as np
import pytest

import fastpanel as fp
from fastpanel.portfolio import allocate
from fastpanel.simulation._postprocess import payloads_of
from fastpanel.simulation._trials import cpcv_paths
from tests.simulation.conftest import make_panel, stub_config


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    config = {
        **stub_config(str(tmp_path_factory.mktemp("runs") / "run")),
        "outer": {"test_groups": [4]},
        "cost": {"bps": 10.0},
    }
    return fp.simulation.run(config, panel=make_panel(), progress=False)


def test_a_path_holds_every_earlier_week_once(result):
    plan = result.structure.outer[0]
    paths = cpcv_paths(plan)
    assert len(paths) == 3  # 4 earlier groups in pairs: each is tested 3 times
    assert len({pair for path in paths for pair in path}) == 12
    for path in paths:
        assert [group for group, _ in path] == [0, 1, 2, 3]
        for group, split in path:
            assert group in plan.group_of(plan.inner[split].test)
            assert not (plan.group_of(plan.inner[split].train) == group).any()


def test_sharpe_of_a_trial_by_hand(result):
    plan, dataset = result.structure.outer[0], result.dataset
    folder = result.folder / "inner" / "outer_4"
    loaded = payloads_of(result.records[4]["1"], folder)
    weights, rows = [], []
    for group, k in cpcv_paths(plan)[0]:
        here = plan.group_of(plan.inner[k].test) == group
        draws = loaded[k].z_samples[:, here].astype(float) * loaded[k].scale / 1e6
        weights += [allocate({"samples": draws[:, i]}) for i in range(draws.shape[1])]
        rows += list(plan.inner[k].test[here])
    held = np.array(weights)
    assert (np.diff(rows) == 1).all()
    traded = np.abs(np.diff(held, axis=0, prepend=np.zeros((1, 4)))).sum(axis=1)
    pnl = (held * dataset.y[rows] / 1e6).sum(axis=1) - 0.001 * traded
    search = result.summary["search"]
    assert search["trial_sharpes"]["1"] == pytest.approx(pnl.mean() / pnl.std(ddof=1), rel=1e-6)
    assert search["tried"] == 2
    assert search["paths"] == 3
    assert 0.0 <= search["pbo_pnl"] <= 1.0
    assert 1.0 <= search["effective_trials"] <= 2.0
    assert "Probability of overfitting over 3 CPCV path(s)" in result.report.read_text()
    assert "Regimes" in result.report.read_text()
