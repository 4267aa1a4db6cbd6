"""Users' reducers: functions of one 1-D window, compiled by numba or plain Python."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastpanel import _core
from fastpanel.errors import ParameterError

Reducer = Callable[[Any], float]


def is_compiled(func: Reducer) -> bool:
    """Is ``func`` a numba ``@njit`` function? Asked without importing numba."""
    numba = sys.modules.get("numba")
    return numba is not None and isinstance(func, numba.core.dispatcher.Dispatcher)


def takes_read_only(func: Any) -> bool:
    """Tell whether ``func`` compiles on demand; declared signatures know no read-only arrays."""
    return bool(func._can_compile)


def compile_reducer(func: Any, where: str) -> None:
    """Compile ``func`` by itself, so that an error shows the user's line and not the driver's.

    Raises
    ------
    ParameterError
        It does not compile for a window, or does not return one number.
    """
    from numba import types
    from numba.core.errors import NumbaError

    if takes_read_only(func):
        try:
            func.compile((types.Array(types.float64, 1, "C", readonly=True),))
        except NumbaError as error:
            raise ParameterError(
                f"{where}: func '{func.__name__}' does not compile for a 1-D float64 window "
                f"(read-only: copy it before changing it):\n{error}"
            ) from error
    windows = [
        signature
        for signature in (overload.signature for overload in func.overloads.values())
        if len(signature.args) == 1
        and isinstance(signature.args[0], types.Array)
        and (signature.args[0].ndim, signature.args[0].dtype) == (1, types.float64)
    ]
    if not windows:
        raise ParameterError(
            f"{where}: none of the declared signatures of func '{func.__name__}' takes a 1-D "
            f"float64 array: {func.signatures}; leave them out, or add float64(float64[:])"
        )
    result = windows[-1].return_type
    if not isinstance(result, types.Integer | types.Float | types.Boolean):
        raise ParameterError(
            f"{where}: func '{func.__name__}' must return one real number, it returns {result}"
        )


def warn_plain(func: Reducer, where: str) -> None:
    """Say that a plain Python function is slow, and what makes it fast."""
    warnings.warn(
        f"{where} calls the plain Python function '{getattr(func, '__name__', func)}' window by "
        "window, which is slow; decorate it with @numba.njit to run it compiled and on all cores",
        UserWarning,
        stacklevel=3,
    )


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


def pieces(n: int, count: int) -> list[tuple[int, int]]:
    """``[0, n)`` as up to ``count`` half-open ranges of nearly equal length."""
    count = max(1, min(n, count))
    return [(n * i // count, n * (i + 1) // count) for i in range(count)]
