"""Progress of long stages: a bar on a terminal, plain lines elsewhere, silence on request."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO


class Task(Protocol):
    """One stage under way."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Report ``steps`` more finished units; ``note`` replaces the text beside the bar."""


class Reporter(Protocol):
    """Where progress goes."""

    def task(self, title: str, total: int) -> AbstractContextManager[Task]:
        """Open a stage of ``total`` units as a context manager that yields a :class:`Task`."""

    def say(self, text: str) -> None:
        """Print one line."""


class _SilentTask:
    def advance(self, steps: int = 1, note: str = "") -> None:
        del steps, note


class SilentReporter:
    """Says nothing."""

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Task]:
        del title, total
        yield _SilentTask()

    def say(self, text: str) -> None:
        del text


class _PlainTask:
    def __init__(self, title: str, total: int, out: TextIO, seconds: float) -> None:
        self._title, self._total, self._out, self._seconds = title, total, out, seconds
        self._done, self._start = 0, time.monotonic()
        self._last = self._start

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._last >= self._seconds or self._done >= self._total:
            self._last = now
            text = f"{self._title}: {self._done}/{self._total} after {now - self._start:.0f} s"
            print(f"{text} {note}".rstrip(), file=self._out, flush=True)


class PlainReporter:
    """One line at the end of a stage and every few seconds in between."""

    def __init__(self, out: TextIO | None = None, every_seconds: float = 10.0) -> None:
        self._out = sys.stderr if out is None else out
        self._seconds = every_seconds

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Task]:
        yield _PlainTask(title, total, self._out, self._seconds)

    def say(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class RichReporter:
    """Bars with the time left, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Task]:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        with Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
        ) as progress:
            handle = progress.add_task(title, total=total, note="")

            class RichTask:
                def advance(self, steps: int = 1, note: str = "") -> None:
                    progress.update(handle, advance=steps, note=note)

            yield RichTask()

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)


def reporter(progress: bool | Reporter) -> Reporter:
    """The reporter for a ``progress`` argument: ``True`` picks by terminal, ``False`` is silent."""
    if not isinstance(progress, bool):
        return progress
    if not progress:
        return SilentReporter()
    return RichReporter() if sys.stderr.isatty() else PlainReporter()
