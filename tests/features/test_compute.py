from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpanel.data import CleanBars, clean_bars, simulated_market
from fastpanel.errors import DataError, UnknownNameError
from fastpanel.features import catalog, compute

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no market data at {SHARED}")
EPS = 1e-6

# first valid weekly row on a gap-free panel that starts on a Monday
FIRST_ROW = {
    0: "range_pos_1w",
    1: "glob_disp_ret_1w",
    2: "rev_1w cs_rank_rev_1w",
    3: "donch_pos_4w atrp_d_4w",
    4: "rsi_centered_4w brk_up_4w brk_dn_4w vol_cc_d_4w vol_ts_cc_1w_4w down_up_vol_ratio_4w "
    "glob_vol_cc_d_4w glob_disp_vol_4w",
    5: "shock_4w cs_rank_shock_4w",
    11: "z_price_ema_12w range_z_12w",
    12: "realized_skew_d_12w tail_5p_sigma_ratio_12w jump_freq_4w glob_corr_mean_12w "
    "glob_pc1_share_12w",
    25: "ema_spread_4w_26w ema_spread_12w_26w z_price_ema_26w z_price_med_26w "
    "cs_rank_z_price_ema_26w cs_rank_z_price_med_26w dow_alpha_Mon_26w dow_alpha_Fri_26w "
    "dow_spread_26w",
    26: "z_mom_4w z_mom_12w z_mom_26w cs_rank_z_mom_4w cs_rank_z_mom_12w brk_up_26w brk_dn_26w "
    "vol_cc_d_26w vol_ts_cc_4w_26w glob_disp_mom_12w",
    30: "vol_regime_cc_4w_26w glob_vol_regime_cc_4w_26w",
    38: "vov_norm_12w",
}


# --- an independent implementation: pandas, one asset and one column at a time


def ohlc_of(table: pl.DataFrame, asset: str) -> pd.DataFrame:
    frame = table.filter(pl.col("asset") == asset).to_pandas().set_index("timestamp")
    frame.index = frame.index.tz_localize(None)
    return frame


def weekly_oracle(week: pd.DataFrame) -> dict[str, pd.Series]:
    c, h, lo = week["close"], week["high"], week["low"]
    p = np.log(c)
    r = p.diff()
    out = {}
    for n in (4, 12, 26):
        out[f"z_mom_{n}w"] = (p - p.shift(n)) / (r.rolling(26).std() * np.sqrt(n) + EPS)
    prev = c.shift()
    tr = pd.concat([h - lo, (h - prev).abs(), (lo - prev).abs()], axis=1).max(axis=1)
    atr = tr.where(c.notna()).rolling(26).mean()
    slow = c.ewm(span=26, min_periods=26).mean()
    for n in (4, 12):
        out[f"ema_spread_{n}w_26w"] = (c.ewm(span=n, min_periods=26).mean() - slow) / (atr + EPS)
    for n in (12, 26):
        ewm = p.ewm(halflife=n, min_periods=n)
        out[f"z_price_ema_{n}w"] = (p - ewm.mean()) / (ewm.std() + EPS)
    mad = p.rolling(26).apply(lambda w: np.median(np.abs(w - np.median(w))), raw=True)
    out["z_price_med_26w"] = (p - p.rolling(26).median()) / (1.4826 * mad + EPS)
    lowest, highest = lo.rolling(4).min(), h.rolling(4).max()
    out["donch_pos_4w"] = (c - lowest) / (highest - lowest + EPS)
    change = c.diff()
    gain = change.clip(lower=0).rolling(4).apply(np.sum, raw=True)
    loss = (-change.clip(upper=0)).rolling(4).apply(np.sum, raw=True)
    rsi = (100 * gain / (gain + loss)).where(gain + loss != 0, 50.0)
    out["rsi_centered_4w"] = (rsi - 50).where(gain.notna())
    out["rev_1w"] = -r.shift()
    out["shock_4w"] = r.shift() / (r.rolling(4).std().shift() + EPS)
    out["range_pos_1w"] = (c - (h + lo) / 2) / (0.5 * (h - lo) + EPS)
    width = h - lo
    out["range_z_12w"] = (width - width.rolling(12).mean()) / (width.rolling(12).std() + EPS)
    for n in (4, 26):
        top, bottom = h.rolling(n).max().shift(), lo.rolling(n).min().shift()
        known = c.notna() & top.notna()
        out[f"brk_up_{n}w"] = (c > top).astype(float).where(known)
        out[f"brk_dn_{n}w"] = (c < bottom).astype(float).where(known)
    return out


