"""Parsing a command line without running it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastpanel.errors import UnknownNameError


def parse_line(root: Any, arguments: Sequence[str]) -> dict[str, Any]:
    """Parse ``arguments`` (without the program's name) and run nothing.

    Returns the parameters of the command. Raises the usage error that running
    the line would, or :class:`UnknownNameError` for an unknown command.
    """
    node, rest = root, list(arguments)
    path = ["fastpanel"]
    while hasattr(node, "commands") and rest:
        name = rest.pop(0)
        if name not in node.commands:
            raise UnknownNameError(f"no command '{name}'; there are {sorted(node.commands)}")
        node = node.commands[name]
        path.append(name)
    parsed: dict[str, Any] = node.make_context(" ".join(path), rest).params
    return parsed
