"""Log lines to the terminal and to a file."""

from __future__ import annotations

import warnings

import pytest

from fastpanel.errors import ConfigError, DataError
from fastpanel.pipelines import Environment, open_log


def write(tmp_path, capsys, **variables):
    """What lands on the terminal and in the file."""
    path = tmp_path / "logs" / "run.log"
    environment = Environment({"LOG_FILE_PATH": str(path), **variables})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with open_log(environment=environment) as log:
            log.say("three files")
            with log.task("Reading", 2) as task:
                task.advance(2)
            warnings.warn("no zone", stacklevel=1)
    return capsys.readouterr().err, path.read_text() if path.is_file() else ""


def test_both_places_get_every_line(tmp_path, capsys):
    console, file = write(tmp_path, capsys, LOG_DEST="console,file")
    for text in (console, file):
        assert "three files" in text
        assert "Reading" in text
        assert "no zone" in text
    assert "INFO three files" in file
    assert "WARNING no zone" in file
    assert file[:2] == "20" and "Z INFO" in file.splitlines()[0]


def test_the_terminal_is_the_default(tmp_path, capsys):
    console, file = write(tmp_path, capsys)
    assert "three files" in console
    assert file == ""


def test_file_only_is_silent_on_the_terminal(tmp_path, capsys):
    console, file = write(tmp_path, capsys, LOG_DEST="file")
    assert console == ""
    assert "three files" in file


def test_warning_level_hides_info_lines(tmp_path, capsys):
    console, file = write(tmp_path, capsys, LOG_DEST="console,file", LOG_LEVEL="warning")
    for text in (console, file):
        assert "three files" not in text
        assert "Reading" not in text
        assert "no zone" in text
    console, file = write(tmp_path / "b", capsys, LOG_DEST="console,file", LOG_LEVEL="ERROR")
    assert (console, file) == ("", "")


def test_errors_reach_the_file(tmp_path):
    path = tmp_path / "run.log"
    environment = Environment({"LOG_DEST": "file", "LOG_FILE_PATH": str(path)})
    with pytest.raises(DataError), open_log(environment=environment):
        raise DataError("no bars")
    assert path.read_text().endswith("ERROR no bars\n")


def test_what_was_there_before_comes_back(tmp_path):
    before = warnings.showwarning
    with open_log(environment=Environment({})):
        assert warnings.showwarning is not before
    assert warnings.showwarning is before


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"LOG_DEST": "file"}, "LOG_FILE_PATH is not set"),
        ({"LOG_DEST": "syslog"}, "LOG_DEST: unknown 'syslog'"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL is 'LOUD'"),
    ],
)
def test_wrong_variables_are_named(variables, words):
    with pytest.raises(ConfigError, match=words), open_log(environment=Environment(variables)):
        pass
