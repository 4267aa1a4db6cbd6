"""All 45 feature columns: fastpanel against wide pandas, and alone at the sizes that fill memory.

The rival is what a careful pandas user writes: one wide frame per price, every
statistic over all assets at once, NumPy where pandas has no method (MAD over
strided windows, the sum-of-scores identity for the mean correlation, batched
``eigvalsh`` at the sampled weeks only). Both give the same numbers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
from benches.harness import Rival, suite

import fastpanel as fp
from fastpanel import features
from fastpanel.data import CleanBars, clean_bars, simulated_market
from fastpanel.features import catalog

NO_MARKET = ["momentum", "mean_reversion", "breakout", "cross_sectional", "volatility", "seasonal"]
EPS = 1e-6
DAYS = {"1w": 5, "4w": 20, "12w": 60, "26w": 130}

SHIPPED = [*NO_MARKET, "regime"]


def compute(clean: CleanBars, groups: list[str] | None = None) -> fp.Panel:
    """The shipped features alone: another bench in this process may have registered its own."""
    return features.compute(clean, groups or SHIPPED)


def true_range(bars):
    prev = bars["close"].shift()
    spread = np.fmax((bars["high"] - prev).abs(), (bars["low"] - prev).abs())
    return np.fmax(bars["high"] - bars["low"], spread)


def pandas_weekly(week):
    c, h, lo = week["close"], week["high"], week["low"]
    p = np.log(c)
    r = p.diff()
    out = {}
    sigma = r.rolling(26).std()
    for n in (4, 12, 26):
        out[f"z_mom_{n}w"] = (p - p.shift(n)) / (sigma * np.sqrt(n) + EPS)
    atr = true_range(week).rolling(26).mean()
    slow = c.ewm(span=26, min_periods=26).mean()
    for n in (4, 12):
        out[f"ema_spread_{n}w_26w"] = (c.ewm(span=n, min_periods=26).mean() - slow) / (atr + EPS)
    for n in (12, 26):
        ewm = p.ewm(halflife=n, min_periods=n)
        out[f"z_price_ema_{n}w"] = (p - ewm.mean()) / (ewm.std() + EPS)
    windows = np.lib.stride_tricks.sliding_window_view(p.to_numpy(), 26, axis=0)
    centre = np.median(windows, axis=-1)
    mad = np.median(np.abs(windows - centre[..., None]), axis=-1)
    z = np.full(p.shape, np.nan)
    z[25:] = (p.to_numpy()[25:] - centre) / (1.4826 * mad + EPS)
    out["z_price_med_26w"] = pd.DataFrame(z, index=p.index)
    lowest, highest = lo.rolling(4).min(), h.rolling(4).max()
    out["donch_pos_4w"] = (c - lowest) / (highest - lowest + EPS)
    change = c.diff()
    gain, loss = change.clip(lower=0).rolling(4).sum(), -change.clip(upper=0).rolling(4).sum()
    out["rsi_centered_4w"] = 100 * gain / (gain + loss) - 50
    out["rev_1w"] = -r.shift()
    out["shock_4w"] = r.shift() / (r.rolling(4).std().shift() + EPS)
    width = h - lo
    out["range_pos_1w"] = (c - (h + lo) / 2) / (0.5 * width + EPS)
    out["range_z_12w"] = (width - width.rolling(12).mean()) / (width.rolling(12).std() + EPS)
    for n in (4, 26):
        top, bottom = h.rolling(n).max().shift(), lo.rolling(n).min().shift()
        out[f"brk_up_{n}w"] = (c > top).astype(float).where(top.notna())
        out[f"brk_dn_{n}w"] = (c < bottom).astype(float).where(bottom.notna())
    for base in (
        "z_mom_4w",
        "z_mom_12w",
        "z_price_ema_26w",
        "z_price_med_26w",
        "rev_1w",
        "shock_4w",
    ):
        ranks = out[base].rank(axis=1) - 0.5
        out[f"cs_rank_{base}"] = ranks.div(out[base].notna().sum(axis=1), axis=0)
    return out, r


def log_ratio(over, under):
    return np.log((over.clip(lower=EPS) + EPS) / (under.clip(lower=EPS) + EPS))


def against_prior(values):
    return np.log((values + EPS) / (values.shift().rolling(26).median() + EPS))


def pandas_daily(day, labels):
    c = day["close"]
    d = np.log(c).diff()
    rows = c.index.searchsorted(labels, side="right") - 1

    def sample(frame):
        return frame.iloc[rows].set_axis(labels)

    s = {name: sample(d.rolling(n).std()) for name, n in DAYS.items()}
    out = {"vol_cc_d_4w": s["4w"], "vol_cc_d_26w": s["26w"]}
    out["atrp_d_4w"] = sample(true_range(day).rolling(20).mean() / c)
    out["vol_regime_cc_4w_26w"] = against_prior(s["4w"])
    out["vov_norm_12w"] = against_prior(sample(d.abs().rolling(60).std()))
    out["vol_ts_cc_1w_4w"] = log_ratio(s["1w"], s["4w"])
    out["vol_ts_cc_4w_26w"] = log_ratio(s["4w"], s["26w"])
    semi = {}
    for name, part in (("down", d.clip(upper=0)), ("up", d.clip(lower=0))):
        number = sample((part != 0).astype(float).rolling(20).sum())
        square = sample((part**2).rolling(20).sum())
        semi[name] = np.sqrt(square / number).where(number >= 2, s["4w"])
    out["down_up_vol_ratio_4w"] = log_ratio(semi["down"], semi["up"])
    third, second = sample((d * d * d).rolling(60).sum()), sample((d * d).rolling(60).sum())
    out["realized_skew_d_12w"] = (np.sqrt(60) * third / second**1.5).clip(-5, 5)
    q = sample(d.rolling(60).quantile(0.05))
    out["tail_5p_sigma_ratio_12w"] = np.log(((-q).clip(lower=EPS) + EPS) / (1.645 * s["12w"] + EPS))
    size, jumps = d.abs().to_numpy(), 0.0
    for back in range(20):
        jumps = jumps + (size[np.maximum(rows - back, 0)] > 2 * s["12w"].to_numpy())
    out["jump_freq_4w"] = (s["12w"] * 0) + jumps / 20
    weekly = d.groupby([d.index.to_period("W-SUN"), d.index.day_of_week]).last().unstack()
    means = weekly.rolling(26, min_periods=13).mean().iloc[:, :].set_axis(labels)
    means.iloc[:25] = np.nan
    stacked = np.stack([means.xs(k, axis=1, level=1).to_numpy() for k in range(5)])
    for name, values in (
        ("dow_alpha_Mon_26w", stacked[0]),
        ("dow_alpha_Fri_26w", stacked[4]),
        ("dow_spread_26w", stacked.max(axis=0) - stacked.min(axis=0)),
    ):
        out[name] = pd.DataFrame(values, index=labels)
    return out, d, rows


def market(d, rows, window=60):
    corr, share = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    x = d.to_numpy()
    for week, row in enumerate(rows):
        if row < window:
            continue
        part = x[row - window + 1 : row + 1]
        part = part - part.mean(axis=0)
        score = part / np.sqrt((part**2).sum(axis=0))
        n = x.shape[1]
        corr[week] = ((score.sum(axis=1) ** 2).sum() - n) / (n * (n - 1))
        covariance = part.T @ part
        share[week] = np.linalg.eigvalsh(covariance)[-1] / np.trace(covariance)
    return corr, share


def mad(values):
    middle = values.median(axis=1)
    return 1.4826 * values.sub(middle, axis=0).abs().median(axis=1)


def pandas_all(week, day):
    labels = week["close"].index
    weekly, r = pandas_weekly(week)
    daily, d, rows = pandas_daily(day, labels)
    mean = daily["vol_cc_d_4w"].mean(axis=1)
    corr, share = market(d, rows)
    regime = {
        "glob_vol_cc_d_4w": mean,
        "glob_vol_regime_cc_4w_26w": against_prior(mean),
        "glob_corr_mean_12w": corr,
        "glob_pc1_share_12w": share,
        "glob_disp_ret_1w": mad(r),
        "glob_disp_mom_12w": mad(weekly["z_mom_12w"]),
        "glob_disp_vol_4w": mad(daily["vol_cc_d_4w"]),
    }
    out = {name: frame.to_numpy() for name, frame in (weekly | daily).items()}
    n_assets = r.shape[1]
    out |= {name: np.repeat(np.asarray(s)[:, None], n_assets, axis=1) for name, s in regime.items()}
    return out


class Market:
    """Cleaned bars, and the wide frames that a pandas user holds."""

    def __init__(self, size: tuple[int, int]) -> None:
        assets, years = size
        self.clean = clean_bars(
            simulated_market(n_assets=assets, years=years, bar="1d", late_listers=0, gap_rate=0.0)
        )
        self.week = wide(self.clean.weekly_arrays)
        self.day = wide(self.clean.daily_arrays)


def wide(arrays):
    index = pd.DatetimeIndex(arrays.times)
    prices = {name: getattr(arrays, name) for name in ("high", "low", "close")}
    return {name: pd.DataFrame(array, index=index) for name, array in prices.items()}


def in_catalogue_order(columns):
    return np.stack([columns[column.name] for column in catalog() if column.name in columns], -1)


def without_market(i: Market):
    """Leave out the two columns that pandas cannot do (correlation, eigenvalue)."""
    weekly, _ = pandas_weekly(i.week)
    daily, _, _ = pandas_daily(i.day, i.week["close"].index)
    return weekly | daily


def fresh(i: Market):
    """Pivot included: what the first computation on fresh bars costs."""
    return compute(CleanBars(i.clean.weekly, i.clean.daily, i.clean.returns, i.clean.meta))


test_features = suite(
    "features",
    {"smoke": (5, 4), "A50-20y": (50, 20), "A500-20y": (500, 20)},
    Market,
    {
        "45 columns": {
            "fastpanel": Rival(lambda i: lambda: compute(i.clean), read=lambda panel: panel.values),
            "pandas": Rival(
                lambda i: lambda: pandas_all(i.week, i.day),
                read=in_catalogue_order,
                skip=("A500-20y",),
                rtol=1e-5,
            ),
        },
        "38 columns, no regime": {
            "fastpanel": Rival(
                lambda i: lambda: compute(i.clean, NO_MARKET), read=lambda panel: panel.values
            ),
            "pandas": Rival(
                lambda i: lambda: without_market(i),
                read=in_catalogue_order,
                skip=("A500-20y",),
                rtol=1e-5,
            ),
        },
        "45 columns, from long frames": {
            "fastpanel": Rival(lambda i: lambda: fresh(i), read=lambda panel: panel.values)
        },
    },
    apart=True,
)


class QuarterHours:
    """Bars of 15 minutes, with the ranges of a simulated daily market."""

    def __init__(self, size: tuple[int, int]) -> None:
        assets, years = size
        daily = simulated_market(
            n_assets=assets, years=years, bar="1d", late_listers=0, gap_rate=0.0
        )
        parts = pl.DataFrame({"part": range(96)}, schema={"part": pl.Int64})
        self.bars = daily.join(parts, how="cross").select(
            pl.col("timestamp").dt.truncate("1d") + pl.duration(minutes=15) * pl.col("part"),
            pl.exclude("timestamp", "part"),
        )


test_features_intraday = suite(
    "features",
    {"smoke": (3, 2), "A50-2y": (50, 2)},
    QuarterHours,
    {
        "45 columns, from 15-minute bars": {
            "fastpanel": Rival(
                lambda i: lambda: compute(clean_bars(i.bars)), read=lambda panel: panel.values
            )
        }
    },
    apart=True,
)
