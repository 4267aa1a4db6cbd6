"""Threads, SIMD level, versions, and the canonical form of arrays for the core."""

from __future__ import annotations

import operator
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any, TypeVar

import numpy as np

from fastpanel import _core
from fastpanel._version import __version__
from fastpanel.errors import ParameterError, ShapeError
from fastpanel.typing import AnyArray, ArrayLike, FloatArray

T = TypeVar("T")

_OPTIONAL = ("torch", "pyro-ppl", "jax", "numpyro", "optuna", "ray", "mlflow", "matplotlib")
_REQUIRED = ("numpy", "scipy", "polars", "pyarrow", "numba", "pydantic")


def set_num_threads(n: int | None) -> None:
    """Cap the threads that the compiled kernels use in this process.

    Parameters
    ----------
    n : int or None
        At least 1; ``None`` goes back to all cores. The environment variable
        ``FASTPANEL_NUM_THREADS`` sets the same at import. No result depends
        on it, bit for bit.

    Raises
    ------
    ParameterError
        ``n`` is below 1.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.set_num_threads(1)
    >>> fp.set_num_threads(None)
    """
    if n is not None and (not hasattr(n, "__index__") or n < 1):
        raise ParameterError(f"set_num_threads: n must be at least 1 or None, got {n!r}")
    _core.set_num_threads(0 if n is None else n)


def show_versions() -> dict[str, Any]:
    """Versions and settings, for a bug report or a manifest.

    Returns
    -------
    dict
        ``fastpanel``, ``python``, ``platform``, ``threads``, ``simd`` (level in
        use), ``simd_available``, ``debug_build`` and one entry per dependency
        (``None`` where it is not installed).

    Examples
    --------
    >>> import fastpanel as fp
    >>> sorted(fp.show_versions())[:2]
    ['debug_build', 'fastpanel']
    """
    return {
        "fastpanel": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": _core.num_threads(),
        "simd": _core.simd_level(),
        "simd_available": _core.simd_levels(),
        "debug_build": _core.debug_build(),
        **{name: _version(name) for name in (*_REQUIRED, *_OPTIONAL)},
    }


def canonical(x: ArrayLike, name: str, *, ndim: int | None = None) -> FloatArray:
    """``x`` as C-contiguous, aligned float64; copies only if it has to.

    Raises
    ------
    ShapeError
        The number of axes is not ``ndim``.
    ParameterError
        The values are not real numbers.
    """
    array = as_array(x, name)
    if ndim is not None and array.ndim != ndim:
        raise ShapeError(f"{name} must have {ndim} axes, got shape {array.shape}")
    ready = np.ascontiguousarray(array, dtype=np.float64)
    return ready if ready.flags.aligned else ready.copy()


def as_array(x: Any, name: str) -> AnyArray:
    """``x`` as an array of real numbers of whatever dtype and order.

    Raises
    ------
    ShapeError
        Nested lists of different lengths.
    ParameterError
        The values are not real numbers.
    """
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ShapeError(f"{name} is not an array: {error}") from None
    if array.dtype.kind not in "fiub":
        raise ParameterError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array


def interleave(columns: Sequence[FloatArray]) -> FloatArray:
    """Stack ``[T, A]`` columns, one or more of one shape, to ``[T, A, F]``."""
    flat = [np.ascontiguousarray(column).reshape(-1) for column in columns]
    return _core.interleave(flat).reshape(*columns[0].shape, len(columns))


def real(x: Any, name: str) -> FloatArray:
    """``x`` as float64 in whatever order it lies.

    Raises
    ------
    ParameterError
        The values are not real numbers.
    """
    return as_array(x, name).astype(np.float64, copy=False)


def number(value: Any, name: str) -> float:
    """``value`` as a float.

    Raises
    ------
    ParameterError
        It is not one real number.
    """
    if isinstance(value, str | bytes | complex) or np.ndim(value) > 0:
        raise ParameterError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} must be a number, got {value!r}") from None


def integer(name: str, value: Any, minimum: int) -> int:
    """``value`` as int of at least ``minimum``; a float or a bool is an error."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, (bool, np.bool_)) or number < minimum:
        raise ParameterError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    return number


def checked_seed(seed: T) -> T:
    """``seed`` as given: a whole number of at least 0, or several of them."""
    for number in seed if isinstance(seed, (Sequence, np.ndarray)) and np.ndim(seed) else [seed]:
        integer("seed", number, 0)
    return seed


def has_axis(axis: Any, ndim: int) -> bool:
    """Tell whether ``axis`` is an integer that counts one of ``ndim`` axes, also from the end."""
    return hasattr(axis, "__index__") and -ndim <= operator.index(axis) < ndim


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _read_environment() -> None:
    if threads := os.environ.get("FASTPANEL_NUM_THREADS"):
        if not threads.isdecimal() or int(threads) < 1:
            raise ParameterError(
                f"FASTPANEL_NUM_THREADS must be a whole number of at least 1, got {threads!r}"
            )
        set_num_threads(int(threads))
    if level := os.environ.get("FASTPANEL_SIMD"):
        if level not in _core.simd_levels():
            raise ParameterError(
                f"FASTPANEL_SIMD must be one of {_core.simd_levels()}, got {level!r}"
            )
        _core.set_simd_level(level)


_read_environment()
