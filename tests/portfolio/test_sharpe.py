from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.portfolio import sharpe_report

TEN = (0.01, -0.005, 0.012, 0.003, -0.002, 0.008, 0.004, -0.001, 0.006, 0.002)
NAN = math.nan


@pytest.fixture(scope="module")
def weekly():
    """Skewed, autocorrelated weekly returns with a small edge."""
    rng = np.random.default_rng(11)
    shocks = rng.standard_t(5, size=400) - 0.1 * rng.exponential(size=400)
    for t in range(1, 400):
        shocks[t] += 0.25 * shocks[t - 1]
    return 0.002 + 0.015 * shocks


def test_literal_sharpe_ratio_and_p_values():
    report = sharpe_report(TEN, periods_per_year=252)
    assert report.sharpe == pytest.approx(0.680456773, rel=1e-9)
    assert report.sharpe_annual == pytest.approx(10.8019164, rel=1e-8)
    assert report.t_stat == pytest.approx(2.15179325, rel=1e-8)
    assert report.p_one_sided == pytest.approx(0.0299308607, rel=1e-8)
    assert report.p_two_sided == pytest.approx(0.0598617215, rel=1e-8)


def test_moments_and_annual_values(weekly):
    report = sharpe_report(weekly)
    assert report.mean == pytest.approx(weekly.mean())
    assert report.volatility == pytest.approx(weekly.std(ddof=1))
    assert report.skew == pytest.approx(stats.skew(weekly))
    assert report.kurtosis == pytest.approx(stats.kurtosis(weekly, fisher=False))
    assert report.mean_annual == pytest.approx(52 * weekly.mean())
    assert report.volatility_annual == pytest.approx(weekly.std(ddof=1) * math.sqrt(52))
    low, high = report.hac_interval
    assert report.hac_interval_annual == pytest.approx((low * 52**0.5, high * 52**0.5))


def test_probabilistic_and_deflated_equal_skfolio(weekly):
    measures = pytest.importorskip("skfolio.measures")
    trials = np.random.default_rng(1).normal(0.02, 0.05, size=37)
    report = sharpe_report(weekly, trial_sharpes=[*trials, NAN], benchmark=0.03)
    assert report.n_trials == 37
    assert report.probabilistic_sharpe == pytest.approx(
        measures.probabilistic_sharpe_ratio(weekly, benchmark_sharpe_ratio=0.03), rel=1e-12
    )
    assert report.deflated_sharpe == pytest.approx(
        measures.deflated_sharpe_ratio(weekly, trials), rel=1e-12
    )
    assert report.expected_max_sharpe == pytest.approx(
        measures.expected_max_sharpe_ratio(37, trials.std(ddof=1)), rel=1e-12
    )


def test_deflation_is_close_to_purgedcv(weekly):
    purgedcv = pytest.importorskip("purgedcv")
    report = sharpe_report(weekly, n_trials=50)
    # population instead of sample deviation and bias-corrected moments there
    theirs = purgedcv.deflated_sharpe_ratio(weekly, 50, 1.0 / (len(weekly) - 1))
    assert report.deflated_sharpe == pytest.approx(theirs, rel=0.02)
    assert purgedcv.min_track_record_length(
        report.sharpe, 0.0, 0.05, report.skew, report.kurtosis
    ) == pytest.approx(report.min_track_record)


def test_without_trials_the_deflation_uses_the_law_of_no_skill():
    report = sharpe_report(TEN, n_trials=20)
    gamma = 0.5772156649015329
    best = (1 / 3) * (
        (1 - gamma) * stats.norm.ppf(1 - 1 / 20) + gamma * stats.norm.ppf(1 - 1 / (20 * math.e))
    )
    assert report.expected_max_sharpe == pytest.approx(best, rel=1e-10)
    assert report.deflated_sharpe < report.probabilistic_sharpe
    assert sharpe_report(TEN, n_trials=1).deflated_sharpe == sharpe_report(TEN).probabilistic_sharpe


def test_min_track_record_is_where_psr_crosses(weekly):
    report = sharpe_report(weekly, confidence=0.95)
    spread = math.sqrt(
        1 - report.skew * report.sharpe + (report.kurtosis - 1) / 4 * report.sharpe**2
    )

    def psr(n):
        return stats.norm.cdf(report.sharpe * math.sqrt(n - 1) / spread)

    needed = int(report.min_track_record)
    assert psr(needed) >= 0.95 > psr(needed - 1)
    assert sharpe_report(-weekly).min_track_record == math.inf


def hac_by_matrices(x, lags):
    """Lo (2002) by its moments: gradient, 2 x 2 Newey-West matrix."""
    mean, var = x.mean(), x.var(ddof=1)
    g = np.column_stack([x - mean, (x - mean) ** 2 - var])
    g -= g.mean(axis=0)
    omega = g.T @ g / len(x)
    for lag in range(1, lags + 1):
        cross = g[lag:].T @ g[:-lag] / len(x)
        omega += (1 - lag / (lags + 1)) * (cross + cross.T)
    gradient = np.array([var**-0.5, -mean / (2 * var**1.5)])
    return math.sqrt(gradient @ omega @ gradient / len(x))


