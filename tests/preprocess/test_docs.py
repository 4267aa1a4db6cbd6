from __future__ import annotations

from pathlib import Path

import fastpanel as fp
from fastpanel.preprocess._kinds import kinds_of

DOCS = Path(__file__).parents[2] / "docs"


def test_thirty_five_features_are_robust_scaled():
    kinds = [kinds_of([column.name], by_name=True)[0] for column in fp.features.catalog()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
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
