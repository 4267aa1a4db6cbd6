from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpanel as fp
from fastpanel import _core
from fastpanel.errors import ConfigError, DataError, ParameterError, ShapeError
from fastpanel.preprocess import PanelPreprocessor, PreprocessState
from fastpanel.splits import Fold, build_equal_groups, make_cpcv_splits

PLAIN = {"winsor_low_q": 0, "winsor_high_q": 1, "mad_eps": 0, "max_abs_corr": 1}
STATISTICS = ("median", "scale", "guarded", "winsor_low", "winsor_high")


def column(*values):
    return np.array(values, dtype=float).reshape(-1, 1, 1)


def same_bits(a, b):
    return a.kept == b.kept and all(
        getattr(a, name).tobytes() == getattr(b, name).tobytes() for name in STATISTICS
    )


# Worked examples ------------------------------------------------------------


def test_median_and_composite_scale():
    state = PanelPreprocessor(**PLAIN).fit(column(1, 2, 3, 4, 100), ["x"])
    assert state.median.item() == 3.0
    assert state.scale.item() == 1.4826
    assert state.transform(column(1, 2, 3, 4, 100))[-1].item() == 10.0  # 65.4 is clipped
    wide = PanelPreprocessor(**PLAIN, clip_max=100).fit(column(1, 2, 3, 4, 100), ["x"])
    assert wide.transform(column(100.0)).item() == pytest.approx(97 / 1.4826)


def test_the_quartile_range_counts_where_it_is_larger():
    state = PanelPreprocessor(**PLAIN).fit(column(0, 0, 0, 8, 8), ["x"])  # MAD 0, IQR 8
    assert state.scale.item() == 8 / 1.349


def test_winsor_bounds_are_pooled_over_assets():
    x = np.arange(1, 1001, dtype=float).reshape(250, 4, 1)
    state = PanelPreprocessor().fit(x, ["x"])
    assert state.winsor_low.item() == pytest.approx(5.995, abs=1e-12)
    assert state.winsor_high.item() == pytest.approx(995.005, abs=1e-12)


def test_missing_values_change_no_statistic():
    pre = PanelPreprocessor(**PLAIN, min_usable_ratio=0.3)
    state = pre.fit(column(1, 2, 3, 4, 100), ["x"])
    holes = column(1, np.nan, 2, 3, np.nan, np.nan, 4, 100)
    assert same_bits(state, pre.fit(holes, ["x"]))
    masked = np.where(np.isnan(holes), 1e9, holes)
    assert same_bits(state, pre.fit(masked, ["x"], mask=np.isnan(holes)))


@pytest.mark.parametrize(("usable", "kept"), [(79, False), (80, True)])
def test_missingness_limit(usable, kept):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 1, 2))
    x[usable:, 0, 0] = np.nan
    state = PanelPreprocessor().fit(x, ["holed", "whole"])
    assert ("holed" in state.kept) is kept
    if not kept:
        assert state.dropped["holed"].startswith("missingness: usable ratio 0.79")


def test_weeks_in_which_an_asset_is_not_there_do_not_count_as_missing():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 2, 2))
    absent = np.zeros((100, 2), dtype=bool)
    absent[:60, 1] = True
    x[absent] = np.nan
    x[:20, 0, 1] = np.nan  # of the 140 entries that are there, 20 are missing: 0.857
    x[60:75, 1, 1] = np.nan  # and 15 more: 0.75
    names = ["whole", "holed"]
    with pytest.raises(DataError, match=r"'whole': missingness: usable ratio 0\.7 "):
        PanelPreprocessor().fit(x, names)
    state = PanelPreprocessor().fit(x, names, absent=absent)
    assert state.kept == ("whole",)
    assert state.dropped["holed"].startswith("missingness: usable ratio 0.75 ")
    rows = [np.arange(80), np.arange(100)]
    (early, late) = PanelPreprocessor(min_usable_ratio=0.7).fit_splits(
        x, names, rows, None, None, absent
    )
    # 80 weeks: 100 entries are there, 35 of them missing; 100 weeks: 35 of 140
    assert early.dropped["holed"].startswith("missingness: usable ratio 0.65 ")
    assert late.kept == ("whole", "holed")
    np.testing.assert_array_equal(
        late.median, PanelPreprocessor(min_usable_ratio=0).fit(x, names).median
    )


