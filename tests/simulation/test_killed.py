"""SIGKILL at any moment: a rerun ends with the same bytes and fits no finished unit again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastpanel as fp
from fastpanel.simulation._seeds import unit_seed
from fastpanel.simulation._units import plan_batches


def everything(folder: Path) -> dict[str, bytes | str]:
    """All files; of the manifest and the ledger what does not depend on the clock."""
    found: dict[str, bytes | str] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock"):
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
        for batch in plan_batches(candidates, len(plan.inner), 4, "fold"):
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
