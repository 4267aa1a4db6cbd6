"""The shape of the repository: thin bindings, short files, optimised core, no pickle."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastpanel import _core

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sorted((ROOT / "python" / "fastpanel").rglob("*.py"))


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_core_is_an_optimised_build():
    assert not _core.debug_build()


def test_bindings_are_at_most_a_fifth_of_the_rust():
    bindings = sum(map(lines, (ROOT / "rust_core" / "src").rglob("*.rs")))
    kernels = sum(map(lines, (ROOT / "rust_core" / "kernels" / "src").rglob("*.rs")))
    assert bindings <= 0.2 * (bindings + kernels)


@pytest.mark.parametrize("path", PYTHON, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short(path):
    assert lines(path) <= 500


def test_no_pickle_in_the_package():
    pattern = re.compile(
        r"import (c?pickle|dill|joblib)|pickle\.(load|dump)|weights_only=False|allow_pickle=True"
        r"|yaml\.load\("
    )
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in PYTHON
        for line in path.read_text(encoding="utf-8").splitlines()
        if pattern.search(line)
    ]
    assert found == []


def test_packages_hold_only_imports_and_all():
    for path in PYTHON:
        if path.name != "__init__.py" or path.parent.name == "fastpanel":
            continue
        body = path.read_text(encoding="utf-8")
        assert "\ndef " not in body and "\nclass " not in body, path


def test_only_kernel_packages_reach_the_extension():
    allowed = {
        "rolling",
        "cross_section",
        "splits",
        "preprocess",
        "scoring",
        "_runtime.py",
        "_jit.py",
    }
    importers = {
        path.relative_to(ROOT / "python" / "fastpanel").parts[0]
        for path in PYTHON
        if re.search(
            r"^(from fastpanel import .*\b_core\b|import fastpanel\._core)",
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    }
    assert importers <= allowed
    assert "rolling" in importers


def test_one_source_for_all_processors():
    x86 = {"simd/avx2.rs", "simd/avx512.rs"}
    kernels = ROOT / "rust_core" / "kernels" / "src"
    for path in sorted(kernels.rglob("*.rs")):
        code = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(code):
            if "::arch::" in line and path.relative_to(kernels).as_posix() not in x86:
                before = "\n".join(code[max(number - 5, 0) : number])
                assert 'target_arch = "x86_64"' in before, f"{path}:{number + 1}"


def test_the_index_of_decisions_names_each_by_its_title():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "index.md").read_text(encoding="utf-8")
    for path in sorted(folder.glob("0*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        assert f"| [{path.name[:4]}]({path.name}) | {title} | " in index, path.name
