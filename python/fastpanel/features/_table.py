"""The column table: every built-in feature, in panel order.

In the formulas p is the log weekly close, r its change, d a daily log return,
and w4 the last 4 weekly rows or 20 daily ones. Standard deviations have ddof 1,
windows are full, ``[t-1]`` is the row before, eps is 1e-6.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from fastpanel.features import _breakout as brk
from fastpanel.features import _cross_sectional as cs
from fastpanel.features import _mean_reversion as rev
from fastpanel.features import _momentum as mom
from fastpanel.features import _regime as reg
from fastpanel.features import _seasonal as dow
from fastpanel.features import _volatility as vol
from fastpanel.features._column import Compute, FeatureColumn

_Row = tuple[str, str, int, int, str, str, str, Compute]

# key, name, horizon in weeks, first valid row, inputs, unit, formula, function
_MOMENTUM: list[_Row] = [
    ("vol_scaled_momentum", "z_mom_4w", 4, 26, "close", "sigma",
     "(p - p[t-4]) / (std(r, w26) sqrt(4) + eps)", partial(mom.z_mom, horizon=4)),
    ("vol_scaled_momentum", "z_mom_12w", 12, 26, "close", "sigma",
     "(p - p[t-12]) / (std(r, w26) sqrt(12) + eps)", partial(mom.z_mom, horizon=12)),
    ("vol_scaled_momentum", "z_mom_26w", 26, 26, "close", "sigma",
     "(p - p[t-26]) / (std(r, w26) sqrt(26) + eps)", partial(mom.z_mom, horizon=26)),
    ("ema_spread", "ema_spread_4w_26w", 26, 25, "high low close", "ATR",
     "(EMA4(C) - EMA26(C)) / (ATR(w26) + eps)", partial(mom.ema_spread, fast=4, slow=26)),
    ("ema_spread", "ema_spread_12w_26w", 26, 25, "high low close", "ATR",
     "(EMA12(C) - EMA26(C)) / (ATR(w26) + eps)", partial(mom.ema_spread, fast=12, slow=26)),
]  # fmt: skip

_MEAN_REVERSION: list[_Row] = [
    ("z_price_ema", "z_price_ema_12w", 12, 11, "close", "sigma",
     "(p - EWM(p)) / (EWMstd(p) + eps), halflife 12", partial(rev.z_price_ema, halflife=12)),
    ("z_price_ema", "z_price_ema_26w", 26, 25, "close", "sigma",
     "(p - EWM(p)) / (EWMstd(p) + eps), halflife 26", partial(rev.z_price_ema, halflife=26)),
    ("z_price_med", "z_price_med_26w", 26, 25, "close", "sigma",
     "(p - median(p, w26)) / (1.4826 MAD(p, w26) + eps)", partial(rev.z_price_med, horizon=26)),
    ("donch_pos", "donch_pos_4w", 4, 3, "high low close", "share",
     "(C - min(L, w4)) / (max(H, w4) - min(L, w4) + eps)", partial(rev.donch_pos, horizon=4)),
    ("rsi_centered", "rsi_centered_4w", 4, 4, "close", "points",
     "RSI(C, 4 changes) - 50, simple sums", partial(rev.rsi_centered, horizon=4)),
    ("rev", "rev_1w", 1, 2, "close", "log return", "-r[t-1]", rev.rev),
    ("shock", "shock_4w", 4, 5, "close", "sigma",
     "r[t-1] / (std(r[t-4..t-1]) + eps)", partial(rev.shock, horizon=4)),
    ("range_pos", "range_pos_1w", 1, 0, "high low close", "share",
     "(C - (H + L) / 2) / (0.5 (H - L) + eps)", rev.range_pos),
    ("range_z", "range_z_12w", 12, 11, "high low", "sigma",
     "(H - L - mean(H - L, w12)) / (std(H - L, w12) + eps)", partial(rev.range_z, horizon=12)),
]  # fmt: skip

_BREAKOUT: list[_Row] = [
    ("brk_up", "brk_up_4w", 4, 4, "high close", "flag",
     "C > max(H[t-4..t-1])", partial(brk.brk_up, horizon=4)),
    ("brk_up", "brk_up_26w", 26, 26, "high close", "flag",
     "C > max(H[t-26..t-1])", partial(brk.brk_up, horizon=26)),
    ("brk_dn", "brk_dn_4w", 4, 4, "low close", "flag",
     "C < min(L[t-4..t-1])", partial(brk.brk_dn, horizon=4)),
    ("brk_dn", "brk_dn_26w", 26, 26, "low close", "flag",
     "C < min(L[t-26..t-1])", partial(brk.brk_dn, horizon=26)),
]  # fmt: skip

_RANKED = [
    row
    for row in (*_MOMENTUM, *_MEAN_REVERSION)
    if row[1]
    in {"z_mom_4w", "z_mom_12w", "z_price_ema_26w", "z_price_med_26w", "rev_1w", "shock_4w"}
]
_CROSS_SECTIONAL: list[_Row] = [
    ("cs_rank", f"cs_rank_{base}", horizon, lookback, base, "share",
     f"(rank({base}) - 0.5) / n over assets", partial(cs.cs_rank, base=base))
    for _, base, horizon, lookback, *_ in _RANKED
]  # fmt: skip

_VOLATILITY: list[_Row] = [
    ("vol_cc_d", "vol_cc_d_4w", 4, 4, "close", "log return per day",
     "std(d, w4)", partial(vol.vol_cc_d, days=20)),
    ("vol_cc_d", "vol_cc_d_26w", 26, 26, "close", "log return per day",
     "std(d, w26)", partial(vol.vol_cc_d, days=130)),
    ("atrp_d", "atrp_d_4w", 4, 3, "high low close", "share of price",
     "ATR(w4) / C, daily", partial(vol.atrp_d, days=20)),
    ("vol_regime_cc", "vol_regime_cc_4w_26w", 26, 30, "close", "log ratio",
     "log((s + eps) / (median(s[t-26..t-1]) + eps)), s = std(d, w4)",
     partial(vol.vol_regime_cc, days=20)),
    ("vov_norm", "vov_norm_12w", 12, 38, "close", "log ratio",
     "log((a + eps) / (median(a[t-26..t-1]) + eps)), a = std(|d|, w12)",
     partial(vol.vov_norm, days=60)),
    ("vol_ts_cc_1w_4w", "vol_ts_cc_1w_4w", 4, 4, "close", "log ratio",
     "log((v1 + eps) / (v4 + eps)), v = max(std(d), eps)",
     partial(vol.vol_ts_cc, short=5, long=20)),
    ("vol_ts_cc_4w_26w", "vol_ts_cc_4w_26w", 26, 26, "close", "log ratio",
     "log((v4 + eps) / (v26 + eps)), v = max(std(d), eps)",
     partial(vol.vol_ts_cc, short=20, long=130)),
    ("down_up_vol_ratio_4w", "down_up_vol_ratio_4w", 4, 4, "close", "log ratio",
     "log((max(rms(d < 0), eps) + eps) / (max(rms(d > 0), eps) + eps)), w4",
     partial(vol.down_up_vol_ratio, days=20)),
    ("realized_skew_d_12w", "realized_skew_d_12w", 12, 12, "close", "skewness",
     "clip(sqrt(60) sum(d^3) / sum(d^2)^1.5, -5, 5), w12", partial(vol.realized_skew, days=60)),
    ("tail_5p_sigma_ratio_12w", "tail_5p_sigma_ratio_12w", 12, 12, "close", "log ratio",
     "log((max(-q05(d), eps) + eps) / (1.645 std(d) + eps)), w12",
     partial(vol.tail_5p_sigma_ratio, days=60)),
    ("jump_freq_4w", "jump_freq_4w", 4, 12, "close", "share",
     "count(|d| > 2 std(d, w12), w4) / 20", partial(vol.jump_freq, days=20, reference=60)),
]  # fmt: skip

_SEASONAL: list[_Row] = [
    ("dow_alpha", "dow_alpha_Mon_26w", 26, 25, "close", "log return per day",
     "mean(d on Mondays, w26)", partial(dow.dow_alpha, weekday=0, weeks=26)),
    ("dow_alpha", "dow_alpha_Fri_26w", 26, 25, "close", "log return per day",
     "mean(d on Fridays, w26)", partial(dow.dow_alpha, weekday=4, weeks=26)),
    ("dow_spread", "dow_spread_26w", 26, 25, "close", "log return per day",
     "max - min over weekdays of mean(d on weekday, w26)", partial(dow.dow_spread, weeks=26)),
]  # fmt: skip

_REGIME: list[_Row] = [
    ("glob_vol_cc_d", "glob_vol_cc_d_4w", 4, 4, "close", "log return per day",
     "mean over assets of std(d, w4)", partial(reg.glob_vol_cc_d, days=20)),
    ("glob_vol_regime_cc", "glob_vol_regime_cc_4w_26w", 26, 30, "close", "log ratio",
     "log((g + eps) / (median(g[t-26..t-1]) + eps)), g = glob_vol_cc_d_4w",
     partial(reg.glob_vol_regime_cc, days=20)),
    ("glob_corr_mean", "glob_corr_mean_12w", 12, 12, "close", "correlation",
     "mean over pairs of corr(d, w12)", partial(reg.glob_corr_mean, days=60)),
    ("glob_pc1_share", "glob_pc1_share_12w", 12, 12, "close", "share",
     "leading eigenvalue / trace of cov(d, w12)", partial(reg.glob_pc1_share, days=60)),
    ("glob_disp_ret", "glob_disp_ret_1w", 1, 1, "close", "log return",
     "1.4826 MAD over assets of r", reg.glob_disp_ret),
    ("glob_disp_mom", "glob_disp_mom_12w", 12, 26, "z_mom_12w", "sigma",
     "1.4826 MAD over assets of z_mom_12w", partial(reg.glob_disp_of, base="z_mom_12w")),
    ("glob_disp_vol", "glob_disp_vol_4w", 4, 4, "vol_cc_d_4w", "log return per day",
     "1.4826 MAD over assets of vol_cc_d_4w", partial(reg.glob_disp_of, base="vol_cc_d_4w")),
]  # fmt: skip

_WEEKLY_REGIME = {"glob_disp_ret_1w", "glob_disp_mom_12w"}
_GROUPS: dict[str, tuple[Literal["weekly", "daily"], list[_Row]]] = {
    "momentum": ("weekly", _MOMENTUM),
    "mean_reversion": ("weekly", _MEAN_REVERSION),
    "breakout": ("weekly", _BREAKOUT),
    "cross_sectional": ("weekly", _CROSS_SECTIONAL),
    "volatility": ("daily", _VOLATILITY),
    "seasonal": ("daily", _SEASONAL),
    "regime": ("daily", _REGIME),
}

BUILT_IN: tuple[FeatureColumn, ...] = tuple(
    FeatureColumn(
        group=group,
        key=key,
        name=name,
        horizon=horizon,
        lookback=lookback,
        frequency="weekly" if name in _WEEKLY_REGIME else frequency,
        inputs=tuple(inputs.split()),
        unit=unit,
        formula=formula,
        compute=compute,
    )
    for group, (frequency, rows) in _GROUPS.items()
    for key, name, horizon, lookback, inputs, unit, formula, compute in rows
)
