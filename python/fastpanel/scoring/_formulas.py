"""The scores as formulas of array primitives, for arrays that stay on their device.

Everything is relative to the truth or to another member, so a large location
costs no digits. The definitions are those of the compiled core.
"""

from __future__ import annotations

import math
from typing import Any

from fastpanel.scoring._arrange import Axes, align_weights
from fastpanel.scoring._devices import Device


def energy_score(
    xp: Device, obs: Any, fct: Any, axes: Axes, fair: bool, ens_w: Any, mask: Any
) -> Any:
    """Energy score ``[*points]``."""
    y, x = _vectors(xp, obs, fct, axes)
    lead = axes.points
    w = _weights(xp, ens_w, axes, x)
    empty = None
    if mask is not None:
        absent = xp.broadcast_to(_of_obs(xp, xp.boolean(mask, fct), axes), (*lead, y.shape[-1]))
        absent = absent.reshape(-1, y.shape[-1])
        y, x = xp.where(absent, 0.0, y), xp.where(absent[:, None, :], 0.0, x)
        empty = absent.all(-1)

    def score(y: Any, x: Any, w: Any) -> Any:
        errors = (w * xp.norm(x - y[:, None, :])).sum(-1)
        pairs = xp.spread(x, w)
        distinct = 1.0 - (w * w).sum(-1) if fair else 1.0
        return errors - 0.5 * pairs / distinct

    scores = xp.map_points(score, (y, x, w), x.shape[-2] ** 2)
    if empty is not None:
        scores = xp.where(empty, xp.nan, scores)
    return scores.reshape(lead)


def variogram_score(
    xp: Device, obs: Any, fct: Any, axes: Axes, fair: bool, p: float, w: Any, ens_w: Any
) -> Any:
    """Variogram score ``[*points]``."""
    y, x = _vectors(xp, obs, fct, axes)
    of_members = _weights(xp, ens_w, axes, x)
    dims = y.shape[-1]
    pairs = xp.asarray(1.0 if w is None else w, x)
    pairs = xp.broadcast_to(pairs, (*axes.points, dims, dims)).reshape(-1, dims, dims)

    def score(y: Any, x: Any, of_members: Any, pairs: Any) -> Any:
        apart = abs(x[..., :, None] - x[..., None, :]) ** p
        excess = apart - abs(y[..., :, None] - y[..., None, :])[:, None] ** p
        each = of_members[:, :, None, None]
        mean = (each * excess).sum(1)
        term = mean * mean
        if fair:
            squares = (of_members * of_members).sum(-1)[:, None, None]
            term = term - squares / (1.0 - squares) * ((each * excess * excess).sum(1) - term)
        return (pairs * term).sum((-2, -1))

    size = x.shape[-2] * dims**2
    return xp.map_points(score, (y, x, of_members, pairs), size).reshape(axes.points)


def crps(xp: Device, obs: Any, fct: Any, axes: Axes, fair: bool) -> Any:
    """CRPS ``[*points]``."""
    y, x = _scalars(xp, obs, fct, axes)
    errors = xp.sort(x - y[..., None])
    members = axes.members
    rank = 2.0 * xp.arange(members, errors) - (members - 1.0)
    pairs = members * (members - 1.0) if fair else members**2
    score = abs(errors).mean(-1) - (rank * errors).sum(-1) / pairs
    return xp.broadcast_to(score, axes.points)


def quantiles(xp: Device, fct: Any, m_axis: int, levels: list[float]) -> Any:
    """Quantiles by linear interpolation, levels first."""
    x = xp.sort(xp.moveaxis(fct, m_axis, -1))
    last = x.shape[-1] - 1
    bad = xp.isnan(x).any(-1)
    out = []
    for level in levels:
        place = level * last
        i = math.floor(place)
        below, above = x[..., i], x[..., min(i + 1, last)]
        out.append(xp.where(bad, xp.nan, below + (above - below) * (place - i)))
    return xp.stack(out)


def pit(xp: Device, obs: Any, fct: Any, axes: Axes) -> Any:
    """Share below plus half the ties ``[*points]``."""
    y, x = _scalars(xp, obs, fct, axes)
    gap = x - y[..., None]
    one = xp.asarray(1.0, x)
    twice = xp.where(gap < 0, one, 0.0 * one) + xp.where(gap <= 0, one, 0.0 * one)
    share = xp.where(xp.isnan(gap).any(-1), xp.nan, 0.5 * twice.mean(-1))
    return xp.broadcast_to(share, axes.points)


def _of_obs(xp: Device, obs: Any, axes: Axes) -> Any:
    return obs if axes.v is None else xp.moveaxis(obs, axes.obs_v, -1)


def _vectors(xp: Device, obs: Any, fct: Any, axes: Axes) -> tuple[Any, Any]:
    """``[points, D]`` and ``[points, M, D]``."""
    assert axes.v is not None
    y = _of_obs(xp, obs, axes)
    at = axes.m - (axes.v < axes.m)
    x = xp.moveaxis(xp.moveaxis(fct, axes.v, -1), at, -2)
    members, dims = axes.members, axes.shape[axes.v]
    lead = axes.points
    y = xp.broadcast_to(y, (*lead, dims)).reshape(-1, dims)
    return y, xp.broadcast_to(x, (*lead, members, dims)).reshape(-1, members, dims)


def _scalars(xp: Device, obs: Any, fct: Any, axes: Axes) -> tuple[Any, Any]:
    """``[...]`` and ``[..., M]``."""
    return obs, xp.moveaxis(fct, axes.m, -1)


def _weights(xp: Device, ens_w: Any, axes: Axes, x: Any) -> Any:
    """Normalised ``[points, M]``."""
    shape = (*axes.points, axes.members)
    if ens_w is None:
        weights = xp.asarray(1.0 / axes.members, x)
    else:
        weights = align_weights(xp.asarray(ens_w, x), axes, xp.moveaxis)
        weights = weights / weights.sum(-1)[..., None]
    return xp.broadcast_to(weights, shape).reshape(-1, axes.members)
