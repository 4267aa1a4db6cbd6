"""From any axes to the form of the core: members ``[outer, members, inner, dims]``, truth by point.

Members are used where they lie: as long as the values of a member are
contiguous, the member axis may be anywhere and nothing is copied. Points
then come in the order of memory; :meth:`Arranged.scores` puts results back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastpanel._runtime import canonical, has_axis
from fastpanel.errors import ParameterError, ShapeError
from fastpanel.typing import AnyArray, BoolArray, FloatArray

_LANES = 8  # points per vector of the core


@dataclass(frozen=True)
class Axes:
    """Which axes of the forecast hold members and variables, and the shapes they imply."""

    m: int
    v: int | None
    shape: tuple[int, ...]
    obs_shape: tuple[int, ...]

    @classmethod
    def of(cls, obs: Any, fct: Any, m_axis: int, v_axis: int | None) -> Axes:
        """Check both axes against the shapes of ``obs`` and ``fct``."""
        shape, obs_shape = tuple(fct.shape), tuple(obs.shape)
        m = cls.of_members(fct, m_axis).m
        v = None if v_axis is None else _normal(v_axis, len(shape), "v_axis", shape)
        if m == v:
            raise ParameterError(f"m_axis and v_axis are the same axis {m} of fct {shape}")
        axes = cls(m, v, shape, obs_shape)
        axes._check(obs_shape)
        return axes

    @classmethod
    def of_members(cls, fct: Any, m_axis: int) -> Axes:
        """Axes of scalar samples without a truth."""
        shape = tuple(fct.shape)
        m = _normal(m_axis, len(shape), "m_axis", shape)
        if shape[m] == 0:
            raise ShapeError(f"fct {shape} has no members along axis {m}")
        return cls(m, None, shape, shape[:m] + shape[m + 1 :])

    def _check(self, obs_shape: tuple[int, ...]) -> None:
        expected = (
            f"obs must have the shape of fct {self.shape} without its member axis {self.m} "
            f"or broadcast to it, got {obs_shape}"
        )
        if self.v is not None:
            position = len(obs_shape) + self.obs_v
            if position < 0 or obs_shape[position] != self.shape[self.v]:
                raise ShapeError(expected)
        try:
            np.broadcast_shapes(self.obs_lead, self.lead)
        except ValueError:
            raise ShapeError(expected) from None

    @property
    def members(self) -> int:
        """Number of members."""
        return self.shape[self.m]

    @property
    def lead_axes(self) -> list[int]:
        """Axes of the forecast that are neither members nor variables."""
        return [a for a in range(len(self.shape)) if a not in (self.m, self.v)]

    @property
    def lead(self) -> tuple[int, ...]:
        """Lengths of the leading axes of the forecast."""
        return tuple(self.shape[a] for a in self.lead_axes)

    @property
    def obs_v(self) -> int:
        """The variable axis of the observations, counted from the end."""
        assert self.v is not None
        return -1 - sum(1 for a in self.lead_axes if a > self.v)

    @property
    def obs_lead(self) -> tuple[int, ...]:
        """Lengths of the leading axes of the observations."""
        if self.v is None:
            return self.obs_shape
        at = len(self.obs_shape) + self.obs_v
        return self.obs_shape[:at] + self.obs_shape[at + 1 :]

    @property
    def points(self) -> tuple[int, ...]:
        """Shape of the scores."""
        return np.broadcast_shapes(self.obs_lead, self.lead)


@dataclass(frozen=True)
class Arranged:
    """Members as the core takes them, and the way between points and the caller's axes."""

    members: FloatArray
    lead: tuple[int, ...]
    order: tuple[int, ...]

    def of_points(self, values: AnyArray, tail: int) -> AnyArray:
        """``values [*lead or broadcastable, tail]`` as ``[points, tail]`` in the core's order."""
        full = np.broadcast_to(values, (*self.lead, tail))
        moved = full.transpose((*self.order, len(self.lead)))
        return np.ascontiguousarray(moved).reshape(math.prod(self.lead), tail)

    def scores(self, flat: FloatArray) -> FloatArray:
        """``[..., points]`` of the core as ``[..., *lead]``; a number where there is one point."""
        extra = flat.shape[:-1]
        shaped = flat.reshape((*extra, *(self.lead[a] for a in self.order)))
        back = [len(extra) + a for a in np.argsort(self.order)]
        result: FloatArray = shaped.transpose((*range(len(extra)), *back))[()]
        return result


