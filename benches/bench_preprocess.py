"""Robust scaling against its rivals, and all training sets against separate fits.

Like for like: winsor bounds pooled over assets, median, MAD and quartiles per asset
and feature, transform with clipping. ``numpy`` gets the layout that it likes best
(columns contiguous) for free; ``sklearn`` is RobustScaler, which knows neither the
winsor bounds nor the MAD. ``FASTPANEL_BENCH=smoke`` runs the smoke size alone.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from sklearn.preprocessing import RobustScaler

import fastpanel as fp
from fastpanel import _core
from fastpanel.preprocess import PanelPreprocessor

SMOKE_ONLY = os.environ.get("FASTPANEL_BENCH") == "smoke"
FULL = [pytest.mark.slow, pytest.mark.skipif(SMOKE_ONLY, reason="smoke sizes only")]
SIZES = [
    pytest.param((300, 10, 10), id="smoke"),
    pytest.param((1000, 50, 45), id="T1000-A50-F45", marks=FULL),
    pytest.param((2000, 200, 50), id="T2000-A200-F50", marks=FULL),
]


@pytest.fixture(params=[1, 2], ids=["1thread", "2threads"])
def threads(request):
    before = _core.num_threads()
    fp.set_num_threads(request.param)
    yield request.param
    fp.set_num_threads(before)


@pytest.fixture
def panel(request):
    times, assets, features = request.param
    x = np.random.default_rng(0).standard_t(5, size=(times, assets, features))
    return x, [f"f{i}" for i in range(features)]


def scaler(**section):
    return PanelPreprocessor(max_abs_corr=1, **section)


@pytest.mark.parametrize("panel", SIZES, indirect=True)
def test_fit_and_transform_fastpanel(benchmark, panel, threads):
    x, names = panel
    benchmark.group = f"fit + transform {x.shape}"
    benchmark(lambda: scaler().fit(x, names).transform(x))


@pytest.mark.parametrize("panel", SIZES, indirect=True)
def test_fit_and_transform_numpy(benchmark, panel):
    x, _ = panel
    benchmark.group = f"fit + transform {x.shape}"
    columns = np.ascontiguousarray(x.transpose(1, 2, 0))  # [A, F, T]
    pooled = np.ascontiguousarray(x.reshape(-1, x.shape[2]).T)

    def run():
        low, high = np.quantile(pooled, [0.005, 0.995], axis=1)[..., None]
        raw = np.clip(columns, low, high)
        lower, median, upper = np.quantile(raw, [0.25, 0.5, 0.75], axis=2)[..., None]
        mad = np.median(np.abs(raw - median), axis=2, keepdims=True)
        scale = np.maximum(np.maximum(1.4826 * mad, (upper - lower) / 1.349), 1e-6) + 1e-12
        return np.clip((raw - median) / scale, -10, 10)

    benchmark.pedantic(run, rounds=3)


@pytest.mark.parametrize("panel", SIZES, indirect=True)
def test_fit_and_transform_sklearn(benchmark, panel):
    x, _ = panel
    benchmark.group = f"fit + transform {x.shape}"
    table = x.reshape(len(x), -1)
    benchmark.pedantic(lambda: RobustScaler().fit_transform(table), rounds=3)


def training_sets(kind, times):
    if kind == "expanding52":
        return [np.arange(times - 52 + k) for k in range(52)]
    groups = fp.splits.build_equal_groups(times, 0, times // 10)
    return fp.splits.make_cpcv_splits(groups, q=2, horizon=1, embargo_len=4)


@pytest.mark.parametrize("how", ["at_once", "separate"])
@pytest.mark.parametrize("corr", [1, 0.98], ids=["scaling", "with_duplicates"])
@pytest.mark.parametrize("kind", ["cpcv45", "expanding52"])
@pytest.mark.parametrize("panel", SIZES, indirect=True)
def test_many_training_sets(benchmark, panel, kind, corr, how, threads):
    x, names = panel
    if threads > 1 and how == "separate":
        pytest.skip("the ratio is taken on one thread")
    benchmark.group = f"{kind} {x.shape} max_abs_corr {corr}"
    sets = training_sets(kind, len(x))
    pre = PanelPreprocessor(max_abs_corr=corr)
    if how == "at_once":
        benchmark.pedantic(lambda: pre.fit_splits(x, names, sets), rounds=2)
        return
    # A few of the sets, spread over all of them: their time stands for every set's.
    chosen = sets[:: max(1, len(sets) // 3)]
    benchmark.extra_info["sets"] = f"{len(chosen)} of {len(sets)}"
    rows = [getattr(s, "train", s) for s in chosen]
    benchmark.pedantic(lambda: [pre.fit(x, names, rows=r) for r in rows], rounds=2)