@pytest.mark.parametrize(
    ("absent", "error", "named"),
    [
        (np.zeros((4, 3), dtype=bool), ShapeError, r"absent has shape \(4, 3\), X has \(4, 2\)"),
        (np.zeros((4, 2)), ParameterError, r"absent must be bool \(True = not there\)"),
    ],
)
def test_bad_absences_are_named(absent, error, named):
    with pytest.raises(error, match=named):
        PanelPreprocessor().fit(np.ones((4, 2, 1)), ["x"], absent=absent)


def test_constant_features_are_dropped_by_variance():
    x = np.random.default_rng(0).normal(size=(30, 3, 2))
    x[:, :, 1] = 5.0
    state = PanelPreprocessor().fit(x, ["x", "flat"])
    assert state.kept == ("x",)
    assert state.dropped["flat"].startswith("variance: 0 is below")


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_duplicates_keep_the_more_usable_or_the_earlier(sign):
    rng = np.random.default_rng(1)
    a, other = rng.normal(size=(2, 100, 2))
    x = np.stack([a, other, sign * a], axis=2)
    pre = PanelPreprocessor(max_abs_corr=0.99)
    equal = pre.fit(x, ["first", "other", "second"])
    assert equal.kept == ("first", "other")
    assert "with 'first' is above max_abs_corr 0.99" in equal.dropped["second"]
    x[:10, :, 0] = np.nan  # 90 % against 100 %
    assert pre.fit(x, ["first", "other", "second"]).kept == ("other", "second")


def test_a_dropped_duplicate_drops_nobody():
    rng = np.random.default_rng(2)
    a, e = rng.normal(size=(2, 4000, 1))
    x = np.stack([a, a + 0.45 * e, a + 0.9 * e], axis=2)  # neighbours alike, ends less so
    corr = np.corrcoef(x[:, 0].T)
    limit = (corr[0, 1] + corr[0, 2]) / 2
    assert corr[1, 2] > limit
    assert PanelPreprocessor(max_abs_corr=limit).fit(x, ["a", "b", "c"]).kept == ("a", "c")


def test_drops_are_listed_by_stage():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(50, 2, 4))
    x[:, :, 1] = x[:, :, 0]
    x[:, :, 2] = 1.0
    x[:30, :, 3] = np.nan
    state = PanelPreprocessor().fit(x, ["a", "twin", "flat", "holed"])
    assert [r.split(":")[0] for r in state.dropped.values()] == [
        "missingness",
        "variance",
        "duplicate",
    ]


def test_breakouts_are_centred_at_their_share():
    x = np.zeros((10, 2, 1))
    x[0, 0] = 1
    x[:, 1] = 1
    state = PanelPreprocessor(min_variance=0).fit(x, ["brk_up_4w"])
    z = state.transform(x)
    assert z[0, 0, 0] == pytest.approx(2.99998333, abs=1e-8)
    assert z[1, 0, 0] == pytest.approx(-0.333331481, abs=1e-9)
    assert (z[:, 1] == 0).all()  # constant in training
    assert (state.transform(1 - x)[:, 1] == 0).all()  # and so on rows never seen


def test_ranks_pass_through_with_or_without_a_group_prefix():
    x = np.random.default_rng(0).random((40, 5, 2))
    for names in (["cs_rank_rev_1w", "x"], ["mean_reversion__cs_rank_rev_1w", "g__x"]):
        z = PanelPreprocessor().fit(x, names).transform(x)
        np.testing.assert_array_equal(z[:, :, 0], x[:, :, 0])
        assert not np.array_equal(z[:, :, 1], x[:, :, 1])
    off = PanelPreprocessor(use_feature_names_for_scaling=False)
    state = off.fit(x, ["cs_rank_rev_1w", "brk_up_4w"])
    assert state.kinds == ("continuous", "continuous")
    np.testing.assert_allclose(np.median(state.transform(x), axis=0), 0, atol=1e-12)


