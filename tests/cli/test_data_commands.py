"""The data side of the command line."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from fastpanel.cli import main
from fastpanel.cli._app import app
from fastpanel.cli._line import parse_line
from fastpanel.data.stores import feature_groups
from fastpanel.errors import UnknownNameError
from fastpanel.pipelines import default_registry

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    "wizard",
    "historical",
    "data_cleaning",
    "data_processing",
    "feature_engineering",
    "simulation",
    "audit",
]
DOTENV = """
DATA_SOURCE=raw
DATA_LAKE_SOURCE=lake
FEATURE_STORE_SOURCE=store
SIMULATION_SOURCE=runs
HISTORICAL_DATA_PROVIDER=simulated
"""
TICKERS = """
tickers: [SIM00, SIM01]
duration: 18 M
bar_size: 1 day
what_to_show: MIDPOINT
end: 2023-12-31
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with ``.env`` and ticker file."""
    for line in DOTENV.split():
        monkeypatch.delenv(line.partition("=")[0], raising=False)
    for name in ("LOG_DEST", "LOG_LEVEL", "MAX_PARALLEL_REQUESTS", "HISTORICAL_DATA_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(DOTENV)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tickers.yml").write_text(TICKERS)
    return tmp_path


def fails(arguments, code, words, capsys):
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1, error


def documented() -> list[str]:
    """Every command line of the documentation, dates filled in."""
    files = [ROOT / "docs" / "commands.md", ROOT / "examples" / "data_commands" / "README.md"]
    text = "\n".join(path.read_text() for path in files)
    lines = re.findall(r"^(?: {4})?fastpanel ([^\n]+)$", text, re.MULTILINE)
    return [line.replace("YYYY-MM", "2024-05").partition("  #")[0].strip() for line in lines]


LITERAL = [
    "historical",
    "data_cleaning --start YYYY-MM --end YYYY-MM --return-type simple --assets EUR.USD,IBUS30",
    "data_cleaning --start YYYY-MM --end YYYY-MM --return-type log --assets EUR.USD,IBUS30",
    "data_processing",
    "data_processing --preprocessor identity",
    "data_processing --preprocessor identity --preprocessor-arg copy=true",
    "data_processing --preprocessor zscore --preprocessor-arg start_date=2020-01-01 "
    "--preprocessor-arg end_date=2024-12-31 --preprocessor-arg missing=drop "
    "--preprocessor-arg pipeline=my_pipeline",
    "data_processing --preprocessor pca --preprocessor-arg k=5",
    "data_processing --preprocessor pca --preprocessor-arg variance=0.9",
    "feature_engineering --group momentum",
    "simulation --simulation-config config/simulation.yml",
    "wizard",
]


@pytest.mark.parametrize("line", documented())
def test_documented_lines_parse(line):
    parse_line(get_command(app), line.split())


def test_the_documentation_has_the_lines_that_users_know():
    known = {line.replace("YYYY-MM", "2024-05") for line in LITERAL}
    assert known <= set(documented())


def test_parsing_finds_mistakes():
    root = get_command(app)
    assert parse_line(root, ["data_processing"])["preprocessor"] == "identity"
    with pytest.raises(UnknownNameError, match="no command 'clean'"):
        parse_line(root, ["clean"])
    for line in ("data_cleaning", "data_cleaning --start 2024-13", "historical --fast"):
        with pytest.raises(Exception) as caught:
            parse_line(root, line.split())
        assert hasattr(caught.value, "format_message")


def test_help_lists_every_command_with_one_line(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S.*\.$", text, re.MULTILINE), name


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_that_parses(command, capsys):
    assert main([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    example = text.partition("Example: fastpanel ")[2].partition(" Options:")[0]
    assert example.startswith(command)
    parse_line(get_command(app), example.partition(" Arguments:")[0].split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data_cleaning"], "Missing option '--start'"),
        (["data_cleaning", "--start", "2024-13"], "must be a month YYYY-MM, got '2024-13'"),
        (["data_cleaning", "--start", "2024-01", "--return-type", "gross"], "'gross'"),
    ],
)
def test_wrong_usage(arguments, words, capsys):
    fails(arguments, 2, words, capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data_processing", "--preprocessor-arg", "copy"], "must be key=value, got 'copy'"),
        (["data_processing", "--preprocessor", "log"], "['identity', 'pca', 'zscore']"),
        (["data_cleaning", "--start", "2023-01", "--assets", "SIM00,,"], "an empty name"),
        (["data_cleaning", "--start", "2023-01"], "holds no <asset>"),
        (["feature_engineering"], "run 'fastpanel data_cleaning' first"),
        (["simulation"], "config/simulation.yml"),
        (["historical", "--tickers", "nowhere.yml"], "missing file: nowhere.yml"),
    ],
)
def test_errors_are_one_line(place, arguments, words, capsys):
    fails(arguments, 1, words, capsys)


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["historical"], ["DATA_SOURCE"]),
        (["data_cleaning", "--start", "2023-01"], ["DATA_SOURCE", "DATA_LAKE_SOURCE"]),
        (["data_processing"], ["DATA_LAKE_SOURCE", "FEATURE_STORE_SOURCE"]),
        (["feature_engineering"], ["DATA_LAKE_SOURCE", "FEATURE_STORE_SOURCE"]),
    ],
)
def test_each_stage_names_the_variable_it_misses(place, arguments, variables, capsys):
    for name in variables:
        (place / ".env").write_text(DOTENV.replace(f"{name}=", f"X_{name}="))
        fails(arguments, 1, f"{name} is not set", capsys)


def test_from_download_to_simulation(place, capsys):
    assert main(["historical"]) == 0
    assert (place / "raw" / "SIM00" / "2023" / "hist_data_2023-02.csv").is_file()
    assert main(["data_cleaning", "--start", "2022-07"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(place / "lake" / "2023-52")
    assert main(["data_processing"]) == 0
    returns = (place / "lake" / "2023-52" / "returns.csv").read_bytes()
    processed = place / "store" / "identity" / "debug" / "2023-52" / "processed.csv"
    assert processed.read_bytes() == returns
    assert main(["feature_engineering", "--group", "momentum", "--group", "breakout"]) == 0
    assert list(feature_groups(place / "store" / "2023-52")) == ["breakout", "momentum"]
    (place / "config" / "simulation.yml").write_text(
        "cv: {warmup_len: 26, group_len: 16, q: 1}\n"
        "flags: {simulation_mode: stub, stop_after: cv}\n"
    )
    assert main(["simulation"]) == 0
    assert (place / "runs" / "2023-52" / "inputs" / "panel_tensor.pt").is_file()
    assert not {"DATA_SOURCE", "SIMULATION_SOURCE"} & set(os.environ)


def test_a_preprocessor_of_your_own_from_the_command_line(place, capsys):
    assert main(["historical", "--quiet"]) == 0
    assert main(["data_cleaning", "--start", "2022-07", "--quiet"]) == 0
    registry = default_registry()
    registry.add("halved", lambda frame, *, by="2": frame / float(by))
    try:
        line = ["data_processing", "--preprocessor", "halved", "--preprocessor-arg", "by=4"]
        assert main(line) == 0
        assert (place / "store" / "halved" / "debug" / "2023-52" / "processed.csv").is_file()
    finally:
        del registry._items["halved"]


def test_quiet_prints_the_folder_only(place, capsys):
    assert main(["historical", "--quiet"]) == 0
    streams = capsys.readouterr()
    assert streams.out == f"{place / 'raw'}\n"
    assert streams.err == ""


def test_a_failed_download_exits_with_1_and_keeps_the_rest(place, capsys):
    (place / "config" / "tickers.yml").write_text(TICKERS.replace("SIM01", "GOLD"))
    fails(["historical", "--quiet"], 1, "unknown asset 'GOLD'", capsys)
    assert (place / "raw" / "SIM00" / "2023" / "hist_data_2023-02.csv").is_file()


def ask(monkeypatch, *answers):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(answers) + "\n"))
    return main(["wizard"])


def test_the_wizard_prints_the_line_that_the_answers_mean(place, monkeypatch, capsys):
    answers = ["data_cleaning", "2024-01", "", "log", "EUR.USD,IBUS30", "", "y", "", "", "", "n"]
    assert ask(monkeypatch, *answers) == 0
    streams = capsys.readouterr()
    line = (
        "fastpanel data_cleaning --start 2024-01 --return-type log --assets EUR.USD,IBUS30 "
        "--keep-partial\n"
    )
    assert streams.out == line
    parsed = parse_line(get_command(app), line.split()[1:])
    assert (parsed["start"], parsed["end"], parsed["keep_partial"]) == ("2024-01", None, True)
    assert "[simple]" in streams.err  # defaults are shown
    assert not (place / "lake").exists()  # a no runs nothing


def test_the_wizard_runs_after_a_yes(place, monkeypatch, capsys):
    assert ask(monkeypatch, "historical", "", "", "y", "y") == 0
    assert (place / "raw" / "coverage.json").is_file()
    assert capsys.readouterr().out.splitlines() == [
        "fastpanel historical --quiet",
        str(place / "raw"),
    ]


def test_the_wizard_leaves_out_what_equals_a_default(place, monkeypatch, capsys):
    assert ask(monkeypatch, "data_cleaning", "2024-01", "", "simple", *[""] * 6, "n") == 0
    assert capsys.readouterr().out == "fastpanel data_cleaning --start 2024-01\n"


def test_the_wizard_repeats_flags_with_commas_and_quotes(place, monkeypatch, capsys):
    answers = ["data_processing", "pca", "k=2, pipeline=a b", "", "n"]
    assert ask(monkeypatch, *answers) == 0
    assert capsys.readouterr().out == (
        "fastpanel data_processing --preprocessor pca --preprocessor-arg k=2 "
        "--preprocessor-arg 'pipeline=a b'\n"
    )


def test_the_wizard_asks_again_until_the_line_parses(place, monkeypatch, capsys):
    rest = [""] * 7
    first = ["clean", "data_cleaning", "2024-13", "2024-06", *rest]
    assert ask(monkeypatch, *first, "2024-03", "", *rest, "maybe", "n") == 0
    streams = capsys.readouterr()
    assert streams.out == "fastpanel data_cleaning --start 2024-03 --end 2024-06\n"
    assert "'clean' is no command" in streams.err
    assert "must be a month YYYY-MM, got '2024-13' Once more" in streams.err


def test_the_wizard_stops_at_the_end_of_its_input(place, monkeypatch, capsys):
    assert ask(monkeypatch, "audit", "features") == 130
    assert "stopped" in capsys.readouterr().err


def script(name, *arguments, cwd):
    command = [str(ROOT / "examples" / "scripts" / name), *arguments]
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT / "python")}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_scripts_show_tensors(place):
    missing = script("show_return_tensor.sh", cwd=place)
    assert missing.returncode == 1
    assert "run 'fastpanel data_cleaning' first" in missing.stderr
    main(["historical", "--quiet"])
    main(["data_cleaning", "--start", "2022-07", "--quiet"])
    main(["feature_engineering", "--group", "momentum", "--quiet"])
    shown = script("show_return_tensor.sh", "--head", "3", cwd=place)
    lines = shown.stdout.splitlines()
    assert "simple returns, shape [78, 2]" in lines[0]
    assert lines[1].split() == ["SIM00", "SIM01"]
    assert len(lines) == 2 + 3
    folder = script("show_return_tensor.sh", "lake/2023-52", cwd=place)
    assert len(folder.stdout.splitlines()) == 2 + 5
    shown = script("show_feature_tensor.sh", "--group", "momentum", "--head", "2", cwd=place)
    assert "shape [78, 2, 5]" in shown.stdout
    assert len(shown.stdout.splitlines()) == 2 + 2 * 2
    wrong = script("show_feature_tensor.sh", "--group", "regime", cwd=place)
    assert wrong.returncode == 1
    assert "no feature group 'regime'" in wrong.stderr


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("show_feature_tensor.sh", ()),
        ("show_feature_tensor.sh", ("--group",)),
        ("show_return_tensor.sh", ("--rows", "3")),
        ("show_return_tensor.sh", ("--head", "0")),
    ],
)
def test_scripts_refuse_wrong_usage(tmp_path, name, arguments):
    done = script(name, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr
