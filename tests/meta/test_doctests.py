"""Every example in a docstring runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import fastpanel

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules() -> list[str]:
    found = pkgutil.walk_packages(fastpanel.__path__, "fastpanel.")
    return sorted(m.name for m in found if not m.name.endswith(("_core", "__main__")))


@pytest.mark.parametrize("name", ["fastpanel", *modules()])
def test_examples_run(name):
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=OPTIONS)
    assert results.failed == 0