def arrange(fct: AnyArray, axes: Axes) -> Arranged:
    """Find the members in memory, or copy them once into an order that the core reads."""
    lead = axes.points
    if axes.lead != lead:
        fct, axes = _broadcast(fct, axes, lead)
    tail = [] if axes.v is None else [axes.v]
    points = axes.lead_axes
    by_stride = sorted([axes.m, *points], key=lambda a: -abs(fct.strides[a]))
    seen = fct.transpose([*by_stride, *tail])
    ready = seen.flags.c_contiguous and seen.flags.aligned and seen.dtype == np.float64
    if not (ready and _fills_lanes(by_stride, axes)):
        by_stride = [axes.m, *points] if axes.v is None else [*points, axes.m]
        seen = canonical(fct.transpose([*by_stride, *tail]), "fct")
    at = by_stride.index(axes.m)
    dims = 1 if axes.v is None else axes.shape[axes.v]
    outer = math.prod(seen.shape[:at])
    inner = math.prod(seen.shape[at + 1 : len(by_stride)])
    order = tuple(points.index(a) for a in by_stride if a != axes.m)
    return Arranged(seen.reshape(outer, axes.members, inner, dims), lead, order)


def _fills_lanes(order: list[int], axes: Axes) -> bool:
    """Whether scalar points lie side by side in at least a vector, or members do."""
    inner = math.prod(axes.shape[a] for a in order[order.index(axes.m) + 1 :])
    return axes.v is not None or inner == 1 or inner >= _LANES


def truth_of(obs: AnyArray, axes: Axes, arranged: Arranged, name: str = "obs") -> FloatArray:
    """Observations as ``[points, dims]``."""
    values = canonical(obs, name).reshape(obs.shape)  # a number has no axis
    if axes.v is None:
        return arranged.of_points(values[..., np.newaxis], 1)
    return arranged.of_points(np.moveaxis(values, axes.obs_v, -1), axes.shape[axes.v])


def mask_of(mask: Any, obs_shape: tuple[int, ...]) -> BoolArray:
    """The mask in the shape of the observations; True = missing."""
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise ParameterError(f"mask must be boolean (True = missing), got dtype {array.dtype}")
    try:
        return np.broadcast_to(array, obs_shape)
    except ValueError:
        raise ShapeError(f"mask {array.shape} does not fit obs {obs_shape}") from None


def weights_of(ens_w: Any, axes: Axes, arranged: Arranged) -> FloatArray:
    """Member weights as ``[points, members]``."""
    weights = canonical(ens_w, "ens_w")
    weights = align_weights(weights, axes, np.moveaxis)
    totals = weights.sum(axis=-1)
    if not (np.all(weights >= 0) and np.all(totals > 0) and np.all(np.isfinite(totals))):
        raise ParameterError("ens_w must be finite, not negative, and positive for some member")
    return arranged.of_points(weights, axes.members)


def align_weights(weights: Any, axes: Axes, moveaxis: Any) -> Any:
    """Member weights, members last: from ``[M]``, ``fct`` without variables, or ``[..., M]``."""
    in_place = tuple(n for a, n in enumerate(axes.shape) if a != axes.v)
    at = axes.m - (axes.v is not None and axes.v < axes.m)
    shape = tuple(weights.shape)
    if shape == (axes.members,):
        return weights
    if shape == in_place:
        return moveaxis(weights, at, -1)
    if shape == (*axes.lead, axes.members):
        return weights
    raise ShapeError(
        f"ens_w must have shape ({axes.members},), {in_place} or "
        f"{(*axes.lead, axes.members)}, got {shape}"
    )


def check_estimator(estimator: str, known: tuple[str, ...], members: int) -> bool:
    """Whether ``estimator`` is over pairs of distinct members."""
    if estimator not in known:
        raise ParameterError(f"estimator must be one of {known}, got {estimator!r}")
    fair = estimator in ("fair", "pwm")
    if fair and members < 2:
        raise ParameterError(f"estimator {estimator!r} needs at least 2 members, got {members}")
    return fair


def _normal(axis: int, ndim: int, name: str, shape: tuple[int, ...]) -> int:
    if not has_axis(axis, ndim):
        raise ParameterError(f"{name} {axis} is outside the axes of fct {shape}")
    return axis % ndim


def _broadcast(fct: AnyArray, axes: Axes, lead: tuple[int, ...]) -> tuple[AnyArray, Axes]:
    """Repeat the forecast along leading axes that only the observations have."""
    tail = [axes.m] if axes.v is None else [axes.m, axes.v]
    moved = fct.transpose([*axes.lead_axes, *tail])
    full = np.broadcast_to(moved, (*lead, *(axes.shape[a] for a in tail)))
    v = None if axes.v is None else len(lead) + 1
    return full, Axes(len(lead), v, full.shape, axes.obs_shape)
