"""The documented keys, schema, example and snippets are those of the models."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest
import yaml
from pydantic import Field

from fastpanel.config import StrictModel, keys
from fastpanel.simulation import SimulationConfig, load_config

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/weekly_nested_cv/config/simulation.yml"
PAGE = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
SNIPPETS = [
    block
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    if yaml.safe_load(block) and "extensions" not in block
]


@pytest.fixture(scope="module")
def tables():
    return runpy.run_path(str(ROOT / "docs/tables.py"))


def test_page_schema_and_example_are_up_to_date(tables):
    path, content = tables["page_with"]("configuration")
    assert path.read_text(encoding="utf-8") == content, "run: python docs/tables.py"
    for file, make in tables["FILES"].items():
        assert (ROOT / file).read_text(encoding="utf-8") == make(), "run: python docs/tables.py"


def test_every_key_says_what_it_means():
    assert [key.path for key in keys(SimulationConfig) if not key.meaning] == []


def flat(values: dict, prefix: str = "") -> dict:
    found = {}
    for name, value in values.items():
        path = f"{prefix}{name}"
        found |= flat(value, f"{path}.") if isinstance(value, dict) and value else {path: value}
    return found


def test_example_holds_every_key_and_loads():
    loaded = load_config(EXAMPLE).model_dump(mode="json")
    written = flat(yaml.safe_load(EXAMPLE.read_text()))
    known = {key.path for key in keys(SimulationConfig) if "[]" not in key.path}
    assert known <= {path for given in written for path in _prefixes(given)}
    arrived = flat(loaded)
    for path, value in written.items():
        if not path.startswith("tuning.space"):
            assert arrived[path] == value, path


def _prefixes(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts) + 1)]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[s.split(":")[0] for s in SNIPPETS])
def test_documented_snippets_load_unchanged_into_the_example(snippet):
    given = yaml.safe_load(snippet)
    whole = yaml.safe_load(EXAMPLE.read_text())
    for section, values in given.items():
        whole[section] = {**whole[section], **values}
    arrived = flat(load_config(whole).model_dump(mode="json"))
    for path, value in flat(given).items():
        assert arrived[path] == value, path


def test_snippets_were_found():
    assert len(SNIPPETS) == 4


def test_schema_refuses_unknown_keys_and_names_all_sections():
    schema = json.loads((ROOT / "docs/simulation.schema.json").read_text())
    assert schema["additionalProperties"] is False
    sections = "data cv preprocessing model training tuning scoring predictive allocation cost"
    assert {*sections.split(), "outer", "flags", "model_selection", "diagnostics"} <= set(
        schema["properties"]
    )
    assert schema["$defs"]["CVConfig"]["properties"]["q"] == {
        "default": 2,
        "description": "Test groups per inner split.",
        "minimum": 1,
        "title": "Q",
        "type": "integer",
    }


def test_keys_open_sections_and_lists_of_sections():
    class Item(StrictModel):
        size: float = 1.0

    class Section(StrictModel):
        kind: str | None = None
        """What it is."""
        items: tuple[Item, ...] = ()

    class Whole(StrictModel):
        section: Section = Section()
        extra: dict[str, int] = Field(default_factory=dict)

    found = {key.path: key[1:] for key in keys(Whole)}
    assert found == {
        "section.kind": ("text or null", None, "What it is."),
        "section.items": ("list", [], ""),
        "section.items[].size": ("number", 1.0, ""),
        "extra": ("mapping", {}, ""),
    }
