"""Every combination of ``simulation_mode`` and ``stop_after``."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace

import pytest

import fastpanel as fp
from fastpanel.errors import ConfigError
from fastpanel.simulation._hooks import stub_hooks

STAGES = ["inputs", "cv", "inner", "outer", "results"]
FILES = {
    "inputs": ["inputs/panel_tensor.pt"],
    "cv": ["cv/cv_structure.json", "cv/candidates.json", "cv/timestamps_cv.csv"],
    "inner": ["inner/outer_5/ledger.jsonl", "inner/outer_5/best_config.json"],
    "outer": ["outer/outer_5/predictions.csv", "preprocessing/outer_5.json"],
    "results": ["cv/summary.json", "outer/selection.json", "report.html"],
}
COMBINATIONS = list(itertools.product(["full", "stub", "dry_run"], [*STAGES, None]))


@pytest.mark.parametrize(("mode", "stop"), COMBINATIONS, ids=str)
def test_a_run_goes_as_far_as_asked(config, panel, mode, stop):
    config["flags"] = {"simulation_mode": mode, "stop_after": stop}
    config["outer"] = {"test_groups": "last"}
    config["cv"]["max_inner_combos"] = 3
    calls = []
    stub = stub_hooks(fp.simulation.load_config(config))

    def fit(*args):
        calls.append("fit")
        return stub.fit_model(*args)

    last = stop or ("cv" if mode == "dry_run" else "results")
    beyond = mode == "dry_run" and last not in {"inputs", "cv"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fp.simulation.run(
            config, panel=panel, hooks=replace(stub, fit_model=fit), progress=False
        )
    said = [str(w.message) for w in caught if "dry_run" in str(w.message)]
    assert said == ([f"dry_run with stop_after '{last}' runs with stub hooks"] if beyond else [])
    for stage in STAGES:
        reached = STAGES.index(stage) <= STAGES.index(last)
        for name in FILES[stage]:
            assert (result.folder / name).exists() == reached, name
    fits = {"inputs": 0, "cv": 0, "inner": 6}.get(last, 6 + 14)
    assert len(calls) == fits
    manifest = json.loads((result.folder / "run_manifest.json").read_text())
    assert (manifest["status"], manifest["mode"], manifest["stop_after"]) == (
        "finished",
        mode,
        stop,
    )
    assert set(manifest["stages"]) == set(STAGES[: STAGES.index(last) + 1])
    assert all(stage["seconds"] >= 0 for stage in manifest["stages"].values())
    assert manifest["peak_memory_mib"] > 10
    assert {"node", "platform", "cores"} <= set(manifest["machine"])
    assert len(manifest["stages"]["inputs"]["data_hash"]) == 64


@pytest.mark.parametrize("mode", ["stub", "dry_run"])
def test_a_longer_run_goes_on_in_the_folder_of_a_shorter_one(config, panel, mode):
    config["flags"] = {"simulation_mode": mode, "stop_after": "cv"}
    config["outer"] = {"test_groups": "last"}
    folder = fp.simulation.run(config, panel=panel, progress=False).folder
    config["flags"] = {"simulation_mode": "stub"}
    assert fp.simulation.run(config, panel=panel, progress=False).report == folder / "report.html"


@pytest.mark.parametrize(
    "flags", [{"stop_after": "foo"}, {"simulation_mode": "fast"}, {"stop": "cv"}]
)
def test_unknown_mode_or_stage_is_an_error_before_any_work(config, panel, tmp_path, flags):
    config["flags"] = flags
    with pytest.raises(ConfigError, match=f"flags.{next(iter(flags))}"):
        fp.simulation.run(config, panel=panel, progress=False)
    assert not (tmp_path / "runs").exists()


def test_stub_mode_loads_no_modelling_library(tmp_path):
    code = """
        import sys
        from tests.simulation.conftest import make_panel
        import fastpanel as fp
        config = {
            "data": {"simulation_output_path": sys.argv[1]},
            "cv": {"warmup_len": 11, "group_len": 14, "q": 2},
            "outer": {"test_groups": "last"},
            "flags": {"simulation_mode": "stub"},
        }
        fp.simulation.run(config, panel=make_panel(), progress=False)
        print(sorted({"pyro", "numpyro", "jax"} & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_a_full_run_says_beforehand_how_much_memory_it_takes(config, panel, capsys):
    config["flags"] = {"simulation_mode": "full", "stop_after": "cv"}
    config["predictive"] = {"num_samples": 4000}
    fp.simulation.run(config, panel=panel)
    said = re.search(r"Memory: about (\d+) MiB of arrays", "".join(capsys.readouterr()))
    assert said is not None
    # the draws of 2 candidates for 28 weeks and 4 assets outweigh the rest: 48 bytes each
    assert 40 <= int(said[1]) <= 43
