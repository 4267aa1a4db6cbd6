"""A user's own feature: feed its function with arrays, compiled and in parallel where it can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from fastpanel._jit import (
    Loop,
    compile_for,
    compiled,
    is_compiled,
    pieces,
    share_out,
    shares,
    warn_plain,
)
from fastpanel.errors import ParameterError, ShapeError
from fastpanel.features._inputs import Inputs
from fastpanel.typing import FloatArray

PRICES = ("open", "high", "low", "close")


def adapt(
    function: Callable[..., Any],
    name: str,
    inputs: tuple[str, ...],
    frequency: str,
    per_asset: bool,
) -> Callable[[Inputs], FloatArray]:
    """Feed arrays by name; copies, so that a function may write into what it gets."""
    daily = frequency == "daily"
    call = _by_asset if per_asset else _whole

    def array(x: Inputs, wanted: str) -> FloatArray:
        if wanted in PRICES:
            price: FloatArray = getattr(x.daily if daily else x.weekly, wanted)
            return price
        if wanted == "return":
            return x.daily_return if daily else x.log_return
        return x.column(wanted)

    def compute(x: Inputs) -> FloatArray:
        values = call(function, [array(x, wanted) for wanted in inputs], f"feature '{name}'")
        return x.sample(values) if daily else values

    return compute


def _whole(function: Callable[..., Any], arrays: Sequence[FloatArray], where: str) -> FloatArray:
    """Call once with whole ``[T, A]`` arrays."""
    if is_compiled(function):
        _result_type(function, len(arrays), 2, where)
    values = np.asarray(function(*(np.array(a, order="C") for a in arrays)), np.float64)
    _check_shape(values.shape, arrays[0].shape, where)
    return values


def _by_asset(function: Callable[..., Any], arrays: Sequence[FloatArray], where: str) -> FloatArray:
    """Call once for each asset with its own ``[T]`` arrays."""
    stack = np.ascontiguousarray(np.stack(arrays).transpose(0, 2, 1))
    _, assets, rows = stack.shape
    out = np.empty((assets, rows))
    if is_compiled(function):
        result = _result_type(function, len(arrays), 1, where)
        if getattr(result, "ndim", None) != 1:
            raise ParameterError(
                f"{where}: func must return one 1-D array per asset, it returns {result}"
            )
        lengths = np.full(assets, rows)
        run = compiled(_loop(len(arrays)), function)
        tasks = pieces(assets, shares())
        share_out([partial(run, stack, piece, out, lengths) for piece in tasks])
        for length in lengths[lengths != rows]:
            _check_shape((int(length),), (rows,), where)
    else:
        warn_plain(function, where, "asset by asset")
        for asset in range(assets):
            values = np.asarray(function(*(array.copy() for array in stack[:, asset])), np.float64)
            _check_shape(values.shape, (rows,), where)
            out[asset] = values
    return np.ascontiguousarray(out.T)


def _check_shape(found: tuple[int, ...], wanted: tuple[int, ...], where: str) -> None:
    if found != wanted:
        raise ShapeError(f"{where} has shape {found}, expected {wanted}")


def _result_type(function: Any, count: int, ndim: int, where: str) -> Any:
    from numba import types

    array = types.Array(types.float64, ndim, "C")
    return compile_for(function, (array,) * count, where, f"{count} {ndim}-D float64 arrays")


@lru_cache(maxsize=32)
def _loop(count: int) -> Callable[[Any], Loop]:
    """How to loop over assets around a function of so many arrays; to be compiled."""
    take = _taker(count)

    def around(function: Any) -> Loop:
        def loop(stack: Any, piece: Any, out: Any, lengths: Any) -> None:
            for asset in range(piece[0], piece[1]):
                values = function(*take(stack, asset))
                lengths[asset] = len(values)
                if len(values) == out.shape[1]:
                    out[asset] = values

        return loop

    return around


@lru_cache(maxsize=32)
def _taker(count: int) -> Any:
    """Compile ``stack, asset -> (stack[0, asset], ..., stack[count - 1, asset])``."""
    import numba

    if count == 1:
        return numba.njit(lambda stack, asset: (stack[0, asset],))
    before, last = _taker(count - 1), count - 1
    return numba.njit(lambda stack, asset: (*before(stack, asset), stack[last, asset]))
