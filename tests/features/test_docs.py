"""The tables of the pages are those of the catalogue."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import fastpanel as fp

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def tables():
    return runpy.run_path(str(DOCS / "tables.py"))


@pytest.mark.parametrize("name", ["features", "normalisation"])
def test_pages_hold_what_the_catalogue_says(tables, name):
    path, content = tables["page_with"](name)
    assert path.read_text(encoding="utf-8") == content, "run: python docs/tables.py"


def test_the_normalisation_table_has_a_row_per_feature_with_formula_scaling_and_notes(tables):
    lines = tables["normalisation"]().splitlines()
    catalog = fp.features.catalog()
    assert len(lines) - 2 == len(catalog) == 45
    for line, column in zip(lines[2:], catalog, strict=True):
        cells = line.removeprefix("| ").removesuffix(" |").split(" | ")
        assert cells[:2] == [column.group, f"`{column.name}`"]
        assert cells[2].replace("\\|", "|") == f"`{column.formula}`"
        rule = {"breakout": "`(x - p)", "cross_sectional": "unchanged"}.get(column.group, "robust:")
        assert cells[3].startswith(rule)
        assert cells[4]


def test_a_page_that_lost_its_marks_is_named(tables, tmp_path):
    (tmp_path / "features.md").write_text("no table here")
    page_with = tables["page_with"]
    page_with.__globals__["DOCS"] = tmp_path
    try:
        with pytest.raises(ValueError, match=r"features.md has to hold <!-- features: begin"):
            page_with("features")
    finally:
        page_with.__globals__["DOCS"] = DOCS
