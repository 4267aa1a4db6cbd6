"""Fans as numbers: quantiles of the draws beside the truth, by week or all weeks together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpanel.diagnostics._forecasts import Forecasts
from fastpanel.errors import DataError, ParameterError
from fastpanel.typing import AnyArray, FloatArray, TimeArray

_MOST_DRAWS = 1 << 22
"""More would change no quantile that can be seen; draws are left out evenly."""


@dataclass(frozen=True, eq=False)
class Fan:
    """Quantiles [N, Q] of one asset's draws, its median and truth [N]; NaN = no forecast."""

    asset: str
    times: TimeArray
    levels: tuple[float, ...]
    quantiles: FloatArray
    median: FloatArray
    truth: FloatArray

    def bands(self) -> list[tuple[float, FloatArray, FloatArray]]:
        """Central intervals ``(coverage, low, high)`` from mirrored quantiles, widest first."""
        return [
            (share, self.quantiles[:, i], self.quantiles[:, j])
            for share, i, j in mirrored(self.levels)
        ]

    def columns(self) -> dict[str, AnyArray]:
        """Columns of the CSV file."""
        table: dict[str, AnyArray] = {"timestamp": self.times, "truth": self.truth}
        for i, level in enumerate(self.levels):
            table[f"q{level:g}"] = self.quantiles[:, i]
        return table


@dataclass(frozen=True, eq=False)
class PooledFan:
    """Quantiles [Q] of all draws and of all outcomes, weeks and assets together."""

    levels: tuple[float, ...]
    forecast: FloatArray
    outcome: FloatArray
    n: int


def fan(forecasts: Forecasts, asset: str, quantiles: Sequence[float]) -> Fan:
    """Quantiles of one asset's draws (linear interpolation)."""
    if asset not in forecasts.assets:
        raise ParameterError(f"no asset {asset!r}; there are {', '.join(forecasts.assets)}")
    levels = _checked(quantiles)
    column = forecasts.assets.index(asset)
    draws = forecasts.samples[:, :, column]
    whole = np.all(np.isfinite(draws), axis=0)
    values = np.full((len(whole), len(levels) + 1), np.nan)
    values[whole] = np.quantile(draws[:, whole], [*levels, 0.5], axis=0).T
    return Fan(
        asset,
        forecasts.times,
        levels,
        values[:, :-1],
        values[:, -1],
        forecasts.truth[:, column],
    )


def pooled_fan(forecasts: Forecasts, quantiles: Sequence[float], scale: FloatArray) -> PooledFan:
    """Quantiles of draws and outcomes over the scored cells, each divided by ``scale`` [A].

    Where forecasts are calibrated, both are quantiles of the same mixture.
    """
    levels = _checked(quantiles)
    scored = forecasts.scored & (scale > 0.0)
    if not scored.any():
        raise DataError("no forecast has a known outcome: nothing to compare with")
    step = max(1, len(forecasts.samples) * int(scored.sum()) // _MOST_DRAWS)
    draws = (forecasts.samples[::step] / scale)[:, scored]
    outcomes = (forecasts.truth / scale)[scored]
    return PooledFan(
        levels, np.quantile(draws, levels), np.quantile(outcomes, levels), int(scored.sum())
    )


def mirrored(levels: Sequence[float]) -> list[tuple[float, int, int]]:
    """Share and positions of mirrored quantiles, in the order of the lower one."""
    return [
        (high - low, i, j)
        for i, low in enumerate(levels)
        for j, high in enumerate(levels)
        if low < 0.5 and abs(low + high - 1.0) < 1e-9
    ]


def _checked(quantiles: Sequence[float]) -> tuple[float, ...]:
    levels = tuple(sorted(quantiles))
    if not levels or not 0.0 < levels[0] <= levels[-1] < 1.0:
        raise ParameterError(f"quantiles must lie in (0, 1), got {list(quantiles)}")
    return levels
