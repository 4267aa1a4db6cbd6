"""The Sharpe ratio with all that is needed to believe it or not."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from fastpanel._runtime import checked_seed
from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.portfolio._inference import (
    bootstrap_sharpes,
    expected_max_sharpe,
    hac_error,
    min_track_record,
    moments,
    probabilistic_sharpe,
    student_p,
)
from fastpanel.portfolio._path import as_pnl, drawdown, turnover
from fastpanel.typing import ArrayLike, FloatArray

Interval = tuple[float, float]


@dataclass(frozen=True)
class SharpeReport:
    """Sharpe ratio of one return series; per period unless the name says annual.

    Attributes
    ----------
    n, n_missing
        Periods used and NaN periods left out.
    mean, volatility, sharpe
        Mean, standard deviation (ddof 1), their ratio.
    periods_per_year
        Annual mean is ``mean * p``, annual volatility and Sharpe ratio are the
        period's times ``sqrt(p)``.
    skew, kurtosis
        Standardised third and fourth central moments (normal: 0 and 3).
    t_stat, p_one_sided, p_two_sided
        ``sharpe * sqrt(n)`` against Student's t with n - 1 degrees: right for
        independent normal returns only.
    hac_lags, hac_error, hac_interval
        Lo's (2002) delta-method error with Newey-West weights.
    block_length, bootstrap_interval, bootstrap_p
        Stationary bootstrap (Politis and Romano 1994): percentile interval and
        one-sided p-value of a Sharpe ratio above 0.
    probabilistic_sharpe
        Probabilistic Sharpe ratio: P(true Sharpe > ``benchmark``).
    n_trials, expected_max_sharpe, deflated_sharpe
        Trials behind the result, the Sharpe ratio that the best of them is
        expected to show without any skill, and P(true Sharpe > that).
    min_track_record
        Periods needed for ``probabilistic_sharpe >= confidence``; infinite if the Sharpe ratio
        does not exceed the benchmark.
    max_drawdown
        Deepest loss from a peak with gains reinvested, in [-1, 0].
    turnover
        Mean traded value per period; NaN without weights.
    """

    n: int
    n_missing: int
    periods_per_year: float
    mean: float
    volatility: float
    sharpe: float
    skew: float
    kurtosis: float
    t_stat: float
    p_one_sided: float
    p_two_sided: float
    confidence: float
    hac_lags: int
    hac_error: float
    hac_interval: Interval
    block_length: float
    bootstrap_interval: Interval
    bootstrap_p: float
    benchmark: float
    probabilistic_sharpe: float
    n_trials: float
    expected_max_sharpe: float
    deflated_sharpe: float
    min_track_record: float
    max_drawdown: float
    turnover: float

    @property
    def mean_annual(self) -> float:
        """Mean return of a year."""
        return self.mean * self.periods_per_year

    @property
    def volatility_annual(self) -> float:
        """Standard deviation of a year's return."""
        return self.volatility * math.sqrt(self.periods_per_year)

    @property
    def sharpe_annual(self) -> float:
        """Sharpe ratio of a year."""
        return self.sharpe * math.sqrt(self.periods_per_year)

    @property
    def hac_interval_annual(self) -> Interval:
        """``hac_interval`` of the annual Sharpe ratio."""
        return self._annual(self.hac_interval)

    @property
    def bootstrap_interval_annual(self) -> Interval:
        """``bootstrap_interval`` of the annual Sharpe ratio."""
        return self._annual(self.bootstrap_interval)

    def _annual(self, interval: Interval) -> Interval:
        factor = math.sqrt(self.periods_per_year)
        return interval[0] * factor, interval[1] * factor

    def to_dict(self) -> dict[str, Any]:
        """Every field and the annual values, as plain numbers (NaN stays NaN)."""
        plain = asdict(self)
        plain["hac_interval"] = list(self.hac_interval)
        plain["bootstrap_interval"] = list(self.bootstrap_interval)
        for name in ("mean_annual", "volatility_annual", "sharpe_annual"):
            plain[name] = getattr(self, name)
        for name in ("hac_interval_annual", "bootstrap_interval_annual"):
            plain[name] = list(getattr(self, name))
        return plain


