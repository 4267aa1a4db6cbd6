from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from fastpanel.data import clean_bars, read_bars, simulated_market
from fastpanel.errors import ParameterError


def test_same_seed_same_bars_and_valid_ones():
    bars = simulated_market(n_assets=4, years=1, seed=3)
    assert bars.equals(simulated_market(n_assets=4, years=1, seed=3))
    assert not bars.equals(simulated_market(n_assets=4, years=1, seed=4))
    assert read_bars(bars).equals(bars)


def test_calendar_has_no_weekends_or_holidays_and_some_gaps():
    bars = simulated_market(n_assets=4, years=3, bar="1h", gap_rate=0.01, seed=3)
    day = bars["timestamp"].dt
    assert day.weekday().max() == 5
    assert not set(day.strftime("%m-%d")) & {"01-01", "05-01", "12-25"}
    n_days = day.date().n_unique()
    share = bars.filter(pl.col("asset") == "SIM00").height / (24 * n_days)
    assert 0.96 < share < 0.99  # single bars and whole days are gone


def test_late_listers_begin_late_and_no_life_has_a_hole():
    clean = clean_bars(simulated_market(n_assets=5, years=4, late_listers=2, gap_rate=0.05))
    present = np.isfinite(clean.returns.values)
    assert present.argmax(axis=0).tolist() == [0, 0, 0, 78, 52]
    assert all(present[first:, a].all() for a, first in enumerate(present.argmax(axis=0)))


def test_returns_are_correlated_fat_tailed_and_clustered():
    clean = clean_bars(simulated_market(n_assets=10, years=30, bar="1d", late_listers=0, seed=0))
    closes = clean.daily_arrays.close
    closes = closes[np.isfinite(closes).all(axis=1)]
    returns = np.diff(np.log(closes), axis=0)
    correlation = np.corrcoef(returns.T)[np.triu_indices(10, 1)]
    assert 0.1 < correlation.mean() < 0.8
    z = (returns - returns.mean(0)) / returns.std(0)
    assert (z**4).mean() > 5
    size = np.abs(z).mean(axis=1)
    assert np.corrcoef(size[:-1], size[1:])[0, 1] > 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bar": "2h"}, "bar is '2h'"),
        ({"n_assets": 0}, "n_assets is 0"),
        ({"years": 0}, "less than a week"),
        ({"late_listers": 10}, "late_listers is 10"),
        ({"gap_rate": 0.5}, "gap_rate is 0.5"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ParameterError, match=message):
        simulated_market(**arguments)
