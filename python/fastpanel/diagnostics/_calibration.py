"""Calibration as numbers: PIT histogram, coverage curve, coverage over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpanel.diagnostics._forecasts import Forecasts
from fastpanel.errors import DataError, ParameterError
from fastpanel.typing import AnyArray, FloatArray, IntArray, TimeArray

CURVE_LEVELS = tuple(round(0.05 * i, 2) for i in range(1, 20))


@dataclass(frozen=True, eq=False)
class PitHistogram:
    """Pooled PIT values in equal bins.

    ``density`` integrates to 1. ``dispersion`` is ``12 mean((pit - 0.5)^2)``:
    1 = calibrated, above = forecasts too narrow, below = too wide. ``bias`` is
    ``mean(pit) - 0.5``: above 0 = outcomes higher than forecast. Errors treat
    each week as one observation, because assets move together.
    """

    edges: FloatArray
    density: FloatArray
    n: int
    dispersion: float
    dispersion_error: float
    bias: float
    bias_error: float

    def columns(self) -> dict[str, AnyArray]:
        """Columns of the CSV file."""
        return {
            "bin_start": self.edges[:-1],
            "bin_end": self.edges[1:],
            "density": self.density,
        }


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """Share of outcomes inside the central interval, per nominal level, all weeks pooled."""

    levels: FloatArray
    observed: FloatArray
    error: FloatArray
    n: int

    def columns(self) -> dict[str, AnyArray]:
        """Columns of the CSV file."""
        return {"nominal": self.levels, "observed": self.observed, "standard_error": self.error}


@dataclass(frozen=True, eq=False)
class CoverageOverTime:
    """Share of assets inside the central interval, per week and level; NaN without asset."""

    times: TimeArray
    levels: FloatArray
    observed: FloatArray
    n_assets: IntArray

    def columns(self) -> dict[str, AnyArray]:
        """Columns of the CSV file: one row per week and level."""
        weeks, levels = self.observed.shape
        return {
            "timestamp": np.repeat(self.times, levels),
            "nominal": np.tile(self.levels, weeks),
            "observed": self.observed.reshape(-1),
            "n_assets": np.repeat(self.n_assets, levels),
        }

    def mean(self) -> FloatArray:
        """Coverage per level over all weeks, each asset and week counting once."""
        return _pooled(self.observed, self.n_assets)


def pit_values(forecasts: Forecasts) -> FloatArray:
    """Compute ``(draws below + 0.5 ties) / S`` per week and asset, [N, A]; NaN = not scored.

    Parameters
    ----------
    forecasts : Forecasts

    Returns
    -------
    float64 [N, A]
        Uniform on [0, 1] if the forecasts are calibrated.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> pit_values(forecasts).shape
    (40, 2)
    """
    from fastpanel import scoring

    scored = forecasts.scored
    values = np.full(scored.shape, np.nan)
    values[scored] = scoring.pit(forecasts.truth[scored], forecasts.samples[:, scored], m_axis=0)
    return values


def pit_histogram(pit: FloatArray, bins: int = 20) -> PitHistogram:
    """Summarise PIT values [N, A] (NaN left out).

    Parameters
    ----------
    pit : float [N, A]
        Of :func:`pit_values`.
    bins : int
        At least 2.

    Returns
    -------
    PitHistogram
        ``edges`` ``[bins + 1]`` and ``density`` ``[bins]``, 1 = calibrated.

    Raises
    ------
    ParameterError, DataError
        Fewer than two bins; no value that is not NaN.

    Examples
    --------
    >>> pit_histogram(np.array([[0.1, 0.6], [0.4, 0.9]]), bins=2).density.tolist()
    [1.0, 1.0]
    """
    if bins < 2:
        raise ParameterError(f"bins must be at least 2, got {bins}")
    known = np.isfinite(pit)
    if not known.any():
        raise DataError("no forecast has a known outcome: nothing to calibrate against")
    density, edges = np.histogram(pit[known], bins=bins, range=(0.0, 1.0), density=True)
    centred = pit - 0.5
    bias, bias_error = _clustered(centred, known)
    dispersion, dispersion_error = _clustered(12.0 * centred**2, known)
    return PitHistogram(
        edges, density, int(known.sum()), dispersion, dispersion_error, bias, bias_error
    )


def coverage_over_time(forecasts: Forecasts, levels: Sequence[float]) -> CoverageOverTime:
    """Cross-sectional coverage per week.

    A level c is the closed interval between the quantiles (1-c)/2 and (1+c)/2
    of the draws; 3 of 4 assets inside give 0.75.

    Parameters
    ----------
    forecasts : Forecasts
    levels : sequence of float
        In (0, 1).

    Returns
    -------
    CoverageOverTime
        ``observed`` ``[N, L]``, NaN in a week without a scored asset, and the number
        of scored assets per week.

    Raises
    ------
    ParameterError
        A level outside (0, 1), or none.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> coverage_over_time(forecasts, [0.5, 0.9]).observed.shape
    (40, 2)
    """
    from fastpanel import scoring

    wanted = np.asarray(levels, dtype=np.float64)
    if wanted.ndim != 1 or not wanted.size or not ((wanted > 0.0) & (wanted < 1.0)).all():
        raise ParameterError(f"levels must lie in (0, 1), got {list(levels)}")
    scored = forecasts.scored
    truth = np.where(scored, forecasts.truth, np.nan)
    shares = scoring.coverage(truth, forecasts.samples, wanted, m_axis=0, axis=-1)
    return CoverageOverTime(
        forecasts.times, wanted, np.asarray(shares).T, scored.sum(axis=1, dtype=np.int64)
    )


def coverage_curve(forecasts: Forecasts, levels: Sequence[float] = CURVE_LEVELS) -> CoverageCurve:
    """Coverage against nominal level over all weeks and assets, with week-clustered errors.

    Parameters
    ----------
    forecasts : Forecasts
    levels : sequence of float
        Nominal levels in (0, 1).

    Returns
    -------
    CoverageCurve
        ``levels``, ``observed`` and ``error`` ``[L]``; a week counts as one
        observation in the error, as its assets move together.

    Raises
    ------
    DataError
        No forecast has a known outcome.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> coverage_curve(forecasts, [0.5]).observed.round(2).tolist()
    [0.39]
    """
    weekly = coverage_over_time(forecasts, levels)
    total = int(weekly.n_assets.sum())
    if not total:
        raise DataError("no forecast has a known outcome: nothing to calibrate against")
    pooled = weekly.mean()
    gaps = np.nan_to_num((weekly.observed - pooled) * weekly.n_assets[:, None])
    return CoverageCurve(weekly.levels, pooled, np.sqrt((gaps**2).sum(axis=0)) / total, total)


def _pooled(observed: FloatArray, counts: IntArray) -> FloatArray:
    total = counts.sum()
    if not total:
        return np.full(observed.shape[1], np.nan)
    inside = np.nan_to_num(observed * counts[:, None]).sum(axis=0)
    return np.asarray(inside / total, dtype=np.float64)


def _clustered(values: FloatArray, known: AnyArray) -> tuple[float, float]:
    """Mean over the known entries [N, A] and its error with weeks as clusters."""
    filled = np.where(known, values, 0.0)
    total = known.sum()
    mean = filled.sum() / total
    gaps = np.where(known, values - mean, 0.0).sum(axis=1)
    return float(mean), float(np.sqrt((gaps**2).sum()) / total)
