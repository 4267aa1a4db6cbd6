from __future__ import annotations

import math

import numpy as np
import pytest

from fastpanel.errors import DataError, DuplicateNameError, UnknownNameError
from fastpanel.models import metric_registry, register_metric
from fastpanel.portfolio import OUTER_METRICS, OuterRecord, outer_metrics

PNL = np.array([0.02, np.nan, -0.01, 0.02])


def test_the_built_in_names_are_registered_in_the_outer_scope():
    assert OUTER_METRICS == (
        "mean_pnl",
        "volatility",
        "sharpe",
        "max_drawdown",
        "turnover",
        "mean_es",
        "coverage",
    )
    assert set(OUTER_METRICS) <= set(metric_registry("outer"))


def test_literal_values():
    record = OuterRecord(
        pnl=PNL,
        weights=np.array([[1.0], [0.5], [0.5], [0.5]]),
        es=np.array([1.0, np.nan, 2.0, 3.0]),
        inside=np.array([[1.0], [0.0], [np.nan], [1.0]]),
    )
    deviation = math.sqrt(3e-4)  # of 0.02, -0.01, 0.02 with ddof 1
    assert outer_metrics(record) == pytest.approx(
        {
            "mean_pnl": 0.01,
            "volatility": deviation,
            "sharpe": 0.01 / deviation,
            "max_drawdown": -0.01,
            "turnover": 1.5 / 4,
            "mean_es": 2.0,
            "coverage": 2 / 3,
        }
    )


def test_what_was_not_recorded_is_nan():
    values = outer_metrics(OuterRecord(pnl=PNL), ["turnover", "mean_es", "coverage"])
    assert all(math.isnan(value) for value in values.values())


def test_a_registered_metric_is_evaluated_by_name():
    @register_metric("best_week", scope="outer")
    def best_week(record):
        return np.nanmax(record.pnl)

    assert outer_metrics(OuterRecord(pnl=PNL), ["best_week"]) == {"best_week": 0.02}


def test_scopes_are_separate_and_names_unique():
    register_metric("sharpe", scope="inner")(lambda spec: None)
    with pytest.raises(DuplicateNameError, match="sharpe"):
        register_metric("sharpe", scope="outer")(lambda record: 0.0)
    with pytest.raises(UnknownNameError, match="mean_pnl"):
        outer_metrics(OuterRecord(pnl=PNL), ["profit"])


def test_a_record_without_returns():
    with pytest.raises(DataError, match="no week with a return"):
        outer_metrics(OuterRecord(pnl=np.array([np.nan])))
