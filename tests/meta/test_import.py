"""``import fastpanel`` is light; every public name is there and documented."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time

import pytest

import fastpanel as fp

HEAVY = [
    "jax",
    "matplotlib",
    "numba",
    "numpyro",
    "optuna",
    "pandas",
    "polars",
    "pyarrow",
    "pyro",
    "scipy",
    "torch",
]
LIGHT = [
    "fastpanel",
    "fastpanel.rolling",
    "fastpanel.cross_section",
    "fastpanel.splits",
    "fastpanel.scoring",
    "fastpanel.selection",
]


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_no_heavy_library(module):
    assert loaded_after(f"import {module}") == set()


def test_the_check_can_fail():
    assert loaded_after("import polars") >= {"polars"}


def test_import_takes_less_than_150_ms():
    def seconds(statement: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        return time.perf_counter() - start

    bare = min(seconds("pass") for _ in range(5))
    assert min(seconds("import fastpanel") for _ in range(5)) - bare < 0.150


def test_import_needs_no_network_and_no_environment():
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "import fastpanel; print(fastpanel.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == fp.__version__


@pytest.mark.parametrize("name", fp.__all__)
def test_every_public_name_resolves_and_is_documented(name):
    value = getattr(fp, name)
    if inspect.ismodule(value):
        assert value.__doc__
        for inner in value.__all__:
            member = getattr(value, inner)
            if callable(member):
                assert inspect.getdoc(member), f"{name}.{inner} has no docstring"
    elif callable(value):
        assert inspect.getdoc(value)


def test_dir_lists_the_public_names():
    assert sorted(dir(fp)) == sorted(fp.__all__)
    with pytest.raises(AttributeError, match="no attribute 'rollin'"):
        fp.rollin  # noqa: B018
