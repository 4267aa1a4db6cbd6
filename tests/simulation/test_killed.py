"""SIGKILL at any moment: a rerun ends with the same bytes and fits no finished unit again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fastpanel as fp
from fastpanel.simulation._seeds import unit_seed
from fastpanel.simulation._units import plan_batches


def everything(folder: Path) -> dict[str, bytes | str]:
    """All files; of the manifest and the ledger what does not depend on the clock.

    ``tracking.jsonl`` is a diary: it tells of every start and of the times.
    """
    found: dict[str, bytes | str] = {}
    diaries = {".lock", "tracking.jsonl"}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in diaries):
        name = str(path.relative_to(folder))
        if path.name == "ledger.jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = repr(sorted(repr({**line, "seconds": 0}) for line in lines))
        elif path.name == "run_manifest.json":
            manifest = json.loads(path.read_text())
            found[name] = repr([manifest[k] for k in ("config", "status", "mode", "code")])
        else:
            found[name] = path.read_bytes()
    return found


@pytest.mark.slow
def test_killed_at_many_moments(config, tmp_path):
    config["tuning"]["batch_units"] = 4
    config["outer"] = {"test_groups": [2, 3, 4]}
    config["diagnostics"] = {"fan_charts": {"enable": False}}
    root, setting = tmp_path / "runs", json.dumps([config, 7, 30])
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.killing", str(root), setting],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONPATH": "python:."},
    )
    assert done.returncode == 0, done.stderr
    story = json.loads(done.stdout)
    assert len(story["kills"]) == 30
    calm = everything(root / "calm" / "run")
    assert len(calm) > 40
    for label in range(story["folders"]):
        assert everything(root / f"killed_{label}" / "run") == calm
    forbidden = seeds_by_unit(config)
    checked = 0
    for run in story["runs"]:
        finished = {tuple(unit) for unit in run["before"]}
        for batch in forbidden:
            if batch["units"] <= finished:
                assert not batch["seeds"] & set(run["fits"])
                checked += 1
    assert checked > 20


def seeds_by_unit(config) -> list[dict]:
    """Units that finish together, with the seeds of their fits."""
    settings = fp.simulation.load_config(config)
    seed = settings.cv.seed
    structure = fp.simulation.build_structure(95, settings)
    candidates = {name: {"training.svi.learning_rate": 0.1} for name in ("0", "1")}
    known = []
    for plan in structure.outer:
        for batch in plan_batches(candidates, range(len(plan.inner)), 4, "fold"):
            known.append(
                {
                    "units": {(plan.group, unit.candidate, unit.split) for unit in batch.units},
                    "seeds": {
                        unit_seed(seed, plan.group, int(unit.candidate), unit.split)
                        for unit in batch.units
                    },
                }
            )
        weeks = range(plan.stop - plan.start)
        outer = {unit_seed(seed, 1_000_000_007, plan.group, week, 0) for week in weeks}
        known.append({"units": {(plan.group, "outer", -1)}, "seeds": outer})
    return known


FULL_RUN = """
import json, sys
import fastpanel as fp
from tests.simulation.conftest import make_panel
fp.simulation.run(json.loads(sys.argv[1]), panel=make_panel(), progress=False)
"""


@pytest.mark.slow
def test_killed_while_numpyro_fits(config, tmp_path):
    pytest.importorskip("numpyro")
    config["tuning"]["batch_units"] = 1
    config["outer"] = {"test_groups": [2], "refit_every": 7}
    config["training"] = {"svi": {"num_steps": 40}}
    config["flags"] = {"simulation_mode": "full", "stop_after": "outer"}

    def start(root):
        return subprocess.Popen(
            [sys.executable, "-c", FULL_RUN, json.dumps(config)],
            env={
                **os.environ,
                "PYTHONPATH": "python:.",
                "SIMULATION_SOURCE": str(root),
                # programs are compiled once for all four processes
                "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            },
        )

    assert start(tmp_path / "calm").wait() == 0
    folder = tmp_path / "killed" / "run"
    ledger = folder / "inner" / "outer_2" / "ledger.jsonl"
    lines_after_a_kill = []
    for reached in (ledger, folder / "preprocessing" / "outer_2.json"):
        child = start(tmp_path / "killed")
        while not reached.exists() and child.poll() is None:
            time.sleep(0.002)
        child.kill()
        assert child.wait() == -signal.SIGKILL
        lines_after_a_kill.append(ledger.read_text().splitlines())
    assert [len(lines) for lines in lines_after_a_kill] == [1, 2]
    assert start(tmp_path / "killed").wait() == 0
    assert everything(folder) == everything(tmp_path / "calm" / "run")
    assert ledger.read_text().splitlines() == lines_after_a_kill[1]  # with their seconds
