"""Progress of long stages: a bar on a terminal, plain lines elsewhere, silence on request."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Protocol, TextIO


class Leader(NamedTuple):
    """A candidate that does well so far."""

    name: str
    score: float
    values: str


class Task(Protocol):
    """One stage under way."""

    def advance(self, steps: int = 1, note: str = "", leaders: Sequence[Leader] = ()) -> None:
        """Report ``steps`` more finished units.

        ``note`` replaces the text beside the bar; ``leaders`` are the best
        candidates so far, best first.
        """


class Reporter(Protocol):
    """Where progress goes."""

    def task(self, title: str, total: int) -> AbstractContextManager[Task]:
        """Open a stage of ``total`` units as a context manager that yields a :class:`Task`."""

    def say(self, text: str) -> None:
        """Print one line."""


class _SilentTask:
    def advance(self, steps: int = 1, note: str = "", leaders: Sequence[Leader] = ()) -> None:
        del steps, note, leaders


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

    def advance(self, steps: int = 1, note: str = "", leaders: Sequence[Leader] = ()) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._last < self._seconds and self._done < self._total:
            return
        self._last = now
        spent = now - self._start
        parts = [f"{self._title}: {self._done}/{self._total} after {spent:.0f} s"]
        if 0 < self._done < self._total:
            parts.append(f"about {spent / self._done * (self._total - self._done):.0f} s left")
        if leaders:
            parts.append("best " + ", ".join(f"{row.name} ({row.score:.4g})" for row in leaders))
        if note:
            parts.append(note)
        print(", ".join(parts), file=self._out, flush=True)


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
    """Bars with the time left and a table of the best candidates so far, on a terminal."""

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

        class Board(Progress):
            leaders: Sequence[Leader] = ()

            def get_renderables(self) -> Iterator[Any]:
                yield from super().get_renderables()
                if self.leaders:
                    yield _table(self.leaders)

        with Board(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
        ) as board:
            handle = board.add_task(title, total=total, note="")

            class RichTask:
                def advance(
                    self, steps: int = 1, note: str = "", leaders: Sequence[Leader] = ()
                ) -> None:
                    board.leaders = leaders or board.leaders
                    board.update(handle, advance=steps, note=note)

            yield RichTask()

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)


def _table(leaders: Sequence[Leader]) -> Any:
    from rich.table import Table

    table = Table("candidate", "score", "values", title="best so far", title_justify="left")
    for row in leaders:
        table.add_row(row.name, f"{row.score:.4g}", row.values)
    return table


def reporter(progress: bool | Reporter) -> Reporter:
    """The reporter for a ``progress`` argument: ``True`` picks by terminal, ``False`` is silent."""
    if not isinstance(progress, bool):
        return progress
    if not progress:
        return SilentReporter()
    return RichReporter() if sys.stderr.isatty() else PlainReporter()
