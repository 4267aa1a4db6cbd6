"""Every place that the map names exists."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs/seed_map.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([^`]+)` \| `([\w.]+)` \|", PAGE, re.MULTILINE)
SEED = """application/simulation/ runner.py cv_groups.py preprocessing.py inner_objective.py
outer_walk_forward.py hooks.py registry.py metrics/inner/ metrics/outer/ domain/simulation/
infrastructure/data/ preprocessing/registry.py pipeline/stages/modeling/registry.py cli/
providers/historical/ infrastructure/exporters/ application/modeling/ domain/market_data/"""


@pytest.mark.parametrize("target", sorted({target for _, target in ROWS}))
def test_target_can_be_imported(target):
    parts = target.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name)
        return
    pytest.fail(f"{target} does not exist")


def test_every_place_of_the_seed_is_in_the_map():
    named = [place for place, _ in ROWS]
    for place in SEED.split():
        assert any(name.endswith(place) for name in named), place
