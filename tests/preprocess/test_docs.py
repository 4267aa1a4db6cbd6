from __future__ import annotations

from pathlib import Path

import fastpanel as fp
from fastpanel.preprocess._kinds import kinds_of

DOCS = Path(__file__).parents[2] / "docs"
RULES = {"continuous": "robust: ", "breakout": "`(x - p) / sqrt(", "rank": "unchanged"}


def test_the_table_of_features_is_that_of_the_registry():
    lines = (DOCS / "preprocessing.md").read_text(encoding="utf-8").split("## Every feature")[1]
    rows = [line.strip("| ").split(" | ") for line in lines.splitlines() if line.startswith("| ")]
    listed = rows[1:]
    catalog = fp.features.catalog()
    assert len(listed) == len(catalog) == 45
    for row, column in zip(listed, catalog, strict=True):
        assert row[:2] == [column.group, f"`{column.name}`"]
        assert row[2] == f"`{column.formula.replace('|', '&#124;')}`"
        assert row[3].startswith(RULES[kinds_of([column.name], by_name=True)[0]])


def test_thirty_five_features_are_robust_scaled():
    kinds = [kinds_of([column.name], by_name=True)[0] for column in fp.features.catalog()]
    assert {kind: kinds.count(kind) for kind in RULES} == {
        "continuous": 35,
        "breakout": 4,
        "rank": 6,
    }


def test_examples_of_the_pages_run():
    for page in ("splits.md", "preprocessing.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        blocks = [part.split("```")[0] for part in text.split("```python")[1:]]
        assert blocks
        exec("\n".join(blocks), {})
