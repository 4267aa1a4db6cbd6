"""The ``fastpanel`` command."""

from fastpanel.cli._app import main as main

__all__ = ["main"]
