"""What a person sees at the terminal."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import fastpanel
from fastpanel.cli import main

CONFIG = """
data:
  simulation_output_path: small
  dataset_params:
    bars: simulated
    simulated: {n_assets: 3, years: 4, bar: 1d, late_listers: 0, seed: 1}
    groups: [momentum]
cv: {warmup_len: 52, group_len: 40, q: 1}
preprocessing: {min_usable_ratio: 0.3}
scoring: {spec: {metric_name: energy_score}}
predictive: {num_samples: 32}
flags: {simulation_mode: stub}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMULATION_SOURCE", str(tmp_path))
    path = tmp_path / "small.yml"
    path.write_text(CONFIG)
    return path


def test_no_command_prints_help_with_every_command(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert "simulation" in text
    assert "audit" in text


@pytest.mark.parametrize("command", ["simulation", "audit", "audit features"])
def test_every_command_has_help_with_an_example(command, capsys):
    assert main([*command.split(), "--help"]) == 0
    assert f"Example: fastpanel {command}" in " ".join(capsys.readouterr().out.split())


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == fastpanel.__version__


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["simulate"], "No such command 'simulate'"),
        (["simulation", "--simulation-config"], "requires an argument"),
        (["simulation", "--config", "x"], "No such option"),
        (["audit"], "Missing command"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, words, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_mistakes_in_the_configuration_come_together(config, capsys):
    config.write_text("cv: {q: 0, group_ln: 3}\nmodel: {modle_name: x}\n")
    assert main(["simulation", "--simulation-config", str(config)]) == 1
    error = capsys.readouterr().err
    assert "3 mistakes" in error
    assert "did you mean 'model_name'" in error
    assert "Traceback" not in error


def test_simulation_runs_and_prints_the_report(config, tmp_path, capsys):
    assert main(["simulation", "--simulation-config", str(config), "--quiet"]) == 0
    out = capsys.readouterr().out.strip()
    assert out == str(tmp_path / "small" / "report.html")
    html = (tmp_path / "small" / "report.html").read_text()
    assert "Stub mode" in html


def test_audit_of_the_simulated_market_passes(capsys):
    line = ["audit", "features", "simulated", "--group", "momentum", "--allow-ragged"]
    assert main(line) == 0
    assert "5 features at 5 cuts: nothing depends on later bars" in capsys.readouterr().out


PEEKING = """
import numpy as np
import fastpanel as fp

@fp.features.register("tomorrow", inputs=("close",), replace=True)
def tomorrow(close):
    return np.vstack([close[1:], np.full((1, close.shape[1]), np.nan)])
"""


@pytest.fixture
def small_bars(tmp_path):
    path = tmp_path / "bars.parquet"
    market = fastpanel.data.simulated_market
    market(n_assets=2, years=1, bar="1d", late_listers=0).write_parquet(path)
    yield path
    if "tomorrow" in fastpanel.features.catalog().names:
        fastpanel.features.unregister("tomorrow")


def test_a_peeking_feature_of_your_own_is_named_with_row_and_cut(small_bars, tmp_path, capsys):
    own = tmp_path / "my_features.py"
    own.write_text(PEEKING)
    line = ["audit", "features", str(small_bars), "--own", str(own), "--group", "custom,breakout"]
    assert main([*line, "--cuts", "2"]) == 1
    streams = capsys.readouterr()
    assert "5 features at 2 cuts: 4 findings" in streams.out
    found = re.search(
        r"feature 'tomorrow' of asset 'SIM00' in row (\d+) .* after row (\d+)", streams.err
    )
    assert found and found[1] == found[2]
    assert "leaking features: tomorrow" in streams.err


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "missing file: "), ("1 / 0", "my.py failed: ZeroDivisionError: division by zero")],
)
def test_a_file_of_your_own_that_fails_is_named(small_bars, tmp_path, content, words, capsys):
    own = tmp_path / "my.py"
    if content is not None:
        own.write_text(content)
    assert main(["audit", "features", str(small_bars), "--own", str(own)]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_unknown_group_is_named(capsys):
    assert main(["audit", "features", "simulated", "--group", "momentun", "--allow-ragged"]) == 1
    assert "momentun" in capsys.readouterr().err


def test_module_entry_point_exits_with_the_code():
    done = subprocess.run(
        [sys.executable, "-m", "fastpanel", "simulation", "--simulation-config", "nowhere.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("fastpanel: error: cannot read the configuration nowhere.yml")
