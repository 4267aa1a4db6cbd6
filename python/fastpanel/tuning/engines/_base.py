"""What every engine takes and gives: tasks in, results out, recorded by the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fastpanel.registry import Registry

if TYPE_CHECKING:
    from fastpanel.tuning._config import TuningConfig


class Task(Protocol):
    """One piece of work, small and picklable; ``key`` names it and all that it depends on."""

    @property
    def key(self) -> str: ...


class Work(Protocol):
    """How tasks are carried out. It can be pickled, and does not carry the data when it is.

    A process that works on tasks does ``run = work.open(work.load())`` once and
    then ``run(task)`` for each. ``run`` gives the same bits in any process of
    one machine, whatever ran before.
    """

    def load(self) -> Any:
        """The large read-only inputs: what the maker holds, or else read from disk."""

    def open(self, shared: Any) -> Callable[[Any], Any]:
        """Prepare a process for tasks; ``shared`` is what :meth:`load` returned.

        An engine may ship ``shared`` in its own way (an object store, for
        instance) instead of loading it again.
        """


Done = Callable[[Any, Any], None]
"""``done(task, result)`` takes a finished task over, to record it durably beside the next."""


class Engine(Protocol):
    """Carries out tasks.

    Attributes
    ----------
    in_process : bool
        Whether tasks run in the calling process, so that anything callable can
        be handed over and not only what another process can import.
    """

    in_process: bool

    def execute(self, work: Work, tasks: Sequence[Any], done: Done) -> None:
        """Run every task and call ``done`` once for each, in any order.

        ``done`` is called in the calling thread of the calling process, as
        soon as the result is there: whoever is stopped later loses nothing.
        ``KeyboardInterrupt`` and errors of a task or of ``done`` stop the
        engine and are raised here, after the workers are gone.
        """

    def close(self) -> None:
        """Let go of the workers. An engine that is used again afterwards starts new ones."""


Factory = Callable[["TuningConfig", bool], Engine]
F = TypeVar("F", bound=Factory)

_ENGINES: Registry[Factory] = Registry("tuning engine")


def register_engine(name: str) -> Callable[[F], F]:
    """Register a factory ``(tuning section, use_gpu) -> Engine`` as ``tuning.engine: name``.

    Parameters
    ----------
    name : str

    Returns
    -------
    callable
        Decorator that gives the factory back.

    Raises
    ------
    DuplicateNameError
        The name is taken.

    Examples
    --------
    >>> from fastpanel.tuning.engines import engine_registry
    >>> sorted(engine_registry())
    ['local', 'optuna', 'ray']
    """
    return _ENGINES.register(name)


def engine_registry() -> Registry[Factory]:
    """All engines by name."""
    return _ENGINES


def make_engine(config: TuningConfig, *, use_gpu: bool = False) -> Engine:
    """Build the engine that ``tuning.engine`` names.

    Parameters
    ----------
    config : TuningConfig
    use_gpu : bool
        Let tasks ask for GPUs.

    Returns
    -------
    Engine
        Close it, or use it as a context manager by ``contextlib.closing``.

    Raises
    ------
    MissingExtraError
        Its library is not installed; raised before any work.

    Examples
    --------
    >>> from fastpanel.tuning import TuningConfig, make_engine
    >>> make_engine(TuningConfig()).in_process
    True
    """
    return _ENGINES[config.engine](config, use_gpu)
