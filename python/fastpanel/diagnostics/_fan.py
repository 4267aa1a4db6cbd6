"""Fan chart as numbers: quantiles of the draws beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpanel.diagnostics._forecasts import Forecasts
from fastpanel.errors import ParameterError
from fastpanel.typing import AnyArray, FloatArray, TimeArray


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
        found = []
        for i, low in enumerate(self.levels):
            for j, high in enumerate(self.levels):
                if low < 0.5 and abs(low + high - 1.0) < 1e-9:
                    found.append((high - low, self.quantiles[:, i], self.quantiles[:, j]))
        return found

    def columns(self) -> dict[str, AnyArray]:
        """Columns of the CSV file."""
        table: dict[str, AnyArray] = {"timestamp": self.times, "truth": self.truth}
        for i, level in enumerate(self.levels):
            table[f"q{level:g}"] = self.quantiles[:, i]
        return table


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
    levels = tuple(sorted(quantiles))
    if not levels or not 0.0 < levels[0] <= levels[-1] < 1.0:
        raise ParameterError(f"quantiles must lie in (0, 1), got {list(quantiles)}")
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
