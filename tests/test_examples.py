"""Every inference script runs, shortened by ``CI``, and the long versions keep their promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pyro
import pytest
import torch

from fastpanel.models.pyro_.trainer import SVITrainer

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = sorted((EXAMPLES / "inference").glob("*.py"))


@pytest.fixture(autouse=True)
def own_store():
    with pyro.get_param_store().scope(), torch.random.fork_rng(devices=[]):
        yield


def load(name: str) -> dict:
    return runpy.run_path(str(EXAMPLES / "inference" / f"{name}.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_ci_shortens_every_script_to_two_steps(script, monkeypatch, capsys):
    taken, step = [], SVITrainer.step

    def counting(self, *arguments):
        result = step(self, *arguments)
        taken.append((id(self), self.steps))
        return result

    monkeypatch.setenv("CI", "1")
    monkeypatch.setattr(SVITrainer, "step", counting)
    runpy.run_path(str(script), run_name="__main__")
    assert {steps for _, steps in taken} == {1, 2}
    assert capsys.readouterr().out


def test_the_scripts_are_found():
    assert {path.stem for path in SCRIPTS} >= {
        "coin_fairness",
        "guide_progression",
        "score_function_baseline",
    }


@pytest.mark.slow
def test_the_coin_is_as_fair_as_it_should_be(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    mean, spread = load("coin_fairness")["main"]()
    # the exact posterior is Beta(16, 14)
    assert mean == pytest.approx(0.533, abs=0.02)
    assert spread == pytest.approx(0.0896, abs=0.01)


@pytest.mark.slow
def test_a_baseline_saves_steps_in_the_mean(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    needed = load("score_function_baseline")["steps_needed"]
    # ten times the script's learning rate: a tenth of its steps
    without, with_one = (
        np.mean([needed(baseline, seed, rate=0.005) for seed in range(5)])
        for baseline in (False, True)
    )
    assert with_one < without < 10_000