def semi(window: np.ndarray, sign: int) -> float:
    side = window[np.sign(window) == sign]
    return np.std(window, ddof=1) if len(side) < 2 else np.sqrt(np.mean(side**2))


def realized_skew(window: np.ndarray) -> float:
    square = (window**2).sum()
    return 0.0 if square == 0 else np.sqrt(len(window)) * (window**3).sum() / square**1.5


def sampled(day: pd.DataFrame, labels: pd.DatetimeIndex) -> pd.DataFrame:
    """Last row of each label's Monday-to-Sunday week."""
    week = day.groupby(day.index.to_period("W-SUN")).last()
    return week.reindex(labels.to_period("W-SUN")).set_axis(labels)


def log_ratio(over: pd.Series, under: pd.Series) -> pd.Series:
    return np.log((over.clip(lower=EPS) + EPS) / (under.clip(lower=EPS) + EPS))


def daily_oracle(
    day: pd.DataFrame, labels: pd.DatetimeIndex, first: pd.Timestamp
) -> dict[str, pd.Series]:
    d = np.log(day["close"]).diff()
    prev = day["close"].shift()
    tr = pd.concat(
        [day["high"] - day["low"], (day["high"] - prev).abs(), (day["low"] - prev).abs()], axis=1
    ).max(axis=1)
    sigma = {n: d.rolling(n).apply(lambda w: np.std(w, ddof=1), raw=True) for n in (5, 20, 60, 130)}
    table = pd.DataFrame({f"s{n}": s for n, s in sigma.items()})
    table["atr"] = tr.rolling(20).mean() / day["close"]
    table["a"] = d.abs().rolling(60).apply(lambda w: np.std(w, ddof=1), raw=True)
    table["down"] = d.rolling(20).apply(lambda w: semi(w, -1), raw=True)
    table["up"] = d.rolling(20).apply(lambda w: semi(w, 1), raw=True)
    table["skew"] = d.rolling(60).apply(realized_skew, raw=True)
    table["q"] = d.rolling(60).apply(lambda w: np.quantile(w, 0.05), raw=True)
    table["jump"] = d.rolling(60).apply(
        lambda w: (np.abs(w[-20:]) > 2 * np.std(w, ddof=1)).sum() / 20, raw=True
    )
    w = sampled(table, labels)
    prior = {name: w[name].shift().rolling(26).median() for name in ("s20", "a")}
    out = {
        "vol_cc_d_4w": w["s20"],
        "vol_cc_d_26w": w["s130"],
        "atrp_d_4w": w["atr"],
        "vol_regime_cc_4w_26w": np.log((w["s20"] + EPS) / (prior["s20"] + EPS)),
        "vov_norm_12w": np.log((w["a"] + EPS) / (prior["a"] + EPS)),
        "vol_ts_cc_1w_4w": log_ratio(w["s5"], w["s20"]),
        "vol_ts_cc_4w_26w": log_ratio(w["s20"], w["s130"]),
        "down_up_vol_ratio_4w": log_ratio(w["down"], w["up"]),
        "realized_skew_d_12w": w["skew"].clip(-5, 5),
        "tail_5p_sigma_ratio_12w": np.log(
            ((-w["q"]).clip(lower=EPS) + EPS) / (1.645 * w["s60"] + EPS)
        ),
        "jump_freq_4w": w["jump"],
    }
    return out | seasonal_oracle(d, labels, first)


