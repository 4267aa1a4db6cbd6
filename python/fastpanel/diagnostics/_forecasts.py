"""Forecast draws beside what came true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpanel.errors import DataError, ShapeError
from fastpanel.typing import ArrayLike, BoolArray, FloatArray, IntArray, TimeArray


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Predictive draws and truth of N test weeks and A assets.

    Attributes
    ----------
    samples : float64 [S, N, A]
        Draws, in any unit; a cell with a draw that is not finite has no forecast.
    truth : float64 [N, A]
        What came true, in the same unit; NaN = missing.
    times : datetime64[ns] [N]
        Strictly increasing.
    assets : tuple of str
        Names, A of them.

    Raises
    ------
    ShapeError
        Arrays that do not fit together.
    DataError
        Times that do not increase.
    """

    samples: FloatArray
    truth: FloatArray
    times: TimeArray
    assets: tuple[str, ...]

    def __post_init__(self) -> None:
        samples = np.array(self.samples, dtype=np.float64, order="C")
        truth = np.array(self.truth, dtype=np.float64)
        times = np.array(self.times, dtype="datetime64[ns]")
        assets = tuple(str(name) for name in self.assets)
        if samples.ndim != 3 or not samples.size:
            raise ShapeError(f"samples must be a non-empty [S, N, A] array, got {samples.shape}")
        if truth.shape != samples.shape[1:]:
            raise ShapeError(f"truth must be [N, A] = {samples.shape[1:]}, got {truth.shape}")
        if times.shape != truth.shape[:1] or len(assets) != truth.shape[1]:
            raise ShapeError(
                f"times {times.shape} and {len(assets)} assets do not fit truth {truth.shape}"
            )
        if len(set(assets)) < len(assets):
            raise DataError("assets: a name occurs twice")
        if np.isnat(times).any() or (np.diff(times) <= np.timedelta64(0)).any():
            raise DataError("times must be strictly increasing without NaT")
        for name, value in (("samples", samples), ("truth", truth), ("times", times)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "assets", assets)

    @property
    def scored(self) -> BoolArray:
        """Cells [N, A] with a truth and whole forecasts."""
        known: BoolArray = np.isfinite(self.truth) & np.all(np.isfinite(self.samples), axis=0)
        return known

    def take(self, weeks: BoolArray) -> Forecasts:
        """Only these weeks, ``bool [N]``."""
        return Forecasts(self.samples[:, weeks], self.truth[weeks], self.times[weeks], self.assets)


def pool_splits(
    samples: Sequence[ArrayLike],
    rows: Sequence[ArrayLike],
    scales: ArrayLike,
    *,
    truth: ArrayLike,
    times: ArrayLike,
    assets: Sequence[str],
) -> Forecasts:
    """Join the inner test forecasts of one candidate over K splits.

    Each split's draws are in units of its own MAD scales. They are brought to
    the median scale over splits, and the draws of all splits that test a week
    are pooled; every week gets the same number of draws, as evenly from its
    splits as possible. Only test weeks appear.

    Parameters
    ----------
    samples : K arrays, float [S, n_k, A]
        Draws divided by the split's scales, not whitened.
    rows : K arrays, int [n_k]
        Panel rows of the split's test weeks.
    scales : float [K, A]
        MAD scale of each split and asset; not finite or 0 = asset left out of
        that split.
    truth : float [T, A]
        Targets of the panel, unscaled.
    times : datetime64 [T]
        Row labels of the panel.
    assets : sequence of str

    Returns
    -------
    Forecasts
        In units of the shared scale; an asset without any usable scale is NaN.

    Raises
    ------
    ShapeError
        No split, or arrays that do not fit together.

    Examples
    --------
    >>> times = np.datetime64("2020-01-03") + 7 * np.arange(4)
    >>> rng = np.random.default_rng(0)
    >>> joined = pool_splits(
    ...     [rng.normal(size=(50, 2, 1)), rng.normal(size=(50, 2, 1))], [[0, 1], [2, 3]],
    ...     [[1.0], [2.0]], truth=np.zeros((4, 1)), times=times, assets=["A"])
    >>> joined.samples.shape
    (50, 4, 1)
    """
    factors, shared = _shared_scale(np.asarray(scales, dtype=np.float64))
    target = np.asarray(truth, dtype=np.float64)
    if not len(samples) == len(rows) == len(factors) > 0:
        raise ShapeError(
            f"samples, rows and scales name {len(samples)}, {len(rows)} and {len(factors)} splits"
        )
    draws = [np.asarray(x, dtype=np.float64) for x in samples]
    weeks = [np.asarray(r, dtype=np.int64) for r in rows]
    for k, (x, r) in enumerate(zip(draws, weeks, strict=True)):
        if x.shape != (len(draws[0]), len(r), target.shape[1]):
            raise ShapeError(
                f"split {k}: samples {x.shape} must be [S, n, A] = "
                f"{(len(draws[0]), len(r), target.shape[1])}"
            )
    tested, counts = np.unique(np.concatenate(weeks), return_counts=True)
    pooled = _pool(draws, weeks, factors, tested, len(draws[0]) * int(counts.min()))
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = target[tested] / shared
    return Forecasts(pooled, scaled, np.asarray(times)[tested], tuple(assets))


def _shared_scale(scales: FloatArray) -> tuple[FloatArray, FloatArray]:
    usable = np.where(np.isfinite(scales) & (scales > 0.0), scales, np.nan)
    shared = np.full(usable.shape[1], np.nan)
    known = ~np.all(np.isnan(usable), axis=0)
    shared[known] = np.nanmedian(usable[:, known], axis=0)
    return usable / shared, shared


def _pool(
    draws: list[FloatArray],
    weeks: list[IntArray],
    factors: FloatArray,
    tested: IntArray,
    size: int,
) -> FloatArray:
    """Fill [size, N, A]: draw s of a week comes from its splits in turn."""
    pooled = np.full((size, len(tested), draws[0].shape[2]), np.nan)
    order = [np.searchsorted(tested, r) for r in weeks]
    splits = np.bincount(np.concatenate(order), minlength=len(tested))
    turn = np.zeros(len(tested), dtype=np.int64)
    for x, position, factor in zip(draws, order, factors, strict=True):
        for column, n in enumerate(position):
            slots = np.arange(turn[n], size, splits[n])
            pooled[slots, n] = x[: len(slots), column] * factor
        turn[position] += 1
    return pooled
