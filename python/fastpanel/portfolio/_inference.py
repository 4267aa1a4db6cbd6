"""Statistics of the Sharpe ratio, one formula per function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from fastpanel.typing import FloatArray

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Moments:
    """Moments of one series; Sharpe, skew and kurtosis are NaN without variance."""

    mean: float
    volatility: float
    sharpe: float
    skew: float
    kurtosis: float


def moments(x: FloatArray) -> Moments:
    """Mean, volatility (ddof 1), Sharpe ratio, skew, kurtosis (population, normal: 3)."""
    mean = float(x.mean())
    if len(x) < 2:
        return Moments(mean, math.nan, math.nan, math.nan, math.nan)
    d = x - mean
    variance = float(d @ d) / len(x)
    volatility = math.sqrt(variance * len(x) / (len(x) - 1))
    if volatility <= 1e-14 * float(np.abs(x).max()):  # a constant series, up to rounding
        return Moments(mean, 0.0, math.nan, math.nan, math.nan)
    u = d / math.sqrt(variance)
    return Moments(mean, volatility, mean / volatility, float(np.mean(u**3)), float(np.mean(u**4)))


def hac_error(x: FloatArray, m: Moments, lags: int) -> float:
    """Estimate the error of the Sharpe ratio by its influence function (Lo 2002).

    ``psi_t = u_t - SR (u_t^2 - 1) / 2`` with standardised returns u; its
    long-run variance has Bartlett weights. Without lags and up to n / (n - 1)
    it is Mertens' ``(1 - skew SR + (kurt - 1) SR^2 / 4) / n``.
    """
    if math.isnan(m.sharpe):
        return math.nan
    u = (x - m.mean) / m.volatility
    psi = u - m.sharpe * (u**2 - 1.0) / 2.0
    psi -= psi.mean()
    n = len(x)
    long_run = psi @ psi / n
    for lag in range(1, lags + 1):
        long_run += 2.0 * (1.0 - lag / (lags + 1)) * (psi[lag:] @ psi[:-lag]) / n
    return math.sqrt(max(float(long_run), 0.0) / n)


def bootstrap_sharpes(x: FloatArray, draws: int, block: float, seed: int) -> FloatArray:
    """Sharpe ratios of stationary bootstrap resamples (Politis and Romano 1994), [draws].

    Blocks start anywhere, wrap round the end and have geometric lengths of
    mean ``block``. NaN where a resample has no variance.
    """
    n = len(x)
    if n < 2:
        return np.full(draws, np.nan)
    rng = np.random.default_rng(seed)
    result = np.empty(draws)
    rows = max(1, (1 << 21) // n)  # bounds the resamples at 16 MiB each
    for first in range(0, draws, rows):
        count = min(rows, draws - first)
        sample = x[_block_positions(rng, count, n, block)]
        vol = sample.std(axis=1, ddof=1)
        moving = vol > 1e-14 * np.abs(x).max()
        result[first : first + count] = np.divide(
            sample.mean(axis=1), vol, out=np.full(count, np.nan), where=moving
        )
    return result


def _block_positions(
    rng: np.random.Generator, count: int, n: int, block: float
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    fresh = rng.random((count, n)) < 1.0 / block
    fresh[:, 0] = True
    starts = rng.integers(0, n, size=(count, n))
    steps = np.arange(n)
    begin = np.maximum.accumulate(np.where(fresh, steps, 0), axis=1)
    return (np.take_along_axis(starts, begin, axis=1) + steps - begin) % n


def probabilistic_sharpe(m: Moments, n: int, benchmark: float) -> float:
    """P(true Sharpe > benchmark) (Bailey and Lopez de Prado 2012); NaN below 3 periods."""
    spread = _spread(m)
    if n < 3 or math.isnan(spread) or math.isnan(benchmark):
        return math.nan
    return _NORMAL.cdf((m.sharpe - benchmark) * math.sqrt(n - 1) / spread)


def expected_max_sharpe(n_trials: float, spread: float) -> float:
    """Sharpe ratio expected of the best of ``n_trials`` without skill (ibid. 2014)."""
    if n_trials == 1.0:
        return 0.0
    gamma = float(np.euler_gamma)
    return spread * (
        (1 - gamma) * _NORMAL.inv_cdf(1 - 1 / n_trials)
        + gamma * _NORMAL.inv_cdf(1 - 1 / (n_trials * math.e))
    )


def min_track_record(m: Moments, benchmark: float, confidence: float) -> float:
    """Periods after which the probabilistic Sharpe ratio reaches ``confidence``."""
    spread = _spread(m)
    if math.isnan(spread):
        return math.nan
    if m.sharpe <= benchmark:
        return math.inf
    z = _NORMAL.inv_cdf(confidence)
    if z <= 0.0:
        return 2.0
    return math.ceil((z * spread / (m.sharpe - benchmark)) ** 2) + 1.0


def student_p(t: float, degrees: int) -> tuple[float, float]:
    """One-sided (upper) and two-sided p-value of Student's t."""
    if math.isnan(t) or degrees < 1:
        return math.nan, math.nan
    from scipy.special import stdtr

    upper = float(stdtr(degrees, -t))
    return upper, 2.0 * min(upper, 1.0 - upper)


def _spread(m: Moments) -> float:
    """Root of ``1 - skew SR + (kurt - 1) SR^2 / 4``; NaN where it is not positive."""
    if math.isnan(m.sharpe):
        return math.nan
    square = 1.0 - m.skew * m.sharpe + (m.kurtosis - 1.0) / 4.0 * m.sharpe**2
    return math.sqrt(square) if square > 0.0 else math.nan