def seasonal_oracle(d: pd.Series, labels: pd.DatetimeIndex, first: pd.Timestamp):
    weeks = labels.to_period("W-SUN")
    own_weeks = d.index.to_period("W-SUN")
    means = pd.DataFrame(np.nan, index=labels, columns=range(5))
    start = labels.get_loc(first)
    for t in range(start + 25, len(labels)):
        if not (own_weeks == weeks[t]).any():
            continue
        window = d[own_weeks.isin(weeks[t - 25 : t + 1])]
        for weekday in range(5):
            some = window[window.index.day_of_week == weekday].dropna()
            if len(some) >= 13:
                means.iloc[t, weekday] = some.mean()
    complete = means.notna().all(axis=1)
    return {
        "dow_alpha_Mon_26w": means[0],
        "dow_alpha_Fri_26w": means[4],
        "dow_spread_26w": (means.max(axis=1) - means.min(axis=1)).where(complete),
    }


def mad(row: pd.Series) -> float:
    row = row.dropna()
    return np.nan if row.empty else 1.4826 * (row - row.median()).abs().median()


def market_oracle(clean: CleanBars, labels: pd.DatetimeIndex) -> dict[str, pd.Series]:
    returns = pd.DataFrame(
        {asset: np.log(ohlc_of(clean.daily, asset)["close"]).diff() for asset in clean.assets}
    )
    days = ohlc_of(clean.daily, clean.assets[0]).index
    for asset in clean.assets[1:]:
        days = days.union(ohlc_of(clean.daily, asset).index)
    returns = returns.reindex(days).iloc[1:]
    table = pd.DataFrame(np.nan, index=days, columns=["corr", "pc1"])
    ends = sampled(pd.DataFrame({"day": days}, index=days), labels)["day"].dropna()
    for day in ends:
        place = returns.index.searchsorted(day)
        if place < 59 or day not in returns.index:
            continue
        window = returns.iloc[place - 59 : place + 1]
        c = window.corr(min_periods=30).to_numpy()[np.triu_indices(window.shape[1], 1)]
        table.loc[day, "corr"] = np.nanmean(c) if np.isfinite(c).any() else np.nan
        kept = window.loc[:, window.notna().sum() >= 30].dropna()
        if kept.shape[1] and len(kept) > 1:
            values = np.linalg.eigvalsh(np.atleast_2d(np.cov(kept.T)))
            table.loc[day, "pc1"] = values[-1] / values.sum()
    w = sampled(table, labels)
    return {"glob_corr_mean_12w": w["corr"], "glob_pc1_share_12w": w["pc1"]}


def oracle(clean: CleanBars) -> dict[str, pd.DataFrame]:
    labels = pd.DatetimeIndex(clean.times)
    by_name: dict[str, dict[str, pd.Series]] = {}
    r = {}
    for asset in clean.assets:
        week = ohlc_of(clean.weekly, asset)
        first = week.index[0]
        week = week.reindex(labels)
        r[asset] = np.log(week["close"]).diff()
        columns = weekly_oracle(week) | daily_oracle(ohlc_of(clean.daily, asset), labels, first)
        for name, series in columns.items():
            by_name.setdefault(name, {})[asset] = series
    out = {name: pd.DataFrame(columns) for name, columns in by_name.items()}
    for name in (
        "z_mom_4w",
        "z_mom_12w",
        "z_price_ema_26w",
        "z_price_med_26w",
        "rev_1w",
        "shock_4w",
    ):
        ranks = out[name].rank(axis=1) - 0.5
        out[f"cs_rank_{name}"] = ranks.div(out[name].notna().sum(axis=1), axis=0)
    vol = out["vol_cc_d_4w"]
    mean = vol.mean(axis=1)
    market = market_oracle(clean, labels) | {
        "glob_vol_cc_d_4w": mean,
        "glob_vol_regime_cc_4w_26w": np.log(
            (mean + EPS) / (mean.shift().rolling(26).median() + EPS)
        ),
        "glob_disp_ret_1w": pd.DataFrame(r).apply(mad, axis=1),
        "glob_disp_mom_12w": out["z_mom_12w"].apply(mad, axis=1),
        "glob_disp_vol_4w": vol.apply(mad, axis=1),
    }
    spread = {name: pd.DataFrame(dict.fromkeys(clean.assets, s)) for name, s in market.items()}
    return out | spread


