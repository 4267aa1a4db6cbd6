"""Every Python block of the README and of the pages runs, page by page, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    page.relative_to(ROOT).as_posix()
    for page in [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
    if "```python" in page.read_text(encoding="utf-8")
]

BARS = """
import fastpanel as fp
from pathlib import Path
Path("bars").mkdir()
market = fp.data.simulated_market(n_assets=3, years=6, bar="1d", late_listers=0)
for (name,), own in market.group_by("asset"):
    own.write_parquet(f"bars/{name}.parquet")
"""
RUN = """
import fastpanel as fp
fp.simulation.run({
    "data": {"simulation_output_path": "demo", "dataset_params": {
        "bars": "simulated", "simulated": {"n_assets": 3, "years": 4, "late_listers": 0},
        "groups": ["momentum"]}},
    "cv": {"warmup_len": 26, "group_len": 26, "max_inner_combos": 2},
    "preprocessing": {"min_usable_ratio": 0.5},
    "outer": {"test_groups": "last"}, "flags": {"simulation_mode": "stub"},
}, progress=False)
"""
STORES = """
import os, sys
import fastpanel as fp
from pathlib import Path
market = fp.data.simulated_market(n_assets=1, years=4.5, late_listers=0)
for (year, month), own in market.group_by(
        market["timestamp"].dt.year().alias("y"), market["timestamp"].dt.month().alias("m")):
    folder = Path("raw/EUR.USD") / str(year)
    folder.mkdir(parents=True, exist_ok=True)
    own.drop("asset", "y", "m", strict=False).write_csv(folder / f"hist_data_{year}-{month:02}.csv")
os.environ.update(DATA_LAKE_SOURCE="lake", FEATURE_STORE_SOURCE="store")
sys.argv = ["my_commands.py", "data_processing", "--preprocessor", "demean"]
"""
BEFORE = {"README.md": BARS, "docs/portfolio.md": RUN, "docs/commands.md": STORES}
"""What a page takes for granted: files of bars, a finished run, downloaded months."""

MUST_WRITE = {
    "README.md": "runs/first/report.html",
    "docs/commands.md": "store/demean/*/*/processed.csv",
    "docs/models.md": "artefacts/weekly/forecaster.json",
    "docs/portfolio.md": "runs/demo/backtests/*/report.html",
}


def blocks_of(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_pages_are_found():
    assert {"README.md", "docs/models.md", *BEFORE} <= set(PAGES)
    assert sum(len(blocks_of(page)) for page in PAGES) >= 28


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_blocks_of_the_page_run(page, tmp_path, monkeypatch):
    for variable in ("SIMULATION_SOURCE", "DATA_LAKE_SOURCE", "FEATURE_STORE_SOURCE"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "page.py").write_text("\n".join([BEFORE.get(page, ""), *blocks_of(page)]))
    done = subprocess.run(
        [sys.executable, "page.py"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert page not in MUST_WRITE or any(tmp_path.glob(MUST_WRITE[page]))


@pytest.mark.slow
def test_the_script_of_all_stages_runs(tmp_path):
    (tmp_path / "page.py").write_text(BARS)
    script = str(ROOT / "examples" / "step_by_step.py")
    for command in (["page.py"], [script, "bars/*.parquet"]):
        done = subprocess.run(
            [sys.executable, *command],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "CI": "1"},  # two steps a fit
        )
        assert done.returncode == 0, done.stderr[-2000:]
    *folds, report = done.stdout.splitlines()
    assert [line.startswith("from 20") for line in folds] == [True] * 4
    assert (tmp_path / report).read_text(encoding="utf-8").count("<img") == 3
