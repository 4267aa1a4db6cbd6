"""``fastpanel wizard``."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import typer

from fastpanel.cli._line import parse_line

Answers = dict[str, Any]
_YES_NO = {"y": True, "yes": True, "n": False, "no": False}


def wizard(context: typer.Context) -> None:
    """Build a command line from questions.

    Asks for the command and its flags, prints the line, and runs it after a yes. Questions go to
    the error stream, so the output is the line and what the command itself prints.

    Example: fastpanel wizard
    """
    root = context.find_root().command
    path, command = _ask_command(root)
    answers: Answers = {}
    while True:
        for parameter in command.params:
            answers[parameter.name] = _ask(parameter, answers.get(parameter.name))
        line = [*path, *_arguments(command, answers)]
        try:
            parse_line(root, line)
            break
        except Exception as error:
            if not hasattr(error, "format_message"):  # not a usage error
                raise
            _say(f"{error.format_message()} Once more; Enter keeps an answer.")
    typer.echo(shlex.join(["fastpanel", *line]))
    if _ask_yes_no("Run it?", default=False):
        root.main(args=line, standalone_mode=False)


def _ask_command(root: Any) -> tuple[list[str], Any]:
    """Name of a command, and of the one below it where it is a group."""
    path: list[str] = []
    node = root
    while hasattr(node, "commands"):
        names = [name for name in node.commands if name != "wizard"]
        for name in names:
            _say(f"  {name:<22}{node.commands[name].get_short_help_str(76)}")
        while (name := _read("Command")) not in names:
            _say(f"'{name}' is no command; choose one of {', '.join(names)}")
        path.append(name)
        node = node.commands[name]
    return path, node


def _ask(parameter: Any, before: Any) -> Any:
    """Answer to one flag: a bool, a text, or None for its default."""
    label = _flag(parameter) or parameter.name
    question = f"{label} ({parameter.help})" if parameter.help else label
    if getattr(parameter, "is_flag", False):
        return _ask_yes_no(question, bool(parameter.default) if before is None else before)
    default = _default_text(parameter) if before is None else before
    shown = f"[{default}]" if default else "[required]" if parameter.required else "[none]"
    commas = ", several with commas" if parameter.multiple else ""
    return _read(f"{question}{commas} {shown}") or before


def _ask_yes_no(question: str, default: bool) -> bool:
    while True:
        text = _read(f"{question} [{'Y/n' if default else 'y/N'}]").lower()
        if not text:
            return default
        if text in _YES_NO:
            return _YES_NO[text]
        _say("Answer y or n.")


def _read(question: str) -> str:
    """One line of the terminal; its end stops the wizard."""
    typer.echo(f"{question}: ", nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        raise typer.Abort
    return line.strip()


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _arguments(command: Any, answers: Answers) -> list[str]:
    """Arguments that the answers mean; what equals a default is left out."""
    line: list[str] = []
    for parameter in command.params:
        answer, flag = answers[parameter.name], _flag(parameter)
        if isinstance(answer, bool):
            if answer != bool(parameter.default):
                line.append(parameter.opts[0] if answer else parameter.secondary_opts[0])
        elif answer is not None and answer != _default_text(parameter):
            texts = answer.split(",") if parameter.multiple else [answer]
            for text in texts:
                line += [flag, text.strip()] if flag else [text.strip()]
    return line


def _flag(parameter: Any) -> str | None:
    """Long form of an option; None for an argument."""
    return next((name for name in parameter.opts if name.startswith("--")), None)


def _default_text(parameter: Any) -> str:
    default = parameter.default
    if default is None or default is ... or callable(default):
        return ""
    return str(getattr(default, "value", default))
