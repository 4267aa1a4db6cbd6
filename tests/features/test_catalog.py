from __future__ import annotations

import numba
import numpy as np
import polars as pl
import pytest

import fastpanel as fp
from fastpanel.data import clean_bars, simulated_market
from fastpanel.errors import (
    DuplicateNameError,
    ParameterError,
    ShapeError,
    UnknownNameError,
)
from fastpanel.features import catalog, compute, register, unregister


@pytest.fixture(scope="module")
def clean():
    return clean_bars(simulated_market(n_assets=3, years=1, bar="1d", gap_rate=0.02))


@pytest.fixture(autouse=True)
def forget_own_features():
    yield
    for name in catalog().names[45:]:
        unregister(name)


def test_plain_weekly_function_gets_arrays_by_name(clean):
    @register("gap_w", inputs=("open", "close", "return"), unit="log return", lookback=1)
    def gap(open_, close, returns):
        out = np.full_like(close, np.nan)
        out[1:] = np.log(open_[1:] / close[:-1]) + 0 * returns[1:]
        close[:] = -1  # a function may write into what it got
        return out

    week = clean.weekly_arrays
    panel = compute(clean, "custom", allow_ragged=True)
    assert panel.features == ("gap_w",)
    np.testing.assert_array_equal(
        panel.values[1:, 0, 0], np.log(week.open[1:, 0] / week.close[:-1, 0])
    )
    assert gap(*np.ones((3, 4, 2))).shape == (4, 2)  # the decorator returns the function
    assert compute(clean, allow_ragged=True).features[-1] == "gap_w"
    assert catalog().groups[-1] == "custom"


def test_numba_daily_function_sees_days_without_gaps_and_is_sampled(clean):
    @register("last_range", inputs=("high", "low"), frequency="daily", group="mine", key="ranges")
    @numba.njit
    def width(high, low):
        out = np.empty_like(high)
        for row in range(high.shape[0]):
            for asset in range(high.shape[1]):
                out[row, asset] = high[row, asset] - low[row, asset]
        return out

    panel = compute(clean, "mine", features="ranges", allow_ragged=True)
    for a, asset in enumerate(clean.assets):
        own = clean.daily.filter(pl.col("asset") == asset).with_columns(
            week=pl.col("timestamp").dt.truncate("1w"), width=pl.col("high") - pl.col("low")
        )
        wanted = own.group_by("week", maintain_order=True).agg(pl.col("width").last())["width"]
        found = panel.values[:, a, 0]
        np.testing.assert_array_equal(found[np.isfinite(found)], wanted.to_numpy())


def test_a_feature_may_build_on_columns(clean):
    register("twice", inputs=("rev_1w",))(lambda base: 2 * base)
    panel = compute(clean, features=["twice", "rev_1w"], allow_ragged=True)
    np.testing.assert_array_equal(panel.values[:, :, 1], 2 * panel.values[:, :, 0])


def test_names_are_unique_unless_replaced(clean):
    register("mine")(lambda close: close)
    with pytest.raises(DuplicateNameError, match="'mine'"):
        register("mine")
    register("mine", replace=True)(lambda close: -close)
    assert (compute(clean, features="mine", allow_ragged=True).values[-1] < 0).all()
    with pytest.raises(DuplicateNameError, match="'rev_1w'"):
        register("rev_1w", replace=True)
    unregister("mine")
    with pytest.raises(UnknownNameError, match="'mine'"):
        unregister("mine")
    register("mine")(lambda close: close)


def test_bad_registrations():
    with pytest.raises(ParameterError, match="frequency is 'hourly'"):
        register("x", frequency="hourly")
    with pytest.raises(ParameterError, match="unknown input 'volume'"):
        register("x", inputs=("volume",))
    with pytest.raises(ParameterError, match="unknown input 'rev_1w' of a daily"):
        register("x", inputs=("rev_1w",), frequency="daily")
    with pytest.raises(ParameterError, match="at least one input"):
        register("x", inputs=())
    with pytest.raises(ParameterError, match="horizon and lookback are weeks, at least 0"):
        register("x", lookback=-1)