def assert_agrees(clean: CleanBars, **options) -> None:
    panel = compute(clean, **options)
    expected = oracle(clean)
    assert set(expected) == set(panel.features)
    for position, name in enumerate(panel.features):
        wanted = expected[name][list(panel.assets)].to_numpy()
        np.testing.assert_allclose(
            panel.values[:, :, position], wanted, rtol=1e-8, atol=1e-9, err_msg=name
        )


# --- laws


def test_all_columns_agree_with_pandas_on_a_complete_panel():
    clean = clean_bars(
        simulated_market(n_assets=4, years=2.2, bar="1d", late_listers=0, gap_rate=0, seed=5)
    )
    assert_agrees(clean)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_all_columns_agree_with_pandas_on_ragged_panels(seed):
    bars = simulated_market(n_assets=4, years=1.6, bar="1d", gap_rate=0.02, seed=seed)
    rng = np.random.default_rng(seed)
    week = pl.col("timestamp").dt.truncate("1w")
    gone = (
        bars.select(week.alias("w")).unique().sort("w").to_series().gather(rng.integers(5, 70, 2))
    )
    last = bars["timestamp"].max() - pl.duration(days=int(rng.integers(0, 60)))
    bars = bars.filter(
        ~((pl.col("asset") == "SIM01") & week.is_in(gone.implode())),
        (pl.col("asset") != "SIM02") | (pl.col("timestamp") < last),
    )
    assert_agrees(clean_bars(bars), allow_ragged=True)


@needs_data
@pytest.mark.real_data
def test_all_columns_agree_with_pandas_on_real_data():
    fx = clean_bars(SHARED / "h4_fx_index.parquet", start="2013-09", end="2016-08",
                    assets=["EURUSD", "GBPJPY", "DAX", "BRENT"])  # fmt: skip
    assert_agrees(fx)
    etf = clean_bars(SHARED / "etf_daily_csv", start="2014-01", end="2016-06",
                     assets=["SPY", "GLD", "BTC_USD"])  # fmt: skip
    assert_agrees(etf, allow_ragged=True)


@needs_data
@pytest.mark.real_data
def test_staggered_crypto_is_refused_or_masked():
    clean = clean_bars(SHARED / "hourly_crypto.parquet")
    with pytest.raises(DataError, match=r"'ADAUSDT' has no bar in the week labelled 2017-06-04"):
        compute(clean, "momentum")
    panel = compute(clean, "all", allow_ragged=True)
    born = np.isfinite(clean.weekly_arrays.close).argmax(axis=0)
    for a, asset in enumerate(panel.assets):
        column = panel.sel(assets=asset, features="z_mom_26w").values.ravel()
        assert np.isfinite(column).argmax() == born[a] + 26
        assert panel.mask[: born[a], a].all()


def test_first_valid_rows():
    clean = clean_bars(simulated_market(n_assets=3, years=1, bar="1d", late_listers=0, gap_rate=0))
    panel = compute(clean)
    rows = {name: row for row, names in FIRST_ROW.items() for name in names.split()}
    assert set(rows) == set(panel.features)
    for position, name in enumerate(panel.features):
        valid = np.isfinite(panel.values[:, :, position])
        assert (valid == (np.arange(52) >= rows[name])[:, None]).all(), name
    assert {column.name: column.lookback for column in catalog()} == rows


def test_groups_keys_and_column_counts():
    table = catalog()
    assert {group: table.keys_of(group) for group in table.groups} == {
        "momentum": ("vol_scaled_momentum", "ema_spread"),
        "mean_reversion": ("z_price_ema", "z_price_med", "donch_pos", "rsi_centered", "rev",
                           "shock", "range_pos", "range_z"),
        "breakout": ("brk_up", "brk_dn"),
        "cross_sectional": ("cs_rank",),
        "volatility": ("vol_cc_d", "atrp_d", "vol_regime_cc", "vov_norm", "vol_ts_cc_1w_4w",
                       "vol_ts_cc_4w_26w", "down_up_vol_ratio_4w", "realized_skew_d_12w",
                       "tail_5p_sigma_ratio_12w", "jump_freq_4w"),
        "seasonal": ("dow_alpha", "dow_spread"),
        "regime": ("glob_vol_cc_d", "glob_vol_regime_cc", "glob_corr_mean", "glob_pc1_share",
                   "glob_disp_ret", "glob_disp_mom", "glob_disp_vol"),
    }  # fmt: skip
    counts = [sum(column.group == group for column in table) for group in table.groups]
    assert counts == [5, 9, 4, 6, 11, 3, 7]
    frame = table.to_frame()
    assert frame.height == 45
    assert frame["unit"].str.len_chars().min() > 0


