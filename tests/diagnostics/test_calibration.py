from __future__ import annotations

import math

import numpy as np
import pytest
from tests.diagnostics.cases import forecasts, weeks

from fastpanel.diagnostics import (
    Forecasts,
    coverage_curve,
    coverage_over_time,
    pit_histogram,
    pit_values,
)
from fastpanel.errors import DataError, ParameterError

NAN = math.nan


@pytest.fixture(scope="module")
def calibrated():
    return forecasts()


def one_week(truth, draws=None):
    """Every asset has the draws 0, 1, ..., 100."""
    draws = np.arange(101.0) if draws is None else np.asarray(draws, float)
    truth = np.asarray(truth, float)[None]
    samples = np.broadcast_to(draws[:, None, None], (len(draws), 1, truth.shape[1]))
    return Forecasts(samples, truth, weeks(1), [f"x{i}" for i in range(truth.shape[1])])


def test_pit_counts_ties_half():
    f = one_week([0.5, 2.0, -1.0, 9.0], draws=[0.0, 1.0, 2.0, 2.0])
    assert pit_values(f).tolist() == [[0.25, 0.75, 0.0, 1.0]]


def test_pit_of_a_missing_outcome_or_forecast_is_nan():
    samples = np.arange(12.0).reshape(4, 1, 3)
    samples[0, 0, 1] = NAN
    f = Forecasts(samples, [[NAN, 1.0, 1.5]], weeks(1), "abc")
    assert np.isnan(pit_values(f)).tolist() == [[True, True, False]]


def test_three_of_four_assets_inside():
    # the 90% interval of 0..100 is [5, 95], closed
    table = coverage_over_time(one_week([5.0, 95.0, 50.0, 95.1]), [0.9])
    assert table.observed.tolist() == [[0.75]]


def test_levels_are_central_intervals():
    table = coverage_over_time(one_week([25.0, 24.9, 75.0, 75.1]), [0.5, 0.9])
    assert table.observed.tolist() == [[0.5, 1.0]]


def test_missing_outcomes_leave_the_share():
    table = coverage_over_time(one_week([50.0, NAN, 99.0]), [0.9])
    assert table.observed.tolist() == [[0.5]]
    assert table.n_assets.tolist() == [2]
    empty = coverage_over_time(one_week([NAN, NAN]), [0.9])
    assert np.isnan(empty.observed).all()


def test_weekly_table_has_one_row_per_week_and_level():
    f = forecasts(n=3)
    columns = coverage_over_time(f, [0.5, 0.9]).columns()
    assert list(columns) == ["timestamp", "nominal", "observed", "n_assets"]
    assert columns["nominal"].tolist() == [0.5, 0.9] * 3
    assert columns["timestamp"].tolist() == np.repeat(f.times, 2).tolist()


def test_curve_pools_entries_not_weeks():
    samples = np.broadcast_to(np.arange(101.0)[:, None, None], (101, 2, 3))
    truth = [[50.0, 50.0, 50.0], [99.0, NAN, NAN]]
    curve = coverage_curve(Forecasts(samples, truth, weeks(2), "abc"), [0.9])
    assert curve.observed.tolist() == [0.75]
    assert curve.n == 4
    # weeks as clusters: gaps 3 * 0.25 and -0.75 over 4 entries
    assert curve.error[0] == pytest.approx(math.sqrt(0.75**2 + 0.75**2) / 4)


def test_calibrated_forecasts_look_calibrated(calibrated):
    histogram = pit_histogram(pit_values(calibrated))
    assert len(histogram.density) == 20
    widths = np.diff(histogram.edges)
    assert histogram.density @ widths == pytest.approx(1.0)
    # 600 outcomes, 30 per bin: 4 binomial standard errors around 1
    assert np.abs(histogram.density - 1.0).max() < 4 / math.sqrt(30)
    assert abs(histogram.dispersion - 1.0) < 3 * histogram.dispersion_error
    assert abs(histogram.bias) < 3 * histogram.bias_error
    curve = coverage_curve(calibrated)
    assert (np.abs(curve.observed - curve.levels) < 4 * curve.error + 0.01).all()


def test_over_dispersed_forecasts_lie_above_the_diagonal():
    wide = forecasts(spread=2.0)
    curve = coverage_curve(wide)
    assert (curve.observed > curve.levels).all()
    assert pit_histogram(pit_values(wide)).dispersion < 0.7


def test_under_dispersed_forecasts_lie_below_the_diagonal():
    narrow = forecasts(spread=0.5)
    curve = coverage_curve(narrow)
    assert (curve.observed < curve.levels).all()
    assert pit_histogram(pit_values(narrow)).dispersion > 1.4


def test_forecasts_below_the_outcomes_have_positive_bias():
    assert pit_histogram(pit_values(forecasts(shift=-1.0))).bias > 0.1
    assert pit_histogram(pit_values(forecasts(shift=1.0))).bias < -0.1


def test_errors_treat_a_week_as_one_observation():
    pit = np.repeat(np.random.default_rng(0).random((50, 1)), 10, axis=1)
    many, single = pit_histogram(pit), pit_histogram(pit[:, :1])
    assert many.bias_error == pytest.approx(single.bias_error)
    assert many.dispersion_error == pytest.approx(single.dispersion_error)


def test_bad_input_is_named(calibrated):
    with pytest.raises(ParameterError, match=r"levels must lie in \(0, 1\)"):
        coverage_over_time(calibrated, [0.5, 1.0])
    with pytest.raises(ParameterError, match="bins"):
        pit_histogram(np.array([[0.5]]), bins=1)
    with pytest.raises(DataError, match="no forecast has a known outcome"):
        pit_histogram(np.array([[NAN]]))
    with pytest.raises(DataError, match="no forecast has a known outcome"):
        coverage_curve(one_week([NAN]))
