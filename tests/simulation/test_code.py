"""The key of a result covers the code that a user has added."""

from __future__ import annotations

import importlib
import textwrap
from dataclasses import replace

import pytest

import fastpanel as fp
from fastpanel.errors import ConfigError
from fastpanel.simulation._code import code_version, user_code
from fastpanel.simulation._hooks import stub_hooks

METRIC = """
    from fastpanel.models import metric_registry, register_metric

    if "{name}" not in metric_registry("inner"):

        @register_metric("{name}")
        def build(spec):
            return lambda y_true, pred, score_spec: {value}
"""


@pytest.fixture
def extension(tmp_path, monkeypatch):
    """Write ``my_extension_<n>.py`` into a folder of the import path."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def write(name, value=1.0):
        text = textwrap.dedent(METRIC).format(name=name, value=value)
        (folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return name

    return write


def test_extension_registers_what_the_configuration_names(extension, config, panel):
    name = extension("ext_constant", 17.0)
    config["extensions"] = [name]
    config["scoring"] = {"spec": {"metric_name": name}}
    config["flags"]["stop_after"] = "inner"
    result = fp.simulation.run(config, panel=panel, progress=False)
    assert {unit.score for unit in result.records[2]["0"]} == {17.0}


def test_extension_that_cannot_be_imported_is_an_error_with_its_name(config):
    config["extensions"] = ["no_such_module_here"]
    config["cv"]["q"] = 0
    with pytest.raises(ConfigError, match=r"2 mistakes[\s\S]*extensions: cannot import 'no_such_m"):
        fp.simulation.load_config(config)


def test_changed_extension_is_computed_again(extension, config, panel):
    name = extension("ext_changing", 1.0)
    config["extensions"] = [name]
    config["scoring"] = {"spec": {"metric_name": name}}
    config["flags"]["stop_after"] = "inner"
    calls = []
    stub = stub_hooks(fp.simulation.load_config(config))

    def fit(X, y, job, state):
        calls.append(1)
        return stub.fit_model(X, y, job, state)

    hooks = replace(stub, fit_model=fit)
    fp.simulation.run(config, panel=panel, hooks=hooks, progress=False)
    first = len(calls)
    assert first
    fp.simulation.run(config, panel=panel, hooks=hooks, progress=False)
    assert len(calls) == first
    extension("ext_changing", 2.0)
    fp.simulation.run(config, panel=panel, hooks=hooks, progress=False)
    assert len(calls) == 2 * first


def test_only_code_outside_the_package_counts(extension):
    plain = fp.simulation.load_config({"scoring": {"spec": {"metric_name": "energy_score"}}})
    assert user_code(plain, None, outer=True) == {}
    assert user_code(plain, stub_hooks(plain), outer=True) == {}
    mine = replace(stub_hooks(plain), allocate=lambda pred, spec: None)
    assert user_code(plain, mine, outer=False) == {}
    assert list(user_code(plain, mine, outer=True)) == ["test_code.py"]


def test_package_digest_is_stable():
    assert code_version() == code_version()
    assert len(code_version()["sources"]) == 64
