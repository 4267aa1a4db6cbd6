"""A finished run replayed: bit-equal with its own settings, as by hand with others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastpanel as fp
from fastpanel.cli import main
from fastpanel.errors import ArtifactError, ConfigError, ParameterError
from tests.simulation.conftest import make_panel, stub_config


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "backtests" not in path.parts
    }


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    config = {
        **stub_config(str(tmp_path_factory.mktemp("runs") / "run")),
        "cost": {"bps": 7.0},
        "allocation": {"method": "mean_over_vol", "max_weight": 0.3},
        "outer": {"test_groups": [2, 3, 5]},
    }
    return fp.simulation.run(config, panel=make_panel(), progress=False)


@pytest.fixture
def finished(original, tmp_path):
    """A copy of the run, to write into."""
    folder = shutil.copytree(original.folder, tmp_path / "run")
    return replace(original, folder=folder)


def test_the_settings_of_the_run_give_its_pnl_bit_for_bit(finished):
    before = contents(finished.folder)
    replayed = fp.simulation.backtest(finished.folder)
    own = np.concatenate([fold.pnl for fold in finished.outer])
    assert replayed.pnl.tobytes() == own.tobytes() == replayed.run_pnl.tobytes()
    for fold in finished.outer:
        mine = replayed.folder / f"outer_{fold.group}" / "weights.csv"
        theirs = finished.folder / "outer" / f"outer_{fold.group}" / "weights.csv"
        assert mine.read_bytes() == theirs.read_bytes()
    assert contents(finished.folder) == before
    assert replayed.report.is_file()


def test_other_costs_as_computed_by_hand(finished):
    replayed = fp.simulation.backtest(finished.folder, cost={"bps": 40.0, "slippage_bps": 10.0})
    targets = np.array(make_panel().targets)
    rows = np.concatenate([fold.rows for fold in finished.outer])
    weights = np.concatenate([fold.weights for fold in finished.outer])
    before = np.vstack([np.zeros_like(weights[:1]), weights[:-1]])
    before[1:][np.diff(rows) != 1] = 0.0  # group 4 is not tested: group 5 starts from cash
    assert (np.diff(rows) != 1).sum() == 1
    expected = (weights * targets[rows]).sum(axis=1) - 0.005 * np.abs(weights - before).sum(axis=1)
    np.testing.assert_allclose(replayed.pnl, expected, atol=1e-15)
    assert (replayed.pnl <= replayed.run_pnl).all()


def test_other_weights_and_the_count_of_trials(finished):
    equal = fp.simulation.backtest(finished.folder, allocation={"method": "equal"}, name="equal")
    assert equal.allocation.max_weight == 0.3  # keys that are not named stay
    stored = pl.read_csv(equal.folder / "outer_2" / "weights.csv").select(make_panel().assets)
    np.testing.assert_array_equal(stored.to_numpy(), 0.25)
    assert equal.sharpe.n_trials == 2 + 1
    longs = fp.simulation.backtest(finished.folder, allocation={"long_only": True}, name="longs")
    assert longs.sharpe.n_trials == 2 + 2
    again = fp.simulation.backtest(finished.folder, allocation={"long_only": True}, name="longs")
    assert again.sharpe == longs.sharpe
    with pytest.raises(ArtifactError, match="other settings"):
        fp.simulation.backtest(finished.folder, name="longs")


def test_same_bar_marks_the_report(finished):
    replayed = fp.simulation.backtest(finished.folder, allocation={"execution": "same_bar"})
    assert "Same-bar execution" in replayed.report.read_text()
    assert replayed.result.outer[0].pnl[1] != replayed.run_pnl[1]


def test_command(finished, tmp_path, capsys):
    file = tmp_path / "other.yml"
    file.write_text("allocation: {method: equal}\ncost: {bps: 1}\n")
    line = ["backtest", str(finished.folder), "--config", str(file), "--name", "x"]
    assert main([*line, "--set", "cost.bps=30"]) == 0
    out = capsys.readouterr().out
    assert out.strip().endswith("backtests/x/report.html")
    stored = json.loads((finished.folder / "backtests" / "x" / "backtest.json").read_text())
    assert stored["cost"]["bps"] == 30.0
    assert stored["allocation"]["method"] == "equal"
    assert main(["backtest", str(finished.folder), "--set", "cost=30"]) == 2
    assert main(["backtest", str(tmp_path)]) == 1
    assert "holds no run" in capsys.readouterr().err


def test_mistakes_are_named(finished, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'slippage_bps'"):
        fp.simulation.backtest(finished.folder, cost={"slipage_bps": 1})
    with pytest.raises(ParameterError, match=r"\.\./x"):
        fp.simulation.backtest(finished.folder, name="../x")
    file = tmp_path / "wrong.yml"
    file.write_text("costs: {bps: 1}\n")
    with pytest.raises(ConfigError, match="did you mean 'cost'"):
        fp.simulation.read_settings(file)


def test_an_unfinished_run_is_refused(config):
    config = {**config, "flags": {**config["flags"], "stop_after": "inner"}}
    result = fp.simulation.run(config, panel=make_panel(), progress=False)
    with pytest.raises(ArtifactError, match="no outer results"):
        fp.simulation.backtest(result.folder)
