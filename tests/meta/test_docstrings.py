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


ORDER = ("Parameters", "Returns", "Yields", "Raises", "Warns", "Notes", "References", "Examples")


def sections(text: str) -> list[tuple[str, str]]:
    _, *parts = re.split(r"^(\w[\w ]*)\n-{3,}$", text, flags=re.MULTILINE)
    return list(zip(parts[::2], parts[1::2], strict=True))


def documented(body: str) -> set[str]:
    heads = [line.split(" : ")[0] for line in body.splitlines() if line[:1].strip()]
    return {name.strip(" *") for head in heads for name in head.split(",")}


def gaps(function) -> list[str]:
    text, signature = inspect.getdoc(function) or "", inspect.signature(function)
    found = sections(text)
    heads, body = [head for head, _ in found], dict(found)
    wrong = []
    if heads != [head for head in ORDER if head in heads]:
        wrong.append(f"sections {heads}")
    names = documented(body.get("Parameters", ""))
    takes_more = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    plain = [p.name for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    wrong += [f"parameter {name}" for name in plain if name not in names]
    wrong += [f"no parameter {name}" for name in names - set(plain) if not takes_more]
    if signature.return_annotation != "None" and not {"Returns", "Yields"} & set(heads):
        wrong.append("Returns")
    if ">>>" not in body.get("Examples", ""):
        wrong.append("an example")
    return wrong


def test_the_functions_are_found_and_a_gap_is_seen():
    assert {"rolling.mean", "models.fit", "simulation.run", "read_bars"} <= set(FUNCTIONS)
    assert len(FUNCTIONS) > 140

    def bare(x: int) -> int:
        """Say nothing of x."""

    def other(x: int) -> None:
        """Say it twice, and of another.

        Parameters
        ----------
        y : int

        Parameters
        ----------
        y

        Examples
        --------
        >>> other(1)
        """

    assert gaps(bare) == ["parameter x", "Returns", "an example"]
    twice = "sections ['Parameters', 'Parameters', 'Examples']"
    assert gaps(other) == [twice, "parameter x", "no parameter y"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_result_and_an_example(name):
    assert gaps(FUNCTIONS[name]) == []
