"""Primitives on torch tensors, and the energy loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

_VALUES_AT_ONCE = 1 << 24


class _Torch:
    nan = math.nan
    moveaxis = staticmethod(torch.moveaxis)
    broadcast_to = staticmethod(torch.broadcast_to)
    where = staticmethod(torch.where)
    isnan = staticmethod(torch.isnan)
    stack = staticmethod(torch.stack)

    def on_host(self, x: Any) -> bool:
        tracked = x.requires_grad and torch.is_grad_enabled()
        return x.device.type == "cpu" and not tracked

    def to_host(self, x: Any) -> Any:
        x = x.detach()
        return (x.float() if x.dtype in (torch.bfloat16, torch.float16) else x).numpy()

    def from_host(self, x: Any, like: Any) -> Any:
        return self.asarray(np.asarray(x), like)

    def asarray(self, x: Any, like: Any) -> Any:
        dtype = like.dtype if like.is_floating_point() else torch.get_default_dtype()
        return torch.as_tensor(x, dtype=dtype, device=like.device)

    def boolean(self, x: Any, like: Any) -> Any:
        return torch.as_tensor(x, dtype=torch.bool, device=like.device)

    def sort(self, x: Any) -> Any:
        return torch.sort(x, dim=-1).values

    def arange(self, n: int, like: Any) -> Any:
        return torch.arange(n, dtype=like.dtype, device=like.device)

    def norm(self, gaps: Any) -> Any:
        return torch.linalg.vector_norm(gaps, dim=-1)

    def distances(self, a: Any, b: Any) -> Any:
        if a.device.type == "cuda":  # whose kernel for differences leaves it idle
            return by_products(a, b).to(a.dtype)
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")

    def spread(self, x: Any, w: Any) -> Any:
        parts = [
            (w[:, rows] * (self.distances(x[:, rows], x) @ w.unsqueeze(-1)).squeeze(-1)).sum(-1)
            for rows in _blocks(x.shape[1], x.shape[0] * x.shape[1])
        ]
        return torch.stack(parts).sum(0)

    def map_points(self, function: Callable[..., Any], arrays: tuple[Any, ...], size: int) -> Any:
        blocks = _blocks(len(arrays[0]), size) or [slice(0)]
        return torch.cat([function(*(array[part] for array in arrays)) for part in blocks])

    def energy_loss(self, obs: Any, samples: Any) -> Any:
        """Mean energy score of ``obs [..., D]`` and ``samples [..., M, D]``, a scalar tensor."""
        lead = torch.broadcast_shapes(obs.shape[:-1], samples.shape[:-2])
        members, dims = samples.shape[-2:]
        obs = obs.expand(*lead, dims).reshape(-1, dims)
        samples = samples.expand(*lead, members, dims).reshape(-1, members, dims)
        return _EnergyLoss.apply(obs, samples)


def by_products(a: Any, b: Any) -> Any:
    """Distances ``[P, I, J]`` of ``a [P, I, D]`` and ``b [P, J, D]`` from inner products.

    In double precision around the median of ``b``, where no location is left that could cost
    digits. Ends that are closer than rounding tells apart coincide: their distance is 0, and so
    is its derivative.
    """
    centre = b.nanmedian(1, keepdim=True).values.double()
    a, b = a.double() - centre, b.double() - centre
    size = a.square().sum(-1).unsqueeze(-1) + b.square().sum(-1).unsqueeze(-2)
    squared = size - 2.0 * (a @ b.mT)
    together = squared <= 4 * a.shape[-1] * torch.finfo(a.dtype).eps * size
    return torch.where(together, 0.0, torch.where(together, 1.0, squared).sqrt())


class _EnergyLoss(torch.autograd.Function):  # type: ignore[misc]
    """Mean energy score of points ``obs [P, D]``, ``samples [P, M, D]``.

    The gradient is taken chunk by chunk together with the value, so that no
    matrix of pairs lives until the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, obs: Any, samples: Any) -> Any:
        of_obs = torch.empty_like(obs) if ctx.needs_input_grad[0] else None
        of_samples = torch.empty_like(samples) if ctx.needs_input_grad[1] else None
        total = obs.new_zeros(())
        points, members = samples.shape[:2]
        for part in _blocks(points, members**2):
            errors = samples[part] - obs[part].unsqueeze(-2)
            to_truth = DEVICE.norm(errors)
            total += to_truth.mean(-1).sum() / points
            # A distance has the unit vector between its ends as gradient, 0 where they coincide.
            away = errors * _inverse(to_truth).unsqueeze(-1) / (points * members)
            if of_obs is not None:
                of_obs[part] = -away.sum(-2)
            for rows in _blocks(members, errors.shape[0] * members):
                pairs = DEVICE.distances(errors[:, rows], errors)
                total -= 0.5 * pairs.sum() / (points * members**2)
                if of_samples is not None:
                    inverse = _inverse(pairs)
                    apart = errors[:, rows] * inverse.sum(-1, keepdim=True) - inverse @ errors
                    of_samples[part, rows] = away[:, rows] - apart / (points * members**2)
        ctx.gradients = of_obs, of_samples
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, upstream: Any) -> Any:
        return tuple(None if g is None else upstream * g for g in ctx.gradients)


def _blocks(n: int, size: int) -> list[slice]:
    """Cut ``n`` entries of ``size`` values each into runs of at most ``_VALUES_AT_ONCE`` values."""
    at_once = max(1, _VALUES_AT_ONCE // max(size, 1))
    return [slice(start, start + at_once) for start in range(0, n, at_once)]


def _inverse(distances: Any) -> Any:
    return torch.where(distances == 0, 0.0, distances.reciprocal())


DEVICE = _Torch()