def test_breakouts_and_ranks_are_neither_winsorised_nor_clipped():
    x = np.random.default_rng(0).random((400, 1, 2))
    x[:, :, 0] = np.arange(400).reshape(-1, 1) == 0  # share 1/400: scales to about 20
    state = PanelPreprocessor(clip_max=0.5, clip_min=-0.5).fit(x, ["brk_dn_26w", "cs_rank_x"])
    z = state.transform(x)
    assert z[0, 0, 0] > 15
    assert z[:, :, 1].max() > 0.99
    assert np.isinf(state.winsor_low).all()


def test_guardrail_zeroes_one_asset_only():
    x = np.random.default_rng(0).normal(size=(50, 3, 1))
    x[:, 2] = 4.0
    state = PanelPreprocessor().fit(x, ["x"])
    assert state.guarded.tolist() == [[False], [False], [True]]
    z = state.transform(x + np.arange(50).reshape(-1, 1, 1))
    assert (z[:, 2] == 0).all()
    assert (z[:, :2] != 0).any()


def test_relative_guard_counts_the_level():
    x = 1e6 + np.random.default_rng(0).normal(size=(50, 1, 1))  # s about 1, level 1e6
    assert PanelPreprocessor(guard_rel_eps=1e-5).fit(x, ["x"]).guarded.item()
    assert not PanelPreprocessor(guard_rel_eps=1e-7).fit(x, ["x"]).guarded.item()


def test_without_a_guard_the_floor_and_mad_eps_keep_values_finite():
    x = np.random.default_rng(0).normal(size=(50, 2, 1))
    x[:, 1] = 4.0
    off = {"guard_abs_eps": -1, "guard_rel_eps": -1}
    state = PanelPreprocessor(**off, scale_floor=0, mad_eps=1e-12).fit(x, ["x"])
    assert state.scale[1, 0] == 1e-12
    assert np.isfinite(state.transform(x)).all()
    assert PanelPreprocessor(**off, scale_floor=0.5, mad_eps=0).fit(x, ["x"]).scale[1, 0] == 0.5


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_training_values_name_feature_and_asset(bad):
    x = np.random.default_rng(0).normal(size=(30, 2, 2))
    x[20, 1, 1] = bad
    pre = PanelPreprocessor()
    with pytest.raises(DataError, match=r"feature 'g' of asset 'MSFT' is -?inf in training row 20"):
        pre.fit(x, ["f", "g"], asset_names=["AAPL", "MSFT"])
    state = pre.fit(x, ["f", "g"], rows=range(20))  # in test rows it is the user's business
    assert np.isfinite(state.transform(x)).all()
    with pytest.raises(DataError, match="feature 'g' of asset 'asset 1'"):
        pre.refit(state, x, rows=range(25))
    mask = ~np.isfinite(x)
    assert np.isfinite(pre.fit(x, ["f", "g"], mask=mask).transform(x, mask)).all()


def test_max_abs_fail_names_feature_and_asset():
    x = np.random.default_rng(0).normal(size=(60, 2, 1))
    x[:, 1] *= 1e-3
    x[7, 1] = 5.0
    pre = PanelPreprocessor(**{**PLAIN, "max_abs_fail": 100})
    with pytest.raises(DataError, match=r"feature 'x' of asset 'B' scales .*max_abs_fail is 100"):
        pre.fit(x, ["x"], asset_names=["A", "B"])
    assert pre.fit(x, ["x"], rows=range(8, 60)).transform(x)[7, 1, 0] == 10.0


def test_all_features_dropped_is_an_error():
    with pytest.raises(DataError, match="drops all 1 features; the first one, 'x': variance"):
        PanelPreprocessor().fit(np.ones((9, 2, 1)), ["x"])


def test_imputing_and_mask_channels():
    x, names = np.random.default_rng(0).normal(size=(40, 3, 3)), ["a", "b", "c"]
    x[3, 1, 1] = np.nan
    mask = np.zeros(x.shape, bool)
    mask[5, 0, 2] = True
    missing = mask | np.isnan(x)
    zero = PanelPreprocessor(append_mask_as_features=True).fit(x, names, mask=mask)
    z = zero.transform(x, mask)
    assert zero.names == ("a", "b", "c", "a__missing", "b__missing", "c__missing")
    assert z.shape == (40, 3, 6)
    assert (z[:, :, :3][missing] == 0).all()
    np.testing.assert_array_equal(z[:, :, 3:], missing)
    kept = PanelPreprocessor(impute_missing_to_zero=False).fit(x, names, mask=mask)
    np.testing.assert_array_equal(np.isnan(kept.transform(x, mask)), missing)


