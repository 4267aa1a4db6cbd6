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
        context = node.context_class(node, info_name=path[-1])
        try:
            name, node, rest = node.resolve_command(context, rest)
        except Exception as error:
            if not hasattr(error, "format_message"):  # not a usage error
                raise
            known = sorted(node.commands)
            raise UnknownNameError(f"no command '{rest[0]}'; there are {known}") from None
        path.append(name)
    parsed: dict[str, Any] = node.make_context(" ".join(path), rest).params
    return parsed
