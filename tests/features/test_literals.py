"""Worked examples, one per column: numbers a reader can check by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from fastpanel.data import CleanBars
from fastpanel.features import compute

EPS = 1e-6


def last(clean, name):
    panel = compute(clean, features=name)
    return panel.values[-1, :, panel.features.index(name)]


ALTERNATING = np.exp(np.concatenate([[0.0], np.cumsum(np.tile([0.02, 0.0], 30))]))
LINE = np.exp(0.01 * np.arange(60))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("z_mom_4w", 1.9610652), ("z_mom_12w", 3.39673495), ("z_mom_26w", 4.99990385)],
)
def test_z_mom(weekly_only, name, expected):
    assert last(weekly_only(ALTERNATING), name) == pytest.approx([expected], rel=1e-7)


@pytest.mark.parametrize(
    ("name", "expected"), [("ema_spread_4w_26w", 5.49999725), ("ema_spread_12w_26w", 3.49999825)]
)
def test_ema_spread(weekly_only, name, expected):
    close = np.arange(1.0, 2001.0)
    clean = weekly_only(close, close + 1, close - 1)
    assert last(clean, name) == pytest.approx([expected], rel=1e-8)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("z_price_ema_12w", 1.09275953),
        ("z_price_ema_26w", 1.32693911),
        ("z_price_med_26w", 1.29708415),
    ],
)
def test_z_price(weekly_only, name, expected):
    assert last(weekly_only(LINE), name) == pytest.approx([expected], rel=1e-8)


def test_donch_pos(weekly_only):
    clean = weekly_only([9, 10, 10, 11], [10, 12, 11, 13], [8, 9, 9, 10])
    assert last(clean, "donch_pos_4w") == pytest.approx([0.59999988], abs=1e-8)


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        ([100, 102, 101, 103, 102], 16.6666667),
        ([1, 2, 3, 4, 5], 50.0),
        ([5, 4, 3, 2, 1], -50.0),
        ([7, 7, 7, 7, 7], 0.0),
    ],
)
def test_rsi_centered(weekly_only, closes, expected):
    assert last(weekly_only(closes), "rsi_centered_4w") == pytest.approx([expected])


def test_rev_does_not_see_this_week(weekly_only):
    for close in (121, 5):
        found = last(weekly_only([100, 110, close]), "rev_1w")
        assert found == pytest.approx([-0.0953101798], abs=1e-10)


def test_shock(weekly_only):
    returns = [0.0, 0.01, -0.02, 0.03, 0.04, 0.5]
    clean = weekly_only(np.exp(np.cumsum(returns)))
    assert last(clean, "shock_4w") == pytest.approx([1.51180075], rel=1e-8)


def test_range_pos(weekly_only):
    assert last(weekly_only([11], [12], [8]), "range_pos_1w") == pytest.approx([0.49999975])
    assert last(weekly_only([8], [8], [8]), "range_pos_1w") == [0.0]


def test_range_z(weekly_only):
    low = np.full(12, 50.0)
    clean = weekly_only(low, low + np.arange(1, 13), low)
    assert last(clean, "range_z_12w") == pytest.approx([1.52542512], rel=1e-8)


@pytest.mark.parametrize(("weeks", "name"), [(4, "4w"), (26, "26w")])
def test_breakouts_compare_with_the_weeks_before_only(weekly_only, weeks, name):
    close = np.full((weeks + 1, 4), 9.0)
    close[-1] = [10.01, 10.0, 7.99, 8.0]
    high, low = np.full_like(close, 10.0), np.full_like(close, 8.0)
    high[-1], low[-1] = 20.0, 1.0  # the week's own range does not count
    clean = weekly_only(close, high, low)
    assert last(clean, f"brk_up_{name}").tolist() == [1.0, 0.0, 0.0, 0.0]
    assert last(clean, f"brk_dn_{name}").tolist() == [0.0, 0.0, 1.0, 0.0]
    panel = compute(clean, features=["brk_up", "brk_dn"])
    column = panel.values[:, :, panel.features.index(f"brk_up_{name}")]
    assert np.isnan(column[:-1]).all()


def test_cs_rank_is_average_rank_less_a_half_over_n(weekly_only):
    # one-week returns (sign flipped by rev) of 1, 2, 2, 4 parts and a missing one
    close = np.full((3, 5), 100.0)
    close[1] = 100 * np.exp([-0.01, -0.02, -0.02, -0.04, 0.0])
    close[0, 4] = np.nan
    panel = compute(weekly_only(close), ["cross_sectional"], allow_ragged=True)
    found = panel.values[-1, :, panel.features.index("cs_rank_rev_1w")]
    np.testing.assert_array_equal(found, [0.125, 0.5, 0.5, 0.875, np.nan])


def test_cs_rank_of_one_asset_is_a_half(weekly_only):
    assert last(weekly_only(LINE), "cs_rank_z_mom_4w") == [0.5]


def test_vol_cc_d(from_days):
    returns = np.tile([0.01, -0.01], 80)
    assert last(from_days(returns), "vol_cc_d_4w") == pytest.approx([0.0102597835], rel=1e-8)
    noise = np.random.default_rng(0).normal(size=159)
    expected = np.std(noise[159 - 130 :], ddof=1)
    assert last(from_days(noise), "vol_cc_d_26w") == pytest.approx([expected])


def test_atrp_d(from_days):
    clean = from_days(np.zeros(24), high=1.01, low=0.99)
    assert last(clean, "atrp_d_4w") == pytest.approx([0.02])


def test_vol_regime_against_the_prior_half_year(from_days):
    calm = np.tile([0.01, -0.01], 200)[: 31 * 5 - 1]
    assert last(from_days(calm), "vol_regime_cc_4w_26w") == pytest.approx([0.0], abs=1e-12)
    # 60 weeks of calm, then four of twice the moves: the 26 weeks before hold 3 mixed ones
    both = np.tile([0.01, -0.01], 300)[: 64 * 5 - 1]
    both[-20:] *= 2
    sigma = np.std(np.tile([0.01, -0.01], 10), ddof=1)
    expected = np.log((2 * sigma + EPS) / (sigma + EPS))
    assert last(from_days(both), "vol_regime_cc_4w_26w") == pytest.approx([expected])
    assert last(from_days(both), "glob_vol_regime_cc_4w_26w") == pytest.approx([expected])


def test_vov_norm(from_days):
    size = np.tile([0.01, -0.03], 200)[: 45 * 5 - 1]
    assert last(from_days(size), "vov_norm_12w") == pytest.approx([0.0], abs=1e-12)
    size[-60:] *= 2  # both values lie in every window of 60 days
    quiet = np.std(np.tile([0.01, 0.03], 30), ddof=1)
    assert quiet == pytest.approx(0.0100843897, rel=1e-8)
    expected = np.log((2 * quiet + EPS) / (quiet + EPS))
    assert last(from_days(size), "vov_norm_12w") == pytest.approx([expected])


def test_vol_ts(from_days):
    wave = np.tile([0.01, -0.01], 100)[:134]
    ratio = np.log((np.std(wave[-5:], ddof=1) + EPS) / (np.std(wave[-20:], ddof=1) + EPS))
    assert last(from_days(wave), "vol_ts_cc_1w_4w") == pytest.approx([ratio])
    still = np.concatenate([wave[:129], np.zeros(5)])
    sigma = np.std(still[-20:], ddof=1)
    expected = np.log(2e-6 / (sigma + EPS))
    assert last(from_days(still), "vol_ts_cc_1w_4w") == pytest.approx([expected])
    sigma = np.std(still[-20:], ddof=1), np.std(still[-130:], ddof=1)
    expected = np.log((sigma[0] + EPS) / (sigma[1] + EPS))
    assert last(from_days(still), "vol_ts_cc_4w_26w") == pytest.approx([expected])


def test_down_up_vol_ratio(from_days):
    name = "down_up_vol_ratio_4w"
    both = np.concatenate([np.full(4, 0.5), np.full(5, -0.02), np.full(15, 0.01)])
    assert last(from_days(both), name) == pytest.approx([0.693097184], rel=1e-8)
    # one falling day is too few, so the volatility stands in
    one = np.concatenate([np.zeros(4), [-0.02], np.full(19, 0.01)])
    expected = np.log((np.std(one[-20:], ddof=1) + EPS) / (0.01 + EPS))
    assert last(from_days(one), name) == pytest.approx([expected])


def test_realized_skew_is_not_demeaned_and_clipped(from_days):
    name = "realized_skew_d_12w"
    crash = np.concatenate([np.full(44, 0.01), [-0.30], np.full(19, 0.01)])
    assert last(from_days(crash), name) == [-5.0]
    some = np.concatenate([np.zeros(4), np.full(40, 0.01), np.full(20, -0.02)])
    last60 = some[-60:]
    expected = np.sqrt(60) * (last60**3).sum() / (last60**2).sum() ** 1.5
    assert last(from_days(some), name) == pytest.approx([expected])
    symmetric = np.concatenate([np.zeros(4), np.tile([0.01, -0.01], 30)])
    assert last(from_days(symmetric), name) == pytest.approx([0.0], abs=1e-12)
    assert last(from_days(np.zeros(64)), name) == [0.0]


def test_tail_ratio(from_days):
    spaced = np.concatenate([np.zeros(4), np.linspace(-0.03, 0.03, 60)])
    found = last(from_days(spaced), "tail_5p_sigma_ratio_12w")
    assert found == pytest.approx([-0.0788637162], rel=1e-8)
    rising = np.concatenate([np.zeros(4), np.linspace(0.01, 0.03, 60)])
    sigma = np.std(rising[-60:], ddof=1)
    expected = np.log(2e-6 / (1.645 * sigma + EPS))
    assert last(from_days(rising), "tail_5p_sigma_ratio_12w") == pytest.approx([expected])


def test_jump_freq_counts_the_last_twenty_days(from_days):
    returns = np.concatenate([np.zeros(4), np.tile([0.01, -0.01], 30)])
    returns[[-1, -20, -21]] = 0.1  # the third lies just outside
    assert last(from_days(returns), "jump_freq_4w") == pytest.approx([0.10])
    returns[-20] = 0.0
    assert last(from_days(returns), "jump_freq_4w") == pytest.approx([0.05])


def test_weekday_means(from_days):
    # day 0 is a Monday without a return; day d has weekday d % 5
    weekday = np.arange(1, 30 * 5) % 5
    returns = np.where(weekday == 0, 0.01, np.where(weekday == 4, -0.01, 0.0))
    clean = from_days(returns)
    assert last(clean, "dow_alpha_Mon_26w") == pytest.approx([0.01])
    assert last(clean, "dow_alpha_Fri_26w") == pytest.approx([-0.01])
    assert last(clean, "dow_spread_26w") == pytest.approx([0.02])


@pytest.mark.parametrize(("mondays", "valid"), [(12, False), (13, True)])
def test_weekday_mean_needs_half_of_the_weeks(from_days, mondays, valid):
    clean = from_days(np.full(26 * 5 - 1, 0.01))
    week = pl.col("timestamp").rank("dense") > 5 * (26 - mondays)
    kept = clean.daily.filter((pl.col("timestamp").dt.weekday() != 1) | week)
    part = CleanBars(clean.weekly, kept, clean.returns, clean.meta)
    assert np.isfinite(last(part, "dow_alpha_Mon_26w")).all() == valid
    assert np.isfinite(last(part, "dow_alpha_Fri_26w")).all()
    assert np.isfinite(last(part, "dow_spread_26w")).all() == valid


def test_glob_vol_is_the_mean(from_days):
    wave = np.tile([1.0, -1.0], 20)[:39] / 1.02597835208
    clean = from_days(np.column_stack([0.01 * wave, 0.03 * wave]))
    assert last(clean, "glob_vol_cc_d_4w") == pytest.approx([0.02, 0.02], rel=1e-9)
    assert last(clean, "glob_disp_vol_4w") == pytest.approx([1.4826 * 0.01] * 2, rel=1e-9)


def test_glob_corr_mean(from_days):
    wave = np.random.default_rng(0).normal(0, 0.01, 64)
    clean = from_days(np.column_stack([wave, 2 * wave, -wave]))
    assert last(clean, "glob_corr_mean_12w") == pytest.approx([-1 / 3] * 3)


def test_glob_pc1_share(from_days):
    wave = np.random.default_rng(0).normal(0, 0.01, 64)
    assert last(
        from_days(np.column_stack([wave, 2 * wave])), "glob_pc1_share_12w"
    ) == pytest.approx([1.0, 1.0])
    # three orthogonal series of one length and mean zero: an identity covariance
    basis = np.linalg.qr(np.column_stack([np.ones(60), np.eye(60)[:, :3]]))[0][:, 1:]
    clean = from_days(np.vstack([np.zeros((4, 3)), 0.01 * basis]))
    assert last(clean, "glob_pc1_share_12w") == pytest.approx([1 / 3] * 3)


def test_glob_disp_ret(weekly_only):
    close = np.vstack([np.ones(4), np.exp([0.01, 0.02, 0.03, 0.10])])
    found = last(weekly_only(close), "glob_disp_ret_1w")
    assert found == pytest.approx([0.014826] * 4, rel=1e-9)


def test_glob_disp_mom_is_the_spread_of_z_mom(weekly_only):
    close = np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.02, (40, 5)), axis=0))
    clean = weekly_only(close)
    base = last(clean, "z_mom_12w")
    expected = 1.4826 * np.median(np.abs(base - np.median(base)))
    assert last(clean, "glob_disp_mom_12w") == pytest.approx([expected] * 5)