def test_an_asset_without_training_observations_becomes_zero():
    x = np.random.default_rng(0).normal(size=(60, 8, 2))
    x[:, :, 1] = x[:, :, 1] > 0.5
    x[:50, 2] = np.nan
    for names in (["x", "y"], ["cs_rank_x", "brk_y"]):
        state = PanelPreprocessor().fit(x, names, rows=range(50))
        assert state.guarded[2].all()
        assert (state.transform(x)[:, 2] == 0).all()


# Laws -----------------------------------------------------------------------


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    times=st.integers(8, 90),
    assets=st.integers(3, 6),
    missing=st.sampled_from([0.0, 0.05]),
    section=st.fixed_dictionaries(
        {},
        optional={
            "min_usable_ratio": st.sampled_from([0.0, 0.5]),
            "max_abs_corr": st.sampled_from([0.5, 1.0]),
            "winsor_low_q": st.sampled_from([0.0, 0.1]),
            "winsor_high_q": st.sampled_from([0.7, 1.0]),
            "clip_min": st.sampled_from([-1.0, -3.0]),
            "impute_missing_to_zero": st.booleans(),
            "append_mask_as_features": st.booleans(),
            "guard_rel_eps": st.sampled_from([0.0, 0.5]),
        },
    ),
    by_name=st.booleans(),
)
def test_agrees_with_numpy(reference, *, seed, times, assets, missing, section, by_name):
    x, names = reference.make_panel(seed, times, assets, missing)
    rows = np.flatnonzero(np.random.default_rng(seed).random(times) < 0.8)
    section = {**section, "max_abs_fail": 1e300}
    if not len(rows):
        return
    pre = PanelPreprocessor(**section, use_feature_names_for_scaling=by_name)
    expected = reference.fit_transform(x, names, rows, by_name, **section)
    state = pre.fit(x, names, rows=rows)
    assert state.kept == expected.kept
    assert {n: r.split(":")[0] for n, r in state.dropped.items()} == expected.stage
    np.testing.assert_array_equal(state.guarded, expected.guarded)
    for ours, theirs in (
        (state.median, expected.median),
        (state.scale, expected.scale),
        (state.winsor_low, expected.low),
        (state.winsor_high, expected.high),
        (state.transform(x), expected.z),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_rows_outside_training_change_nothing(reference):
    x, names = reference.make_panel(5)
    rows = np.r_[3:20, 25:44]
    pre = PanelPreprocessor()
    state = pre.fit(x, names, rows=rows)
    outside = np.setdiff1d(np.arange(len(x)), rows)
    for planted in (np.nan, np.inf, -1e300, 0.0):
        other = x.copy()
        other[outside] = planted
        again = pre.fit(other, names, rows=rows)
        assert same_bits(state, again)
        assert dict(state.dropped) == dict(again.dropped)
    fold = pre.fit_splits(other, names, [rows, rows[:20]])
    assert same_bits(state, fold[0])


def test_a_block_of_rows_transforms_as_the_whole(reference):
    x, names = reference.make_panel(7)
    mask = np.random.default_rng(0).random(x.shape) < 0.1
    state = PanelPreprocessor(append_mask_as_features=True).fit(x, names, mask=mask, rows=range(40))
    whole = state.transform(x, mask)
    for part in (slice(0, 1), slice(13, 37), np.array([50, 3, 3])):
        assert state.transform(x[part], mask[part]).tobytes() == whole[part].tobytes()
    assert state.transform(x[:0], mask[:0]).shape == (0, *whole.shape[1:])


def test_rows_as_mask_positions_or_none_are_one_thing(reference):
    x, names = reference.make_panel(1)
    pre = PanelPreprocessor()
    rows = np.arange(10, 50)
    inside = np.zeros(len(x), bool)
    inside[rows] = True
    state = pre.fit(x, names, rows=rows)
    assert same_bits(state, pre.fit(x, names, rows=inside))
    assert same_bits(state, pre.fit(x, names, rows=rows[::-1]))
    assert same_bits(pre.fit(x, names), pre.fit(x, names, rows=np.arange(len(x))))


def folds_of(times):
    groups = build_equal_groups(times, 4, (times - 4) // 6)
    cpcv = make_cpcv_splits(groups, q=2, horizon=1, embargo_len=2, warmup_len=4)
    expanding = [np.arange(times - 9 + k) for k in range(9)]
    rng = np.random.default_rng(0)
    scattered = [np.flatnonzero(rng.random(times) < p) for p in (0.2, 0.5, 0.9)]
    return {"cpcv": cpcv, "expanding": expanding, "scattered": [*scattered, np.array([3, 4, 9])]}


@pytest.mark.parametrize("kind", ["cpcv", "expanding", "scattered"])
@pytest.mark.parametrize("seed", range(4))
def test_all_folds_at_once_equal_separate_fits_to_the_bit(reference, kind, seed):
    x, names = reference.make_panel(seed, times=130, assets=5, missing=0.1)
    mask = np.random.default_rng(seed).random(x.shape) < 0.05
    folds = folds_of(130)[kind]
    pre = PanelPreprocessor(min_usable_ratio=0.3, max_abs_fail=1e300, winsor_low_q=0.02)
    states = pre.fit_splits(x, names, folds, mask=mask)
    assert len(states) == len(folds)
    for fold, state in zip(folds, states, strict=True):
        rows = fold.train if isinstance(fold, Fold) else fold
        alone = pre.fit(x, names, mask=mask, rows=rows)
        assert same_bits(state, alone)
        assert dict(state.dropped) == dict(alone.dropped)
        np.testing.assert_array_equal(state.train_intervals, alone.train_intervals)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    times=st.integers(3, 150),
    shares=st.lists(st.sampled_from([0.1, 0.4, 0.8, 0.97, 1.0]), min_size=1, max_size=7),
    runs=st.booleans(),
    missing=st.sampled_from([0.0, 0.1, 0.7]),
    kinds=st.sampled_from([2, 5, 1 << 40]),
    corr=st.sampled_from([0.9, 1.0]),
)
def test_any_sets_at_once_equal_separate_fits_to_the_bit(
    *, seed, times, shares, runs, missing, kinds, corr
):
    # Ties (few kinds of values), signed zeros, missing values by NaN and by mask, whole columns
    # missing, sets that are runs of rows or scattered ones, equal sets, sets without overlap.
    rng = np.random.default_rng(seed)
    x = rng.integers(-kinds, kinds, size=(times, 3, 4)) * 0.37
    x[rng.random(x.shape) < 0.05] = -0.0
    x[rng.random(x.shape) < missing] = np.nan
    x[:, 1, 2] = np.nan
    mask = rng.random(x.shape) < missing / 2
    folds = []
    for share in shares:
        if runs:
            start = int(rng.integers(0, times))
            folds.append(np.arange(start, min(times, start + 1 + int(share * times))))
        else:
            folds.append(np.flatnonzero(rng.random(times) < share))
    folds = [fold if len(fold) else np.array([0]) for fold in folds]
    section = {"min_usable_ratio": 0, "min_variance": 0, "max_abs_corr": corr}
    pre = PanelPreprocessor(**section, max_abs_fail=1e300, winsor_low_q=0.05, winsor_high_q=0.9)
    names = list("abcd")
    try:
        alone = [pre.fit(x, names, mask=mask, rows=fold) for fold in folds]
    except DataError:  # a set without any observation
        with pytest.raises(DataError):
            pre.fit_splits(x, names, folds, mask=mask)
        return
    for state, one in zip(pre.fit_splits(x, names, folds, mask=mask), alone, strict=True):
        assert same_bits(state, one)
        assert dict(state.dropped) == dict(one.dropped)
        assert state.transform(x, mask).tobytes() == one.transform(x, mask).tobytes()


def test_splits_may_keep_different_features():
    x = np.random.default_rng(0).normal(size=(100, 2, 2))
    x[:40, :, 1] = 3.0
    states = PanelPreprocessor().fit_splits(x, ["a", "b"], [np.arange(40), np.arange(100)])
    assert [state.kept for state in states] == [("a",), ("a", "b")]


def test_values_that_differ_in_their_last_bits_are_ordered_exactly():
    rng = np.random.default_rng(0)
    x = 1.0 + rng.integers(0, 500, size=(300, 2, 3)) * np.finfo(float).eps
    pre = PanelPreprocessor(**PLAIN, min_variance=0, guard_abs_eps=-1, guard_rel_eps=-1)
    rows = [np.arange(0, 250), np.arange(40, 300)]
    for state, train in zip(pre.fit_splits(x, list("abc"), rows), rows, strict=True):
        np.testing.assert_array_equal(state.median, np.median(x[train], axis=0))


def test_refit_keeps_the_features_and_renews_the_statistics(reference):
    x, names = reference.make_panel(3, times=80)
    pre = PanelPreprocessor()
    frozen = pre.fit(x, names, rows=range(50))
    weeks = [np.arange(50 + k) for k in range(5)]
    together = pre.refit_splits(frozen, x, weeks)
    for rows, state in zip(weeks, together, strict=True):
        alone = pre.refit(frozen, x, rows=rows)
        assert same_bits(state, alone)
        assert alone.kept == frozen.kept
        assert dict(alone.dropped) == dict(frozen.dropped)
        assert alone.train_intervals.tolist() == [[0, len(rows)]]
        kept = [names.index(name) for name in frozen.kept]
        fresh = PanelPreprocessor(max_abs_corr=1, min_usable_ratio=0, min_variance=0)
        fresh = fresh.fit(x[:, :, kept], frozen.kept, rows=rows)
        assert same_bits(alone, fresh)
    assert same_bits(together[0], frozen)
    assert not same_bits(together[-1], frozen)
    with pytest.raises(ShapeError, match="fitted on 4 assets"):
        pre.refit(frozen, x[:, :2])


def test_threads_and_simd_levels_change_no_bit(reference):
    x, names = reference.make_panel(2, times=300, assets=9)
    pre, folds = PanelPreprocessor(), [np.arange(250), np.arange(60, 300)]
    before = None
    level = _core.simd_level()
    try:
        for threads in (1, 3):
            fp.set_num_threads(threads)
            for name in _core.simd_levels():
                _core.set_simd_level(name)
                states = pre.fit_splits(x, names, folds)
                z = states[1].transform(x).tobytes()
                if before is not None:
                    assert all(map(same_bits, states, before[0]))
                    assert z == before[1]
                before = (states, z)
    finally:
        _core.set_simd_level(level)
        fp.set_num_threads(None)


def test_correlations_may_be_taken_from_fewer_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2, 2))
    x[::2, :, 1] = x[::2, :, 0]  # alike on even rows only
    assert PanelPreprocessor().fit(x, ["a", "b"]).kept == ("a", "b")
    few = PanelPreprocessor(corr_subsample=2).fit(x, ["a", "b"], rows=range(0, 199))
    assert few.kept == ("a",)  # rows 0 and 198
    assert PanelPreprocessor(corr_subsample=500).fit(x, ["a", "b"]).kept == ("a", "b")


