"""Users' reducers: functions of one 1-D window, compiled by numba or plain Python."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, cast

import numpy as np

from fastpanel import _core
from fastpanel.errors import ParameterError
from fastpanel.typing import FloatArray

Reducer = Callable[[Any], float]


def is_compiled(func: Any) -> bool:
    """Is ``func`` a numba ``@njit`` function? Asked without importing numba."""
    numba = sys.modules.get("numba")
    return numba is not None and isinstance(func, numba.core.dispatcher.Dispatcher)


def takes_read_only(func: Any) -> bool:
    """Tell whether ``func`` compiles on demand; declared signatures know no read-only arrays."""
    return bool(func._can_compile)


def compile_for(func: Any, arguments: tuple[Any, ...], where: str, takes: str) -> Any:
    """Compile ``func`` by itself, so that an error shows the user's line and not the driver's.

    Returns the numba type that it returns for ``arguments`` (numba types).

    Raises
    ------
    ParameterError
        It does not compile for ``arguments``, which ``takes`` puts in words, or its declared
        signatures take something else.
    """
    from numba.core.errors import NumbaError

    name = func.__name__
    if takes_read_only(func):
        try:
            func.compile(arguments)
        except NumbaError as error:
            raise ParameterError(
                f"{where}: func '{name}' does not compile for {takes}:\n{error}"
            ) from error
    fitting = [
        overload.signature.return_type
        for overload in func.overloads.values()
        if len(overload.signature.args) == len(arguments)
        and all(map(_same_array, overload.signature.args, arguments))
    ]
    if not fitting:
        raise ParameterError(
            f"{where}: none of the declared signatures of func '{name}' takes {takes}: "
            f"{func.signatures}; leave them out"
        )
    return fitting[-1]


def _same_array(given: Any, wanted: Any) -> bool:
    """Tell whether two numba types are arrays alike but for layout and writing."""
    shape = (wanted.ndim, wanted.dtype)
    return (getattr(given, "ndim", None), getattr(given, "dtype", None)) == shape


def compile_reducer(func: Any, where: str, arrays: int = 1) -> None:
    """Compile a function of so many read-only 1-D float64 arrays that returns one number.

    Raises
    ------
    ParameterError
        It does not compile, or does not return one number.
    """
    from numba import types

    array = types.Array(types.float64, 1, "C", readonly=True)
    many = "a 1-D float64 array" if arrays == 1 else f"{arrays} 1-D float64 arrays"
    result = compile_for(
        func, (array,) * arrays, where, f"{many} (read-only: copy it before changing it)"
    )
    if not isinstance(result, types.Integer | types.Float | types.Boolean):
        raise ParameterError(
            f"{where}: func '{func.__name__}' must return one real number, it returns {result}"
        )


def warn_plain(func: Any, where: str, each: str, stacklevel: int = 3) -> None:
    """Say that a plain Python function is slow, and what makes it fast."""
    warnings.warn(
        f"{where} calls the plain Python function '{getattr(func, '__name__', func)}' {each}, "
        "which is slow; decorate it with @numba.njit to run it compiled and on all cores",
        UserWarning,
        stacklevel=stacklevel,
    )


Loop = Callable[..., None]


@lru_cache(maxsize=256)
def compiled(make_loop: Callable[[Any], Loop], func: Any) -> Loop:
    """Compile the loop around one user's function; it runs without the GIL."""
    import numba

    return cast(Loop, numba.njit(nogil=True)(make_loop(func)))


def reducing(make_loop: Callable[[Any], Loop], func: Any, where: str, each: str) -> Loop:
    """Loop around a reducer of one read-only window: compiled, or as plain Python.

    A function with declared signatures, which know no read-only arrays, gets copies.

    Raises
    ------
    ParameterError
        ``func`` is no function, or does not compile.
    """
    if not callable(func):
        raise ParameterError(f"func must be a function of one 1-D array, got {func!r}")
    if not is_compiled(func):
        warn_plain(func, where, each, stacklevel=4)
        return make_loop(func)
    compile_reducer(func, where)
    return compiled(make_loop, func if takes_read_only(func) else _on_copies(func))


@lru_cache(maxsize=256)
def _on_copies(func: Any) -> Any:
    import numba

    return numba.njit(lambda window: func(window.copy()))


def scratch(n: int) -> tuple[FloatArray, FloatArray]:
    """Room for ``n`` values to write, and the same room to read only."""
    room = np.empty(n)
    held = room.view()
    held.flags.writeable = False
    return room, held


def share_out(tasks: Sequence[Callable[[], None]]) -> None:
    """Run tasks that release the GIL on as many threads as the kernels may use."""
    threads = min(_core.num_threads(), len(tasks))
    if threads <= 1:
        for task in tasks:
            task()
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(task) for task in tasks]:
            done.result()


def shares() -> int:
    """Into how many pieces work is cut for the threads; more than threads, to even them out."""
    threads = _core.num_threads()
    return 1 if threads == 1 else 4 * threads


def pieces(n: int, count: int) -> list[tuple[int, int]]:
    """``[0, n)`` as up to ``count`` half-open ranges of nearly equal length."""
    count = max(1, min(n, count))
    return [(n * i // count, n * (i + 1) // count) for i in range(count)]
