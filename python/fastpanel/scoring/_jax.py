"""Primitives on JAX arrays; they trace, so scores work under ``jit`` and ``grad``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# What fits the cache of a CPU; elsewhere so few values cost less than starting on them.
_VALUES_AT_ONCE = 1 << 22 if jax.default_backend() == "cpu" else 1 << 26


class _Jax:
    nan = math.nan
    moveaxis = staticmethod(jnp.moveaxis)
    broadcast_to = staticmethod(jnp.broadcast_to)
    where = staticmethod(jnp.where)
    isnan = staticmethod(jnp.isnan)
    stack = staticmethod(jnp.stack)

    def on_host(self, x: Any) -> bool:
        if isinstance(x, jax.core.Tracer):
            return False
        return all(device.platform == "cpu" for device in x.devices())

    def to_host(self, x: Any) -> Any:
        return np.asarray(x)

    def from_host(self, x: Any, like: Any) -> Any:
        return self.asarray(x, like)

    def asarray(self, x: Any, like: Any) -> Any:
        dtype = like.dtype if jnp.issubdtype(like.dtype, jnp.floating) else None
        return jnp.asarray(x, dtype=dtype if dtype is not None else jnp.zeros(()).dtype)

    def boolean(self, x: Any, like: Any) -> Any:
        return jnp.asarray(x, dtype=bool)

    def sort(self, x: Any) -> Any:
        return jnp.sort(x, axis=-1)

    def arange(self, n: int, like: Any) -> Any:
        return jnp.arange(n, dtype=like.dtype)

    def norm(self, gaps: Any) -> Any:
        squared = jnp.sum(gaps * gaps, axis=-1)
        # The root of 0 has no derivative; NaN would spread through both branches.
        there = squared != 0
        return jnp.where(there, jnp.sqrt(jnp.where(there, squared, 1.0)), 0.0)

    def spread(self, x: Any, w: Any) -> Any:
        # One row at a time; a backward pass computes its gaps again instead of keeping them.
        @jax.checkpoint  # type: ignore[untyped-decorator]
        def of_row(i: Any) -> Any:
            return w[:, i] * jnp.sum(w * self.norm(x - x[:, i, None, :]), axis=-1)

        return jax.lax.map(of_row, jnp.arange(x.shape[1])).sum(0)

    def map_points(self, function: Callable[..., Any], arrays: tuple[Any, ...], size: int) -> Any:
        if arrays[0].shape[0] == 0:
            return function(*arrays)
        at_once = max(1, _VALUES_AT_ONCE // max(size, 1))
        one = lambda point: function(*(x[None] for x in point))[0]  # noqa: E731
        return jax.lax.map(one, arrays, batch_size=min(at_once, arrays[0].shape[0]))


DEVICE = _Jax()
