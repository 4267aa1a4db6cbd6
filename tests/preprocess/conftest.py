"""The oracle of the preprocessor: plain NumPy, one training set, one loop per rule."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fastpanel.preprocess import PreprocessingSpec


def clean(x, names, rows, spec):
    """Kept positions and stage of every dropped feature; ``x`` has NaN where missing."""
    pool = x[rows].reshape(-1, x.shape[2])
    usable = (~np.isnan(pool)).mean(axis=0)
    stage = {}
    for f in range(len(names)):
        if usable[f] < spec.min_usable_ratio or usable[f] == 0:
            stage[f] = "missingness"
    for f in range(len(names)):
        if f not in stage and np.nanvar(pool[:, f]) < spec.min_variance:
            stage[f] = "variance"
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            if i in stage or j in stage:
                continue
            both = ~np.isnan(pool[:, i]) & ~np.isnan(pool[:, j])
            a, b = pool[both, i], pool[both, j]
            if both.sum() < 2 or a.std() == 0 or b.std() == 0:
                continue
            if abs(np.corrcoef(a, b)[0, 1]) > spec.max_abs_corr:
                stage[i if usable[i] < usable[j] else j] = "duplicate"
    return [f for f in range(len(names)) if f not in stage], {names[f]: s for f, s in stage.items()}


def scale_feature(x, rows, name, spec, by_name=True):
    """Scaled ``[T, A]`` of one feature (NaN where missing), and its statistics per asset."""
    base = name.split("__", 1)[-1]
    out = np.full(x.shape, np.nan)
    centre, scale, guarded = np.zeros(x.shape[1]), np.ones(x.shape[1]), np.ones(x.shape[1], bool)
    train = x[rows]
    low, high = -np.inf, np.inf
    if not (by_name and base.startswith(("brk_", "cs_rank_"))):
        pool = train[~np.isnan(train)]
        low, high = np.quantile(pool, [spec.winsor_low_q, spec.winsor_high_q])
    for a in range(x.shape[1]):
        seen = train[~np.isnan(train[:, a]), a]
        seen_now = ~np.isnan(x[:, a])
        if not len(seen):
            out[seen_now, a] = 0
            continue
        if by_name and base.startswith("cs_rank_"):
            guarded[a] = False
            out[:, a] = x[:, a]
        elif by_name and base.startswith("brk_"):
            centre[a] = seen.mean()
            scale[a] = np.sqrt(centre[a] * (1 - centre[a]) + spec.breakout_var_floor)
            guarded[a] = seen.min() == seen.max()
            z = (x[:, a] - centre[a]) / scale[a]
            out[:, a] = np.where(guarded[a] & seen_now, 0, z)
        else:
            raw = np.clip(seen, low, high)
            centre[a] = np.median(raw)
            mad = np.median(np.abs(raw - centre[a]))
            lower, upper = np.quantile(raw, [0.25, 0.75])
            s = max(1.4826 * mad, (upper - lower) / 1.349)
            relative = spec.guard_rel_eps * (abs(centre[a]) + spec.guard_rel_offset)
            guarded[a] = s <= spec.guard_abs_eps or s <= relative
            scale[a] = max(s, spec.scale_floor) + spec.mad_eps
            z = (np.clip(x[:, a], low, high) - centre[a]) / scale[a]
            z = np.clip(z, spec.clip_min, spec.clip_max)
            out[:, a] = np.where(guarded[a] & seen_now, 0, z)
    return out, (centre, scale, guarded, low, high)


def fit_transform(x, names, rows, by_name=True, **section):
    """Everything: kept names, stages, statistics of kept features, transformed panel."""
    spec = PreprocessingSpec(**section)
    kept, stage = clean(x, names, rows, spec)
    parts = [scale_feature(x[:, :, f], rows, names[f], spec, by_name) for f in kept]
    z = np.stack([part[0] for part in parts], axis=2)
    missing = np.isnan(x[:, :, kept])
    z = np.where(missing, 0.0 if spec.impute_missing_to_zero else np.nan, z)
    if spec.append_mask_as_features:
        z = np.concatenate([z, missing.astype(float)], axis=2)
    columns = [np.stack([part[1][i] for part in parts], axis=-1) for i in range(5)]
    return SimpleNamespace(
        kept=tuple(names[f] for f in kept),
        stage=stage,
        z=z,
        **dict(zip(("median", "scale", "guarded", "low", "high"), columns, strict=True)),
    )


def make_panel(seed, times=60, assets=4, missing=0.05):
    """Features of every kind: odd scales, duplicates, constants, holes, breakouts, ranks."""
    rng = np.random.default_rng(seed)
    x = rng.standard_t(4, size=(times, assets, 10)) * 10.0 ** rng.integers(-4, 4, 10)
    names = [f"f{i}" for i in range(5)]
    x[:, :, 5] = -3 * x[:, :, 0] + 1e-3 * np.abs(x[:, :, 0]).mean() * rng.random((times, assets))
    x[:, :, 6] = 2.5
    x[:, :, 7] = rng.random((times, assets)) < 0.2
    x[:, :, 8] = rng.random((times, assets))
    x[:, :, 9] = np.round(rng.normal(size=(times, assets)))
    names += ["twin", "constant", "breakout__brk_up_4w", "regime__cs_rank_rev_1w", "ties"]
    x[rng.random(x.shape) < missing] = np.nan
    x[rng.random((times, assets)) < 0.4, 3] = np.nan
    x[:, 1, 9] = 7.0  # nearly constant for one asset only
    x[:, 2, 2] = np.nan  # never observed for one asset
    return x, names


@pytest.fixture(scope="session")
def reference():
    return SimpleNamespace(fit_transform=fit_transform, make_panel=make_panel)
