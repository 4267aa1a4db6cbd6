"""Where the lines of a command go: the terminal, a file, or both."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastpanel._environment import Environment
from fastpanel.errors import ArtifactError, ConfigError, FastPanelError
from fastpanel.progress import Reporter, SilentReporter, Task, reporter

_DESTINATIONS = ("console", "file")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Log:
    """A :class:`~fastpanel.progress.Reporter` for the terminal and a log file.

    ``file`` gets what is said, when a stage begins and ends, warnings and
    errors, each with its UTC time and level.
    """

    def __init__(self, console: Reporter, file: logging.Logger, *, show_warnings: bool) -> None:
        self._console, self._file = console, file
        self._show_warnings = show_warnings

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Task]:
        """Open a stage."""
        self._file.info("%s: started, %d steps", title, total)
        start = time.monotonic()
        with self._console.task(title, total) as task:
            yield task
        self._file.info("%s: ended after %.1f s", title, time.monotonic() - start)

    def say(self, text: str) -> None:
        """Write one line at level INFO."""
        self._console.say(text)
        self._file.info(text)

    def warning(self, text: str) -> None:
        """Write one line at level WARNING."""
        if self._show_warnings:
            print(f"fastpanel: warning: {text}", file=sys.stderr)  # noqa: T201
        self._file.warning(text)

    def error(self, text: str) -> None:
        """Write one line at level ERROR to the file; the command prints it on the terminal."""
        self._file.error(text)


@contextmanager
def open_log(*, quiet: bool = False, environment: Environment | None = None) -> Iterator[Log]:
    """Open the log of a command.

    Reads ``LOG_DEST`` (``console``, ``file`` or both with a comma; default
    ``console``), ``LOG_LEVEL`` (default ``INFO``) and ``LOG_FILE_PATH``, which
    the destination ``file`` needs. While it is open, Python warnings go there.
    ``quiet`` silences what is below a warning on the terminal.

    Raises
    ------
    ConfigError
        A variable is missing or wrong.
    ArtifactError
        The log file cannot be written.
    """
    environment = environment or Environment()
    places = _destinations(environment)
    level = _level(environment)
    talks = "console" in places and level <= logging.INFO and not quiet
    console = reporter(True) if talks else SilentReporter()
    file = logging.Logger("fastpanel", level)
    handler: logging.Handler = logging.NullHandler()
    if "file" in places:
        handler = _handler(Path(environment.require("LOG_FILE_PATH", "the log file")).expanduser())
    file.addHandler(handler)
    shows = "console" in places and level <= logging.WARNING
    log = Log(console, file, show_warnings=shows)
    before = warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: log.warning(str(message))
    try:
        yield log
    except FastPanelError as error:
        log.error(str(error))
        raise
    finally:
        warnings.showwarning = before
        handler.close()


def _destinations(environment: Environment) -> list[str]:
    text = environment.get("LOG_DEST") or "console"
    places = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [place for place in places if place not in _DESTINATIONS]
    if unknown:
        raise ConfigError(f"LOG_DEST: unknown '{unknown[0]}'; choose of {list(_DESTINATIONS)}")
    return places


def _level(environment: Environment) -> int:
    name = (environment.get("LOG_LEVEL") or "INFO").upper()
    if name not in _LEVELS:
        raise ConfigError(f"LOG_LEVEL is '{name}'; choose one of {list(_LEVELS)}")
    return int(getattr(logging, name))


def _handler(path: Path) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise ArtifactError(f"cannot write the log {path}: {error.strerror or error}") from None
    form = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s")
    form.converter = time.gmtime
    form.datefmt = "%Y-%m-%dT%H:%M:%S"
    handler.setFormatter(form)
    return handler
