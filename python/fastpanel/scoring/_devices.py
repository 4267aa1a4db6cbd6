"""Which library an array belongs to, and its primitives; nothing is imported before it is met."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from fastpanel.errors import ParameterError

_LIBRARIES = ("torch", "jax")
Score = TypeVar("Score", bound=Callable[..., Any])


class Device(Protocol):
    """What the formulas of :mod:`fastpanel.scoring._formulas` need of an array library."""

    nan: float

    def on_host(self, x: Any) -> bool:
        """Whether ``x`` has values in the memory of the CPU and no derivative is asked for."""

    def to_host(self, x: Any) -> Any:
        """``x`` as NumPy array, without a copy where the library allows it."""

    def from_host(self, x: Any, like: Any) -> Any:
        """A NumPy result with the dtype of ``like``."""

    def asarray(self, x: Any, like: Any) -> Any:
        """``x`` on the device and with the dtype of ``like``."""

    def boolean(self, x: Any, like: Any) -> Any:
        """A mask on the device of ``like``."""

    def moveaxis(self, x: Any, source: int, target: int) -> Any:
        """As NumPy."""

    def broadcast_to(self, x: Any, shape: tuple[int, ...]) -> Any:
        """As NumPy."""

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """As NumPy."""

    def sort(self, x: Any) -> Any:
        """Ascending along the last axis."""

    def arange(self, n: int, like: Any) -> Any:
        """``0 .. n`` with the dtype of ``like``."""

    def isnan(self, x: Any) -> Any:
        """As NumPy."""

    def stack(self, parts: list[Any]) -> Any:
        """Along a new first axis."""

    def norm(self, gaps: Any) -> Any:
        """Euclidean along the last axis, with a zero gradient at zero."""

    def spread(self, x: Any, w: Any) -> Any:
        """Sum of ``w_i w_j |x_i - x_j|`` over all pairs of rows, by differences.

        ``x [P, M, D]`` and ``w [P, M]`` give ``[P]``; a few rows at once, so that no matrix of
        pairs larger than a chunk exists.
        """

    def map_points(self, function: Callable[..., Any], arrays: tuple[Any, ...], size: int) -> Any:
        """``function`` over the first axis of ``arrays``, a few points at once.

        ``size`` is the number of values that one point needs for its pairs.
        """


def at_home(score: Score) -> Score:
    """Let the core score tensors that lie in the memory of the CPU, unless derivatives are needed.

    They come back as what they were; all others reach ``score`` unchanged.
    """

    @functools.wraps(score)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = [*args, *kwargs.values()]
        libraries = {name for name in _LIBRARIES for x in given if _belongs(x, name)}
        if len(libraries) != 1:
            return score(*args, **kwargs)
        name = libraries.pop()
        device = _device(name)
        tensors = [x for x in given if _belongs(x, name)]
        if not all(device.on_host(x) for x in tensors):
            return score(*args, **kwargs)

        def host(x: Any) -> Any:
            return device.to_host(x) if _belongs(x, name) else x

        scores = score(*map(host, args), **{key: host(x) for key, x in kwargs.items()})
        return device.from_host(scores, next(x for x in tensors if "bool" not in str(x.dtype)))

    return cast(Score, call)


def on_device(obs: Any, fct: Any) -> tuple[Device, Any, Any] | None:
    """Library and arrays of a score whose inputs are not NumPy's; None if both are.

    An array of another library joins the one on the device.
    """
    found = {name for name in _LIBRARIES if _belongs(obs, name) or _belongs(fct, name)}
    if not found:
        return None
    if len(found) > 1:
        raise ParameterError("torch and JAX arrays do not mix in one score: convert one of them")
    name = found.pop()
    device, like = _device(name), fct if _belongs(fct, name) else obs
    return device, device.asarray(obs, like), device.asarray(fct, like)


def _device(name: str) -> Device:
    device: Device = importlib.import_module(f"fastpanel.scoring._{name}").DEVICE
    return device


def _belongs(x: Any, library: str) -> bool:
    module = sys.modules.get(library)
    if module is None:
        return False
    kind = module.Tensor if library == "torch" else module.Array
    return isinstance(x, kind)
