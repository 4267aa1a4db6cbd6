"""Every public function says what it takes, what it gives, and shows itself at work."""

from __future__ import annotations

import inspect
import re

import pytest

import fastpanel as fp

MODULES = [name for name in fp.__all__ if inspect.ismodule(getattr(fp, name))]
FUNCTIONS = {
    f"{module}.{name}": getattr(getattr(fp, module), name)
    for module in MODULES
    for name in getattr(fp, module).__all__
    if inspect.isroutine(getattr(getattr(fp, module), name))
} | {name: getattr(fp, name) for name in fp.__all__ if inspect.isroutine(getattr(fp, name))}


def gaps(function) -> list[str]:
    text = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    before_results = text.partition("\nReturns\n---")[0]
    found = [
        f"parameter {name}"
        for name in signature.parameters
        if not re.search(rf"^[\w, *]*\b{name}\b.*$", before_results, re.MULTILINE)
    ]
    if signature.return_annotation != "None" and not re.search(
        r"^(Returns|Yields)\n-+$", text, re.M
    ):
        found.append("Returns")
    if ">>>" not in text:
        found.append("an example")
    return found


def test_the_functions_are_found_and_a_gap_is_seen():
    assert {"rolling.mean", "models.fit", "simulation.run", "read_bars"} <= set(FUNCTIONS)
    assert len(FUNCTIONS) > 140

    def bare(x: int) -> int:
        """Say nothing."""

    assert gaps(bare) == ["parameter x", "Returns", "an example"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_result_and_an_example(name):
    assert gaps(FUNCTIONS[name]) == []