def sharpe_report(
    pnl: ArrayLike,
    *,
    n_trials: float | None = None,
    trial_sharpes: ArrayLike | None = None,
    periods_per_year: float = 52.0,
    benchmark: float = 0.0,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
    hac_lags: int | None = None,
    num_samples: int = 2000,
    block_length: float | None = None,
    seed: int = 123,
) -> SharpeReport:
    """Sharpe ratio of a back-test with its uncertainty and the price of having searched.

    Parameters
    ----------
    pnl : float [T]
        Returns per period after costs, in time order. NaN periods are left out
        and counted.
    n_trials : float, optional
        How many (effectively independent) strategies were tried before this
        one was reported, >= 1. Default: the number of ``trial_sharpes``, or 1.
    trial_sharpes : float [N], optional
        Sharpe ratios per period of all trials (NaN = failed, left out); their
        variance scales the deflation. Without them it is 1 / (n - 1), the
        sampling variance of the Sharpe ratio of a strategy without skill.
    periods_per_year : float
        52 for weekly, 252 for daily returns.
    benchmark : float
        Sharpe ratio per period to beat in ``probabilistic_sharpe`` and ``min_track_record``.
    weights : float [T, A], optional
        Weights held in each period, for the turnover.
    confidence : float
        Of both intervals and of the track record length.
    hac_lags : int, optional
        Newey-West lags; default ``floor(4 (n / 100)^(2/9))``.
    num_samples, block_length, seed
        Bootstrap draws, mean block length (default ``n^(1/3)``), seed.

    Returns
    -------
    SharpeReport
        Fields that fewer than 3 periods or a series without variance leave
        undefined are NaN.

    Raises
    ------
    DataError
        No period, or an infinite return.
    ParameterError
        A setting outside its domain.

    Notes
    -----
    One annualisation rule: the square root of the number of periods. With
    autocorrelated returns it overstates (positive) or understates (negative)
    the annual ratio; the intervals account for the estimation error only.

    Sources: Lo (2002); Bailey and Lopez de Prado (2012, 2014); Politis and
    Romano (1994).

    Examples
    --------
    >>> report = sharpe_report([0.01, -0.005, 0.012, 0.003, -0.002], n_trials=10)
    >>> round(report.sharpe, 4), report.n_trials
    (0.4885, 10.0)
    >>> report.deflated_sharpe < report.probabilistic_sharpe
    True
    """
    values = as_pnl(pnl)
    used = values[~np.isnan(values)]
    if not used.size:
        raise DataError(f"pnl has no return: all {values.size} periods are NaN")
    trials, spread = _trials(n_trials, trial_sharpes, len(used))
    _check(periods_per_year, confidence, num_samples, block_length, hac_lags)
    held = math.nan if weights is None else _turnover(weights, len(values))
    m = moments(used)
    n, sharpe = len(used), m.sharpe
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    lags = math.floor(4 * (n / 100) ** (2 / 9)) if hac_lags is None else hac_lags
    lags = min(lags, n - 1)
    error = hac_error(used, m, lags)
    block = max(1.0, n ** (1 / 3)) if block_length is None else block_length
    drawn = bootstrap_sharpes(used, num_samples, block, checked_seed(seed))
    interval, bootstrap_p = _summarise(drawn, sharpe, confidence)
    best = expected_max_sharpe(trials, spread)
    t_stat = sharpe * math.sqrt(n)
    upper, two_sided = student_p(t_stat, n - 1)
    return SharpeReport(
        n=n,
        n_missing=len(values) - n,
        periods_per_year=float(periods_per_year),
        mean=m.mean,
        volatility=m.volatility,
        sharpe=sharpe,
        skew=m.skew,
        kurtosis=m.kurtosis,
        t_stat=t_stat,
        p_one_sided=upper,
        p_two_sided=two_sided,
        confidence=confidence,
        hac_lags=lags,
        hac_error=error,
        hac_interval=(sharpe - z * error, sharpe + z * error),
        block_length=float(block),
        bootstrap_interval=interval,
        bootstrap_p=bootstrap_p,
        benchmark=float(benchmark),
        probabilistic_sharpe=probabilistic_sharpe(m, n, benchmark),
        n_trials=trials,
        expected_max_sharpe=best,
        deflated_sharpe=probabilistic_sharpe(m, n, best),
        min_track_record=min_track_record(m, benchmark, confidence),
        max_drawdown=float(drawdown(used).min()),
        turnover=held,
    )


def _summarise(sharpes: FloatArray, sharpe: float, confidence: float) -> tuple[Interval, float]:
    sharpes = sharpes[~np.isnan(sharpes)]
    if math.isnan(sharpe) or not sharpes.size:
        return (math.nan, math.nan), math.nan
    low, high = np.quantile(sharpes, [(1 - confidence) / 2, (1 + confidence) / 2])
    # centred draws are the law of the estimate if the true ratio were 0
    p = (1 + np.count_nonzero(sharpes - sharpe >= sharpe)) / (1 + sharpes.size)
    return (float(low), float(high)), float(p)


def _trials(n_trials: float | None, trial_sharpes: ArrayLike | None, n: int) -> tuple[float, float]:
    """Return the number of trials and the standard deviation of their Sharpe ratios."""
    spread = 1.0 / math.sqrt(n - 1) if n > 1 else math.nan
    count = 1
    if trial_sharpes is not None:
        ratios = np.asarray(trial_sharpes, dtype=np.float64)
        ratios = ratios[~np.isnan(ratios)]
        if ratios.ndim != 1 or not ratios.size or np.isinf(ratios).any():
            raise DataError("trial_sharpes must be [N] with at least one finite Sharpe ratio")
        count = ratios.size
        spread = float(ratios.std(ddof=1)) if count > 1 else 0.0
    trials = float(count if n_trials is None else n_trials)
    if not 1.0 <= trials < math.inf:
        raise ParameterError(f"n_trials must be at least 1, got {n_trials}")
    return trials, spread


def _check(
    periods: float, confidence: float, draws: int, block: float | None, lags: int | None
) -> None:
    if not 0.0 < periods < math.inf:
        raise ParameterError(f"periods_per_year must be positive, got {periods}")
    if not 0.0 < confidence < 1.0:
        raise ParameterError(f"confidence must lie in (0, 1), got {confidence}")
    if draws < 1:
        raise ParameterError(f"num_samples must be at least 1, got {draws}")
    if block is not None and not 1.0 <= block < math.inf:
        raise ParameterError(f"block_length must be at least 1, got {block}")
    if lags is not None and lags < 0:
        raise ParameterError(f"hac_lags must not be negative, got {lags}")


def _turnover(weights: ArrayLike, periods: int) -> float:
    held = np.asarray(weights, dtype=np.float64)
    if len(held) != periods:
        raise ShapeError(f"weights has {len(held)} periods, pnl has {periods}")
    return turnover(held)