# Arguments and the state ----------------------------------------------------


def test_documented_defaults():
    spec = PanelPreprocessor().spec.model_dump()
    assert spec == {
        "min_usable_ratio": 0.8,
        "min_variance": 1e-12,
        "max_abs_corr": 0.98,
        "corr_subsample": None,
        "mad_eps": 1e-12,
        "breakout_var_floor": 1e-6,
        "winsor_low_q": 0.005,
        "winsor_high_q": 0.995,
        "scale_floor": 1e-6,
        "guard_abs_eps": 1e-8,
        "guard_rel_eps": 1e-4,
        "guard_rel_offset": 1e-6,
        "clip_min": -10.0,
        "clip_max": 10.0,
        "max_abs_fail": 1000.0,
        "impute_missing_to_zero": True,
        "append_mask_as_features": False,
    }
    assert list(inspect.signature(PanelPreprocessor.fit).parameters)[1:] == [
        "X",
        "feature_names",
        "mask",
        "rows",
        "asset_names",
        "absent",
    ]


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"winsor_low_q": 0.5, "winsor_high_q": 0.5}, "winsor_low_q"),
        ({"winsor_high_q": 1.5}, "winsor_high_q"),
        ({"winsor_low_q": -0.1}, "winsor_low_q"),
        ({"clip_min": 3, "clip_max": 2}, "clip_min"),
        ({"max_abs_fail": 0}, "max_abs_fail"),
        ({"corr_subsample": 1}, "corr_subsample"),
        ({"min_usable": 0.5}, "did you mean 'min_usable_ratio'"),
    ],
)
def test_bad_sections(section, named):
    with pytest.raises(ConfigError, match=named):
        PanelPreprocessor(**section)


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"X": np.zeros((4, 3))}, ShapeError, "X must have 3 axes"),
        ({"feature_names": ["a"]}, ShapeError, "1 names, but X has 2"),
        ({"feature_names": ["a", "a"]}, ParameterError, "repeated: \\['a'\\]"),
        ({"mask": np.zeros((4, 3, 1), bool)}, ShapeError, "mask has shape"),
        ({"mask": np.zeros((8, 3, 2))}, ParameterError, "mask must be bool"),
        ({"rows": []}, ParameterError, "nothing to fit on"),
        ({"rows": np.zeros(8, bool)}, ParameterError, "nothing to fit on"),
        ({"rows": np.ones(5, bool)}, ShapeError, "5 entries, X has 8"),
        ({"rows": [-1, 2]}, ParameterError, "position -1"),
        ({"rows": [2, 8]}, ParameterError, "position 8"),
        ({"rows": [2, 2]}, ParameterError, "row 2 more than once"),
        ({"rows": [0.5]}, ParameterError, "row positions"),
        ({"asset_names": ["A"]}, ShapeError, "1 names, but X"),
    ],
)
def test_bad_arguments(change, error, named):
    arguments = {"X": np.random.default_rng(0).normal(size=(8, 3, 2)), "feature_names": ["a", "b"]}
    with pytest.raises(error, match=named):
        PanelPreprocessor().fit(**{**arguments, **change})


