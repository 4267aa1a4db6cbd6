"""Compiled programs, shared by threads: traced one at a time, compiled and run side by side."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any

import jax
import numpy as np

_MOST = 128
TRACING = threading.RLock()
"""Held while a model or guide runs: NumPyro's handler stack belongs to the process."""

_known: OrderedDict[Any, Future[Any]] = OrderedDict()


def call(program: Any, *args: Any) -> Any:
    """Run a jitted ``program``; like calling it, but safe from several threads.

    The first call with arguments of new shapes traces under a lock and
    compiles outside it, so two programs compile at the same time.
    """
    return _executable(program, args)(*args)


def _executable(program: Any, args: tuple[Any, ...]) -> Any:
    leaves, structure = jax.tree.flatten(args)
    key = (program, structure, tuple((np.shape(leaf), _dtype(leaf)) for leaf in leaves))
    with TRACING:
        lowered = None
        if key not in _known:
            lowered = program.lower(*args)
            _known[key] = Future()
            while len(_known) > _MOST:
                _known.popitem(last=False)
        future = _known[key]
    if lowered is not None:
        try:
            future.set_result(lowered.compile())
        except BaseException as error:
            with TRACING:
                _known.pop(key, None)
            future.set_exception(error)
    return future.result()


def _dtype(leaf: Any) -> Any:
    return leaf.dtype if hasattr(leaf, "dtype") else np.result_type(leaf)