@pytest.mark.parametrize("frequency", ["weekly", "daily"])
def test_wrong_shape_names_the_feature(clean, frequency):
    register("short", frequency=frequency)(lambda close: close[1:])
    with pytest.raises(ShapeError, match=r"feature 'short' .*shape \(\d+, 3\), expected"):
        compute(clean, features="short", allow_ragged=True)


def test_a_feature_built_on_itself_is_an_error(clean):
    register("one")(lambda close: close)
    register("two", inputs=("one",))(lambda one: one)
    register("one", inputs=("two",), replace=True)(lambda two: two)
    with pytest.raises(ParameterError, match="feature 'two' is built on itself"):
        compute(clean, features="two", allow_ragged=True)


def test_catalog_names_and_repr():
    assert repr(catalog()) == "Catalog(45 columns in 7 groups)"
    assert len(set(catalog().names)) == 45
    assert catalog().to_frame().columns[:4] == ["group", "key", "name", "horizon"]


def trailing_range(high, low):
    """Highest high less lowest low of all rows so far, of one asset."""
    out = np.empty(len(high))
    top, bottom = -np.inf, np.inf
    for row in range(len(high)):
        top = top if np.isnan(high[row]) else max(top, high[row])
        bottom = bottom if np.isnan(low[row]) else min(bottom, low[row])
        out[row] = top - bottom
    high[:] = np.nan  # its own copy
    return out


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("frequency", ["weekly", "daily"])
def test_one_asset_at_a_time_compiled_or_not(clean, frequency, threads):
    two = {"inputs": ("high", "low"), "frequency": frequency}
    register("whole", **two)(lambda high, low: np.fmax.accumulate(high) - np.fmin.accumulate(low))
    register("compiled", per_asset=True, **two)(numba.njit(trailing_range))
    register("plain", per_asset=True, **two)(trailing_range)
    fp.set_num_threads(threads)
    try:
        with pytest.warns(UserWarning, match=r"'trailing_range' asset by asset.*numba\.njit"):
            panel = compute(clean, "custom", allow_ragged=True)
    finally:
        fp.set_num_threads(None)
    whole, compiled, plain = np.moveaxis(panel.values, 2, 0)
    np.testing.assert_array_equal(compiled, plain)
    there = np.isfinite(whole) & np.isfinite(plain)
    assert there.mean() > 0.5
    np.testing.assert_array_equal(plain[there], whole[there])


@pytest.mark.parametrize("per_asset", [False, True])
def test_a_compile_error_names_the_feature_and_shows_the_line(clean, per_asset):
    @register("broken", per_asset=per_asset)
    @numba.njit
    def broken(close):
        return close.no_such_thing()  # the line to show

    with pytest.raises(ParameterError, match="feature 'broken': func 'broken' does not") as caught:
        compute(clean, features="broken", allow_ragged=True)
    assert "no_such_thing()  # the line to show" in str(caught.value)


def test_a_result_per_asset_has_its_length(clean):
    register("number", per_asset=True)(numba.njit(lambda close: close[-1]))
    with pytest.raises(ParameterError, match="feature 'number': func must return one 1-D array"):
        compute(clean, features="number", allow_ragged=True)
    register("short", per_asset=True)(numba.njit(lambda close: close[1:].copy()))
    with pytest.raises(ShapeError, match=r"feature 'short' has shape \(\d+,\), expected \(\d+,\)"):
        compute(clean, features="short", allow_ragged=True)


def test_the_audit_catches_a_peeking_compiled_feature(clean):
    @register("peeks", per_asset=True, frequency="daily")
    @numba.njit
    def peeks(close):
        out = np.full(len(close), np.nan)
        out[:-1] = close[1:] - close[:-1]
        return out

    register("honest", per_asset=True)(numba.njit(lambda close: close * 2.0))
    report = fp.audit(clean, groups="custom", cuts=3, allow_ragged=True)
    assert {finding.feature for finding in report.findings} == {"peeks"}
