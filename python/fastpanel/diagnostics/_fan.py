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
    """Quantiles of one asset's draws (linear interpolation).

    Parameters
    ----------
    forecasts : Forecasts
    asset : str
    quantiles : sequence of float
        In (0, 1).

    Returns
    -------
    Fan
        Quantiles ``[N, Q]`` beside the truth ``[N]``, NaN where there is no forecast.

    Raises
    ------
    ParameterError
        Unknown asset, or quantiles outside (0, 1).

    Examples
    --------
    >>> from fastpanel.diagnostics import Forecasts
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> fan(forecasts, "B", [0.1, 0.5, 0.9]).quantiles.shape
    (40, 3)
    """
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

    Parameters
    ----------
    forecasts : Forecasts
    quantiles : sequence of float
        In (0, 1).
    scale : float [A]
        Typical move of each asset; one that is not positive leaves its asset out.

    Returns
    -------
    PooledFan

    Examples
    --------
    >>> from fastpanel.diagnostics import Forecasts
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> pooled_fan(forecasts, [0.1, 0.5, 0.9], np.ones(2)).levels
    (0.1, 0.5, 0.9)
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
