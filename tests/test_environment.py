"""Variables and ``.env``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastpanel._environment import FOLDERS, Environment, dotenv, read_dotenv
from fastpanel.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


def test_dotenv_values_as_people_write_them(tmp_path):
    path = tmp_path / ".env"
    path.write_text(
        "# folders\n\nDATA_SOURCE=raw bars   # a comment\nexport IB_PORT = 4002\n"
        'A=\'single # kept\'\nB="line\\nbreak \\"quoted\\"" # comment\nEMPTY=\nC=a#b\nD=# all\n'
    )
    assert read_dotenv(path) == {
        "DATA_SOURCE": "raw bars",
        "IB_PORT": "4002",
        "A": "single # kept",
        "B": 'line\nbreak "quoted"',
        "EMPTY": "",
        "C": "a#b",
        "D": "",
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("DATA SOURCE=x", "line 1"),
        ("novalue", "NAME=value"),
        ('A="open', "quote"),
        ("A='x' y", "quote"),
    ],
)
def test_dotenv_names_the_broken_line(tmp_path, line, words):
    (tmp_path / ".env").write_text(line)
    with pytest.raises(ConfigError, match=words):
        read_dotenv(tmp_path / ".env")


def test_dotenv_fills_gaps_and_leaves_no_trace(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("FP_TEST_A=file\nFP_TEST_B=file\n")
    monkeypatch.setenv("FP_TEST_A", "process")
    with dotenv(tmp_path / ".env"):
        assert Environment().get("FP_TEST_A") == "process"
        assert Environment().get("FP_TEST_B") == "file"
    assert "FP_TEST_B" not in os.environ


def test_without_a_file_nothing_is_added(tmp_path):
    before = dict(os.environ)
    with dotenv(tmp_path / ".env"):
        assert dict(os.environ) == before


@pytest.mark.parametrize("name", FOLDERS)
def test_a_missing_folder_is_named(name):
    with pytest.raises(ConfigError, match=f"{name} is not set"):
        Environment({name: " "}).folder(name)
    assert Environment({name: "x/y"}).folder(name) == Path("x/y")


def test_integers():
    assert Environment({"MAX_PARALLEL_REQUESTS": "3"}).integer("MAX_PARALLEL_REQUESTS", "") == 3
    assert Environment({}).integer("MAX_PARALLEL_REQUESTS", "", default=4) == 4
    with pytest.raises(ConfigError, match="IB_PORT must be a whole number, got 'x'"):
        Environment({"IB_PORT": "x"}).integer("IB_PORT", "")


def test_the_example_lists_every_variable():
    values = read_dotenv(ROOT / ".env.example")
    expected = {
        *FOLDERS,
        "OPENAI_API_KEY",
        "MAX_PARALLEL_REQUESTS",
        "HISTORICAL_DATA_PROVIDER",
        "HISTORICAL_DATA_EXPORTER",
        "IB_HOST",
        "IB_PORT",
        "IB_CLIENT_ID",
        "ALPACA_API_KEY_ID",
        "ALPACA_API_SECRET_KEY",
        "ALPHA_VANTAGE_API_KEY",
        "LOG_DEST",
        "LOG_LEVEL",
        "LOG_FILE_PATH",
    }
    assert set(values) >= expected
