from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import fastpanel as fp
from fastpanel.errors import LeakageError, ParameterError
from fastpanel.features import register, unregister


@pytest.fixture(scope="module")
def bars():
    return fp.data.simulated_market(n_assets=3, years=1.2, bar="1d", gap_rate=0.02, seed=4)


@pytest.fixture(scope="module")
def clean(bars):
    return fp.clean_bars(bars)


@pytest.fixture
def own():
    names = []

    def keep(name, **options):
        names.append(name)
        return register(name, **options)

    yield keep
    for name in names:
        unregister(name)


@pytest.mark.parametrize("form", ["bars", "clean"])
def test_built_in_features_do_not_leak(form, request):
    report = fp.audit(request.getfixturevalue(form), allow_ragged=True)
    assert report.ok, str(report)
    assert len(report.checked) == 45
    assert len(report.cuts) == 5
    report.raise_if_leaking()
    assert "45 features at 5 cuts: nothing depends on later bars" in str(report)


def test_a_feature_that_peeks_one_week_ahead_is_named_with_row_and_cut(clean, own):
    @own("peek")
    def peek(close):
        out = np.full_like(close, np.nan)
        out[:-1] = close[1:]
        return out

    report = fp.audit(clean, groups=["custom", "breakout"], cuts=[20, 40], allow_ragged=True)
    assert not report.ok
    assert [(f.feature, f.row, f.cut, f.probe) for f in report.findings] == [
        ("peek", 20, 20, "truncate"),
        ("peek", 20, 20, "perturb"),
        ("peek", 40, 40, "truncate"),
        ("peek", 40, 40, "perturb"),
    ]
    first = report.findings[0]
    assert first.asset == "SIM00"
    assert first.before == clean.weekly_arrays.close[21, 0]
    assert np.isnan(first.after)
    assert first.time == np.datetime_as_string(clean.times[20], unit="m")
    with pytest.raises(LeakageError, match=r"'peek' of asset 'SIM00' in row 20 .*after row 20"):
        report.raise_if_leaking()
    record = json.loads(json.dumps(report.to_dict()))
    assert record["ok"] is False
    assert record["findings"][2]["cut"] == 40


def test_a_daily_feature_that_peeks_is_caught(clean, own):
    @own("next_day", frequency="daily", inputs=("return",))
    def next_day(returns):
        return np.vstack([returns[1:], np.full((1, returns.shape[1]), np.nan)])

    report = fp.audit(clean, groups="custom", cuts=3, allow_ragged=True)
    assert {f.feature for f in report.findings} == {"next_day"}
    assert all(f.row == f.cut for f in report.findings)


@pytest.mark.parametrize("statistic", [np.nanmax, np.nanmin, np.nanmean])
def test_a_scale_from_the_whole_sample_is_caught(clean, own, statistic):
    own("scaled")(lambda close: close / statistic(close, axis=0))
    report = fp.audit(clean, groups="custom", cuts=[30], allow_ragged=True)
    assert {(f.row, f.cut) for f in report.findings} == {(0, 30)}


def test_a_leak_that_only_values_show_is_caught(clean, own):
    # the shape of the data is the same under both probes; a sign of the next return is not
    @own("sign")
    def sign(close):
        ahead = np.vstack([close[1:], close[-1:]])
        return np.where(ahead > close, 1.0, -1.0)

    report = fp.audit(clean, groups="custom", cuts=10, allow_ragged=True)
    assert {f.feature for f in report.findings} == {"sign"}


def test_the_audit_leaves_the_subject_as_it_was(clean):
    before = clean.weekly.clone(), clean.daily.clone(), clean.returns.values.copy()
    fp.audit(clean, groups="breakout", cuts=2, allow_ragged=True)
    assert clean.weekly.equals(before[0])
    assert clean.daily.equals(before[1])
    np.testing.assert_array_equal(clean.returns.values, before[2])


def test_cuts_are_drawn_over_the_whole_range_and_reproducible(clean):
    drawn = [
        fp.audit(clean, features="rev", cuts=8, seed=s, allow_ragged=True).cuts for s in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 8
    assert drawn[0][0] < len(clean.times) / 8
    assert drawn[0][-1] > len(clean.times) * 6 / 8


@pytest.mark.parametrize(
    ("cuts", "message"),
    [(0, "cuts is 0"), ([61], r"cut 61 is outside the rows \[0, 60\]"), ([-1], "cut -1")],
)
def test_bad_cuts(clean, cuts, message):
    with pytest.raises(ParameterError, match=message):
        fp.audit(clean, features="rev", cuts=cuts, allow_ragged=True)


def test_one_week_is_too_short(bars):
    one = bars.filter(pl.col("timestamp") < pl.datetime(2016, 1, 9, time_zone="UTC"))
    with pytest.raises(ParameterError, match="1 weekly rows leave no row"):
        fp.audit(one, features="range_pos")


def test_universe_is_checked_as_in_compute(clean):
    with pytest.raises(ValueError, match="allow_ragged"):
        fp.audit(clean, features="rev")
