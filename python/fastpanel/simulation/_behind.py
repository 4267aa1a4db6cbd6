"""Calls on a thread beside the caller, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Behind:
    """Carries out one call while the caller goes on to the next piece of work.

    The caller waits until the call before the newest has ended, so what is held
    for them stays bounded. An error of a call is raised by a later one, or at
    the end. Whoever leaves, by an error or Ctrl-C too, first waits for all
    calls that were begun.

    Examples
    --------
    >>> with Behind() as behind:
    ...     behind.call(print, 1)
    ...     behind.call(print, 2)
    1
    2
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "behind")
        self._newest: Future[Any] | None = None

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Begin a call, and wait for the one before."""
        before, self._newest = self._newest, self._thread.submit(function, *arguments)
        if before is not None:
            before.result()

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._thread.shutdown()
        if kind is None and self._newest is not None:
            self._newest.result()
