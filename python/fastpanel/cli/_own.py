"""Users' own Python files, run so that their decorators register."""

from __future__ import annotations

import runpy
from pathlib import Path

from fastpanel.errors import ConfigError


def run_file(path: Path) -> None:
    """Run a Python file of the user's, once per call.

    Raises
    ------
    ConfigError
        The file is missing, or fails; names the file and its error.
    """
    if not path.is_file():
        raise ConfigError(f"missing file: {path}")
    try:
        runpy.run_path(str(path), run_name=path.stem)
    except Exception as error:
        raise ConfigError(f"{path} failed: {type(error).__name__}: {error}") from error
