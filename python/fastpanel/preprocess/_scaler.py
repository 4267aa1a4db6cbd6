"""Centre and scale per asset and feature, for many training sets at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpanel import _core
from fastpanel.errors import DataError
from fastpanel.preprocess._input import Cube
from fastpanel.preprocess._kinds import Kind
from fastpanel.preprocess._sets import TrainingSets
from fastpanel.preprocess._spec import PreprocessingSpec
from fastpanel.typing import BoolArray, FloatArray, IntArray

_MAD_TO_SIGMA = 1.4826
_IQR_TO_SIGMA = 1.349


@dataclass(frozen=True)
class Scaler:
    """Statistics of one training set for ``K`` kept features of ``A`` assets."""

    median: FloatArray
    scale: FloatArray
    guarded: BoolArray
    winsor_low: FloatArray
    winsor_high: FloatArray


def fit_scalers(
    cube: Cube,
    names: Sequence[str],
    kinds: Sequence[Kind],
    sets: TrainingSets,
    *,
    kept: Sequence[IntArray],
    spec: PreprocessingSpec,
) -> list[Scaler]:
    """Fit every set on its own kept features.

    Raises
    ------
    DataError
        A scaled training value reaches ``max_abs_fail``; names feature and asset.
    """
    continuous = np.array([kind == "continuous" for kind in kinds])
    wanted = np.unique(np.concatenate(kept))
    robust = wanted[continuous[wanted]]
    bounds, statistics = _core.robust_fit(
        cube.values,
        cube.mask,
        features=robust,
        rows=sets.union,
        classes=sets.classes,
        member=sets.member,
        quantiles=(spec.winsor_low_q, spec.winsor_high_q),
    )
    scalers = []
    for k, (rows, columns) in enumerate(zip(sets.rows, kept, strict=True)):
        parts = _Parts(cube.values.shape[1], len(columns))
        ours = continuous[columns]
        place = np.searchsorted(robust, columns[ours])
        parts.put(ours, *_robust(statistics[:, k][:, :, place], spec))
        parts.low[ours], parts.high[ours] = bounds[0, k, place], bounds[1, k, place]
        if not ours.all():
            special = np.flatnonzero(~ours)
            values = cube.observed(rows, columns[special])
            of_kind = [kinds[f] for f in columns[special]]
            parts.put(special, *_by_name(values, of_kind, spec))
        parts.check(cube.assets, [names[f] for f in columns], spec.max_abs_fail)
        scalers.append(parts.scaler())
    return scalers


class _Parts:
    """The statistics of one set while they are put together."""

    def __init__(self, assets: int, features: int) -> None:
        self.median = np.zeros((assets, features))
        self.scale = np.ones((assets, features))
        self.guarded = np.ones((assets, features), dtype=bool)
        self.reach = np.zeros((assets, features))
        self.low = np.full(features, -np.inf)
        self.high = np.full(features, np.inf)

    def put(
        self,
        columns: IntArray | BoolArray,
        centre: FloatArray,
        scale: FloatArray,
        guarded: BoolArray,
        ends: FloatArray,
    ) -> None:
        """Take the statistics ``[A, columns]``; ``ends [2, ...]`` are the extreme values."""
        observed = np.isfinite(centre)
        self.median[:, columns] = np.where(observed, centre, 0.0)
        self.scale[:, columns] = np.where(observed, scale, 1.0)
        self.guarded[:, columns] = guarded | ~observed
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            self.reach[:, columns] = np.abs(ends - centre).max(axis=0) / scale

    def check(self, assets: Sequence[str], names: Sequence[str], limit: float) -> None:
        failed = ~self.guarded & ~(self.reach < limit)
        if failed.any():
            a, f = np.argwhere(failed)[0]
            raise DataError(
                f"feature '{names[f]}' of asset '{assets[a]}' scales to {self.reach[a, f]:.6g} in "
                f"the training rows (median {self.median[a, f]:.6g}, scale "
                f"{self.scale[a, f]:.6g}), max_abs_fail is {limit:g}"
            )

    def scaler(self) -> Scaler:
        return Scaler(self.median, self.scale, self.guarded, self.low, self.high)


def _robust(
    statistics: FloatArray, spec: PreprocessingSpec
) -> tuple[FloatArray, FloatArray, BoolArray, FloatArray]:
    _, least, most, median, mad, lower, upper = statistics
    sigma = np.maximum(_MAD_TO_SIGMA * mad, (upper - lower) / _IQR_TO_SIGMA)
    relative = spec.guard_rel_eps * (np.abs(median) + spec.guard_rel_offset)
    guarded = (sigma <= spec.guard_abs_eps) | (sigma <= relative)
    scale = np.maximum(sigma, spec.scale_floor) + spec.mad_eps
    return median, scale, guarded, np.stack([least, most])


def _by_name(
    values: FloatArray, kinds: Sequence[Kind], spec: PreprocessingSpec
) -> tuple[FloatArray, FloatArray, BoolArray, FloatArray]:
    """Breakouts are centred at their share; ranks pass through."""
    observed = ~np.isnan(values)
    count = observed.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(observed, values, 0.0).sum(axis=0) / count
    ends = np.stack(
        [
            np.where(observed, values, np.inf).min(axis=0),
            np.where(observed, values, -np.inf).max(axis=0),
        ]
    )
    ends[:, count == 0] = np.nan
    breakout = np.array([kind == "breakout" for kind in kinds])
    centre = np.where(breakout, share, np.where(count > 0, 0.0, np.nan))
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(share * (1 - share) + spec.breakout_var_floor)
    scale = np.where(breakout, spread, 1.0)
    return centre, scale, breakout & (ends[0] == ends[1]), ends