@pytest.fixture(scope="module")
def small() -> CleanBars:
    return clean_bars(simulated_market(n_assets=5, years=1.2, bar="1d", late_listers=0, seed=9))


@pytest.fixture(scope="module")
def whole(small):
    return compute(small)


def test_any_selection_equals_the_columns_of_the_whole(small, whole):
    assert compute(small, ["volatility", "momentum"]).features == tuple(
        c.name for c in catalog() if c.group in ("volatility", "momentum")
    )
    for group in catalog().groups:
        part = compute(small, group)
        np.testing.assert_array_equal(part.values, whole.sel(features=part.features).values)
    picked = compute(small, features=["shock_4w", "vol_cc_d"])
    assert picked.features == ("shock_4w", "vol_cc_d_4w", "vol_cc_d_26w")
    np.testing.assert_array_equal(picked.times, small.times)


def test_cross_section_ranks_are_those_of_the_base_columns(whole):
    base = pd.DataFrame(whole.sel(features="shock_4w").values[:, :, 0])
    ranks = whole.sel(features="cs_rank_shock_4w").values[:, :, 0]
    np.testing.assert_allclose(ranks, (base.rank(axis=1) - 0.5) / 5)


def test_regime_columns_are_equal_in_all_assets(whole):
    part = whole.sel(features=[c.name for c in catalog() if c.group == "regime"]).values
    np.testing.assert_array_equal(part, np.repeat(part[:, :1], part.shape[1], axis=1))


def test_donch_pos_lies_in_the_unit_interval(whole):
    column = whole.sel(features="donch_pos_4w").values[3:]
    assert ((column >= 0) & (column <= 1)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": "momentun"}, "unknown feature group: 'momentun'; did you mean 'momentum'?"),
        ({"groups": ["momentum"], "features": ["shock"]}, "unknown feature of"),
        ({"features": "z_mon_4w"}, "did you mean 'z_mom_4w'"),
    ],
)
def test_unknown_names_are_errors(small, arguments, message):
    with pytest.raises(UnknownNameError, match=message):
        compute(small, **arguments)


def test_weekly_groups_need_no_days(small, whole):
    without = CleanBars(small.weekly, None, small.returns, small.meta)
    groups = ["momentum", "mean_reversion", "breakout", "cross_sectional"]
    panel = compute(without, groups)
    np.testing.assert_array_equal(panel.values, whole.sel(features=panel.features).values)
    with pytest.raises(DataError, match="daily"):
        compute(without, "volatility")


def test_missing_week_is_an_error_that_names_it():
    bars = simulated_market(n_assets=3, years=1, bar="1d", late_listers=0, gap_rate=0)
    hole = pl.col("timestamp").is_between(pl.datetime(2016, 3, 7, time_zone="UTC"),
                                          pl.datetime(2016, 3, 11, time_zone="UTC"))  # fmt: skip
    clean = clean_bars(bars.filter((pl.col("asset") != "SIM01") | ~hole))
    with pytest.raises(DataError, match=r"'SIM01' has no bar in the week labelled 2016-03-11"):
        compute(clean)
    panel = compute(clean, allow_ragged=True)
    full = compute(clean_bars(bars))
    assert panel.mask[9, 1].all()
    assert not panel.mask[8, 1, panel.features.index("range_pos_1w")]
    # other assets' own columns do not notice; SIM01's weekly windows heal
    own = [c.name for c in catalog() if c.group not in ("cross_sectional", "regime")]
    np.testing.assert_array_equal(
        panel.sel(assets=["SIM00", "SIM02"], features=own).values,
        full.sel(assets=["SIM00", "SIM02"], features=own).values,
    )
    donch = [p.sel(assets="SIM01", features="donch_pos_4w").values.ravel() for p in (panel, full)]
    assert np.isnan(donch[0][9:13]).all()
    np.testing.assert_array_equal(donch[0][13:], donch[1][13:])