@pytest.mark.parametrize("lags", [0, 1, 7])
def test_hac_error_equals_the_matrix_form(weekly, lags):
    report = sharpe_report(weekly, hac_lags=lags)
    error = hac_by_matrices(weekly, lags)
    assert report.hac_error == pytest.approx(error, rel=1e-10)
    assert report.hac_interval == pytest.approx(
        (report.sharpe - 1.959963985 * error, report.sharpe + 1.959963985 * error)
    )


def test_default_lags_and_positive_autocorrelation_widens(weekly):
    report = sharpe_report(weekly)
    assert report.hac_lags == 5  # floor(4 * 4 ** (2 / 9))
    assert report.hac_error > sharpe_report(weekly, hac_lags=0).hac_error


def test_bootstrap_without_blocks_agrees_with_theory():
    x = np.random.default_rng(5).normal(0.1, 1.0, size=600)
    report = sharpe_report(x, block_length=1.0, num_samples=4000)
    half = 1.96 * math.sqrt((1 + report.sharpe**2 / 2) / 600)
    low, high = report.bootstrap_interval
    assert low == pytest.approx(report.sharpe - half, abs=0.15 * half)
    assert high == pytest.approx(report.sharpe + half, abs=0.15 * half)
    assert report.bootstrap_p == pytest.approx(report.p_one_sided, abs=0.01)


def test_blocks_keep_the_autocorrelation():
    rng = np.random.default_rng(9)
    x = np.repeat(rng.normal(size=100), 5)  # five equal weeks each: a fifth of the information
    single = np.diff(sharpe_report(x, block_length=1.0).bootstrap_interval)
    blocks = np.diff(sharpe_report(x, block_length=25.0).bootstrap_interval)
    assert blocks / single == pytest.approx(math.sqrt(5), rel=0.15)


def test_same_seed_same_interval(weekly):
    one, two = (sharpe_report(weekly, seed=s).bootstrap_interval for s in (4, 4))
    assert one == two
    assert sharpe_report(weekly, seed=5).bootstrap_interval != one


def test_interval_of_long_series_is_bounded_in_memory_and_unchanged_by_chunks():
    x = np.random.default_rng(0).normal(size=30_000)
    report = sharpe_report(x, num_samples=150)  # 70 resamples per chunk
    low, high = report.bootstrap_interval
    assert low < report.sharpe < high


def test_drawdown_and_turnover():
    report = sharpe_report([0.1, -0.5, 0.1], weights=[[1.0], [0.0], [1.0]])
    assert report.max_drawdown == pytest.approx(-0.5)
    assert report.turnover == pytest.approx(1.0)
    assert math.isnan(sharpe_report([0.1, -0.5, 0.1]).turnover)


def test_missing_weeks_are_left_out_and_counted():
    plain, holes = sharpe_report(TEN), sharpe_report([NAN, *TEN, NAN])
    assert (holes.n, holes.n_missing) == (10, 2)
    assert holes.sharpe == plain.sharpe
    assert holes.bootstrap_interval == plain.bootstrap_interval


@pytest.mark.parametrize("pnl", [[0.01], [0.1] * 7, [0.0, 0.0, 0.0]])
def test_a_series_without_variance_has_no_sharpe_ratio(pnl):
    report = sharpe_report(pnl, n_trials=3)
    for name in (
        "sharpe",
        "probabilistic_sharpe",
        "deflated_sharpe",
        "hac_error",
        "bootstrap_p",
        "t_stat",
        "min_track_record",
    ):
        assert math.isnan(getattr(report, name)), name
    assert report.mean == pytest.approx(pnl[0])


def test_json(weekly):
    plain = sharpe_report(weekly, n_trials=9).to_dict()
    again = json.loads(json.dumps(plain))
    assert again["hac_interval"] == plain["hac_interval"]
    assert again["sharpe_annual"] == pytest.approx(plain["sharpe"] * 52**0.5)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"n_trials": 0}, ParameterError, "n_trials"),
        ({"periods_per_year": 0}, ParameterError, "periods_per_year"),
        ({"confidence": 1.0}, ParameterError, "confidence"),
        ({"num_samples": 0}, ParameterError, "num_samples"),
        ({"block_length": 0.5}, ParameterError, "block_length"),
        ({"hac_lags": -1}, ParameterError, "hac_lags"),
        ({"trial_sharpes": [NAN]}, DataError, "trial_sharpes"),
        ({"weights": [[1.0]]}, ShapeError, "1 periods"),
    ],
)
def test_bad_settings_are_named(options, error, text):
    with pytest.raises(error, match=text):
        sharpe_report(TEN, **options)


def test_no_returns_is_an_error():
    with pytest.raises(DataError, match="all 2 periods are NaN"):
        sharpe_report([NAN, NAN])
