"""From predictive samples to portfolio weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastpanel._runtime import real
from fastpanel.errors import DataError, ShapeError
from fastpanel.portfolio._cvar import min_cvar
from fastpanel.portfolio._limits import fit_limits, inside
from fastpanel.portfolio._registry import allocators, register_allocator
from fastpanel.portfolio._spec import AllocationSpec, as_spec
from fastpanel.typing import FloatArray


def allocate(
    pred: Mapping[str, Any], alloc_spec: AllocationSpec | Mapping[str, Any] | None = None
) -> FloatArray:
    """Weights of one period, held from the forecast to the end of the period it is for.

    ``mean_over_vol``
        proportional to predictive mean over predictive standard deviation,
        long where it is positive, short where it is negative.
    ``equal``
        every asset that is there, long, the same weight.
    ``top_k``
        by mean over standard deviation, the k best long and the k worst short
        with equal weights; with ``long_only`` the k best only.
    ``min_cvar``
        least mean loss in the worst ``cvar_level`` of the joint draws, fully
        invested unless ``net`` says otherwise.

    More rules come by :func:`register_allocator`.

    Parameters
    ----------
    pred : mapping
        ``samples`` float [S, A] or [S, 1, A]: joint draws of simple returns.
        ``mean`` float [A] or [1, A], optional: used instead of the mean of the
        draws.
    alloc_spec : AllocationSpec, mapping or None
        Rule and limits; None = the defaults.

    Returns
    -------
    float64 [A]
        Shares of the capital. An asset with any draw or a mean that is not
        finite counts as absent and has weight 0, and so has, under
        ``mean_over_vol``, one without predictive variance. Nothing to hold
        gives zeros (cash).

    Raises
    ------
    DataError
        ``pred`` has no samples.
    ShapeError
        More than one period, or shapes that do not fit.
    ConfigError
        Unknown keys or values outside their domain in ``alloc_spec``.

    Notes
    -----
    A ``net`` under ``mean_over_vol`` makes the scores relative to their mean
    over assets (unless ``|net| = gross``, a one-sided book), so that both sides
    have names. Cost: O(S A), for ``min_cvar`` one linear programme.

    Examples
    --------
    >>> draws = [[0.01, -0.02], [0.03, 0.00]]
    >>> allocate({"samples": draws}, {"method": "equal"}).tolist()
    [0.5, 0.5]
    >>> allocate({"samples": draws}).round(3).tolist()
    [0.667, -0.333]
    """
    spec = as_spec(AllocationSpec, alloc_spec, "allocation")
    samples, mean = _read(pred)
    weights = np.zeros(samples.shape[1])
    present = np.isfinite(samples).all(axis=0) & np.isfinite(mean)
    if present.any():
        rule = allocators()[spec.method]
        chosen = rule(samples[:, present], mean[present], spec)
        weights[present] = inside(_checked(chosen, int(present.sum()), spec.method), spec)
    return weights


def _checked(weights: Any, count: int, method: str) -> FloatArray:
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != (count,):
        raise ShapeError(
            f"allocator '{method}' returned shape {values.shape} for {count} assets; return one "
            "weight per asset"
        )
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(f"allocator '{method}' returned {values[bad]} for asset {bad} of {count}")
    return values


def _read(pred: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    if not isinstance(pred, Mapping):
        raise DataError(f"pred is a {type(pred).__name__}; give {{'samples': draws}}")
    if "samples" not in pred:
        raise DataError(f"pred needs the key 'samples', it has {sorted(pred)}")
    samples = real(pred["samples"], "pred['samples']")
    if samples.ndim == 3:
        if samples.shape[1] != 1:
            raise ShapeError(
                f"pred['samples'] holds {samples.shape[1]} periods, shape {samples.shape}; "
                "allocate takes one, samples[:, [t]]"
            )
        samples = samples[:, 0]
    if samples.ndim != 2 or not samples.size:
        raise ShapeError(f"pred['samples'] must be [S, A] or [S, 1, A], got {samples.shape}")
    given = pred.get("mean")
    if given is None:
        return samples, samples.mean(axis=0)
    mean = real(given, "pred['mean']")
    if mean.shape not in {(samples.shape[1],), (1, samples.shape[1])}:
        raise ShapeError(f"pred['mean'] must be [A] = ({samples.shape[1]},), got {mean.shape}")
    return samples, mean.reshape(-1)


def _ratio(samples: FloatArray, mean: FloatArray) -> FloatArray:
    if len(samples) < 2:
        raise ShapeError("a predictive standard deviation needs at least 2 samples, got 1")
    vol = samples.std(axis=0, ddof=1)
    # equal draws leave a rounding error as their spread: no risk was predicted there
    real = vol > 1e-12 * np.abs(samples).max(axis=0)
    ratio: FloatArray = np.divide(mean, vol, out=np.zeros_like(mean), where=real)
    return ratio


@register_allocator("mean_over_vol")
def _mean_over_vol(samples: FloatArray, mean: FloatArray, spec: AllocationSpec) -> FloatArray:
    scores = _ratio(samples, mean)
    if spec.net is not None and abs(spec.net) < spec.gross and not spec.long_only:
        held = scores != 0.0
        if len(set(scores[held])) > 1:  # equal views have no relative part
            scores[held] -= scores[held].mean()
    return fit_limits(scores, spec)


@register_allocator("equal")
def _equal(samples: FloatArray, mean: FloatArray, spec: AllocationSpec) -> FloatArray:
    return fit_limits(np.ones_like(mean), spec)


@register_allocator("top_k")
def _top_k(samples: FloatArray, mean: FloatArray, spec: AllocationSpec) -> FloatArray:
    order = np.argsort(-_ratio(samples, mean), kind="stable")
    scores = np.zeros_like(mean)
    if spec.long_only:
        scores[order[: spec.k]] = 1.0
    else:
        per_side = min(spec.k, len(order) // 2)
        scores[order[:per_side]] = 1.0
        scores[order[len(order) - per_side :]] = -1.0
    return fit_limits(scores, spec)


@register_allocator("min_cvar")
def _min_cvar(samples: FloatArray, mean: FloatArray, spec: AllocationSpec) -> FloatArray:
    return min_cvar(samples, spec)