def test_fold_errors_name_the_fold_and_no_folds_give_no_states():
    x = np.random.default_rng(0).normal(size=(8, 3, 2))
    pre = PanelPreprocessor()
    with pytest.raises(ParameterError, match="fold 1 holds position 9"):
        pre.fit_splits(x, ["a", "b"], [np.arange(4), np.array([9])])
    assert pre.fit_splits(x, ["a", "b"], []) == []
    assert pre.refit_splits(pre.fit(x, ["a", "b"]), x, []) == []


def test_transform_refuses_another_panel():
    state = PanelPreprocessor().fit(np.random.default_rng(0).normal(size=(8, 3, 2)), ["a", "b"])
    for shape in ((8, 3, 3), (8, 2, 2)):
        with pytest.raises(ShapeError, match="fitted on 3 assets and 2 features"):
            state.transform(np.zeros(shape))


def test_state_is_frozen_remembers_its_rows_and_round_trips(reference):
    x, names = reference.make_panel(4)
    rows = np.r_[2:20, 30:50]
    state = PanelPreprocessor(append_mask_as_features=True).fit(x, names, rows=rows)
    assert state.train_intervals.tolist() == [[2, 20], [30, 50]]
    assert "training rows in [2, 50)" in repr(state)
    with pytest.raises(ValueError, match="read-only"):
        state.median[0, 0] = 1
    with pytest.raises(TypeError):
        state.dropped["x"] = "y"
    again = PreprocessState.from_dict(json.loads(json.dumps(state.to_dict(), allow_nan=False)))
    assert same_bits(again, state)
    assert again.names == state.names
    assert again.transform(x).tobytes() == state.transform(x).tobytes()
    with pytest.raises(ParameterError, match="scale"):
        PreprocessState.from_dict({k: v for k, v in state.to_dict().items() if k != "scale"})


def test_other_dtypes_and_layouts_are_accepted():
    x = np.random.default_rng(0).normal(size=(2, 30, 3))
    pre = PanelPreprocessor()
    plain = pre.fit(np.ascontiguousarray(x.transpose(1, 2, 0)), ["a", "b"])
    assert same_bits(pre.fit(x.transpose(1, 2, 0), ["a", "b"]), plain)
    single = pre.fit(x.transpose(1, 2, 0).astype(np.float32), ["a", "b"])
    np.testing.assert_allclose(single.median, plain.median, rtol=1e-6)