def test_missing_day_shifts_one_assets_daily_windows_by_a_row(small):
    table = small.daily.filter(pl.col("asset") == "SIM01")
    gone = table["timestamp"][150]
    keep = (pl.col("asset") != "SIM01") | (pl.col("timestamp") != gone)
    part = CleanBars(small.weekly, small.daily.filter(keep), small.returns, small.meta)
    one, two = compute(part, "volatility"), compute(small, "volatility")
    others = [a for a in small.assets if a != "SIM01"]
    np.testing.assert_array_equal(one.sel(assets=others).values, two.sel(assets=others).values)
    closes = table.filter(pl.col("timestamp") != gone)["close"].to_numpy()
    returns = np.diff(np.log(closes))
    week = int(np.searchsorted(small.times, np.datetime64(gone.replace(tzinfo=None)))) + 1
    rows = (table["timestamp"].dt.replace_time_zone(None).to_numpy() <= small.times[week]).sum() - 1
    found = one.sel(assets="SIM01", features="vol_cc_d_4w").values[week, 0, 0]
    assert found == pytest.approx(np.std(returns[: rows - 1][-20:], ddof=1))


def test_weekend_only_week_has_no_daily_value():
    bars = simulated_market(n_assets=2, years=1, bar="1d", late_listers=0, gap_rate=0)
    hole = pl.col("timestamp").is_between(pl.datetime(2016, 11, 7, time_zone="UTC"),
                                          pl.datetime(2016, 11, 11, time_zone="UTC"))  # fmt: skip
    sunday = bars.filter(
        (pl.col("asset") == "SIM00") & (pl.col("timestamp").dt.date() == pl.date(2016, 11, 11))
    )
    sunday = sunday.with_columns(pl.col("timestamp").dt.offset_by("2d"))
    clean = clean_bars(pl.concat([bars.filter((pl.col("asset") != "SIM00") | ~hole), sunday]))
    week = 44
    assert str(clean.times[week])[:10] == "2016-11-13"
    panel = compute(clean)
    for name in ("vol_cc_d_4w", "realized_skew_d_12w", "dow_alpha_Mon_26w"):
        column = panel.sel(assets="SIM00", features=name).values.ravel()
        assert np.isnan(column[week])
        assert np.isfinite(column[[week - 1, week + 1]]).all()
    regime = panel.sel(assets="SIM00", features="vol_regime_cc_4w_26w").values.ravel()
    assert np.isfinite(regime[43]) and np.isnan(regime[44:]).all()
    assert np.isfinite(panel.sel(features="glob_vol_cc_d_4w").values[week]).all()


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 79), huge=st.booleans())
def test_no_column_sees_what_comes_later(seed, cut, huge):
    bars = simulated_market(n_assets=3, years=1.55, bar="1d", gap_rate=0.02, seed=seed)
    whole = clean_bars(bars)
    later = pl.col("timestamp") > pl.lit(whole.times[cut]).dt.replace_time_zone("UTC")
    if huge:
        prices = ["open", "high", "low", "close"]
        bars = bars.with_columns(
            pl.when(later).then(pl.col(prices) * 1e9).otherwise(pl.col(prices))
        )
    else:
        bars = bars.filter(~later)
    other = clean_bars(bars)
    rows = min(cut + 1, len(other.times))
    full, part = compute(whole, allow_ragged=True), compute(other, allow_ragged=True)
    full = full[:rows].sel(assets=part.assets)
    np.testing.assert_array_equal(
        part[:rows].values.view(np.int64), full.values.copy().view(np.int64)
    )
    np.testing.assert_array_equal(part[:rows].mask, full.mask)
