"""Simulation inputs from the feature store and the data lake."""

from __future__ import annotations

import json
import shutil
from datetime import date

import numpy as np
import polars as pl
import pytest

import fastpanel as fp
from fastpanel.data.stores import read_returns, week_of, write_clean
from fastpanel.errors import ArtifactError, ConfigError, DataError, UnknownNameError
from fastpanel.pipelines import Environment, engineer_features
from fastpanel.simulation._config import DatasetParams
from fastpanel.simulation._dataset import build_dataset

GROUPS = ("momentum", "volatility")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("stores")
    bars = fp.data.simulated_market(n_assets=3, years=2, bar="1d", late_listers=0, seed=5)
    fill(root, bars, groups=GROUPS)
    return root


def fill(root, bars, groups="all", **options):
    write_clean(fp.clean_bars(bars), root / "lake")
    values = {"DATA_LAKE_SOURCE": str(root / "lake"), "FEATURE_STORE_SOURCE": str(root / "store")}
    engineer_features(groups, environment=Environment(values), progress=False, **options)


@pytest.fixture
def stores(made, tmp_path, monkeypatch):
    """A copy that a test may damage; no variable says where it is."""
    for name in ("DATA_LAKE_SOURCE", "FEATURE_STORE_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def params(root, **values):
    paths = {"feature_store": str(root / "store"), "data_lake": str(root / "lake")}
    return DatasetParams(**{**paths, **values})


def test_the_same_panel_as_from_the_bars(stores):
    stored = build_dataset(params(stores))
    market = {"n_assets": 3, "years": 2, "bar": "1d", "late_listers": 0, "seed": 5}
    direct = build_dataset(DatasetParams(bars="simulated", simulated=market, groups=GROUPS))
    for name in ("X", "y", "mask", "times", "X_unlabeled", "times_unlabeled"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(direct, name), name)
    assert (stored.assets, stored.features) == (direct.assets, direct.features)
    assert stored.features[0] == "momentum__z_mom_4w"
    assert stored.X.shape == (103, 3, 16)


def test_targets_are_the_returns_of_the_next_week(stores):
    dataset = build_dataset(params(stores))
    week = next((stores / "lake").iterdir())
    returns = read_returns(week).values
    known = ~dataset.mask.all(axis=2)  # nothing is learned of an asset without any feature yet
    assert known[5:].all()
    np.testing.assert_array_equal(dataset.y[known], returns[1:][known] * 1_000_000)
    assert len(dataset.X_unlabeled) == 1
    assert week_of(dataset.times_unlabeled[-1]) == week.name


def test_variables_stand_in_for_the_keys(stores, monkeypatch):
    monkeypatch.setenv("FEATURE_STORE_SOURCE", str(stores / "store"))
    monkeypatch.setenv("DATA_LAKE_SOURCE", str(stores / "lake"))
    assert build_dataset(DatasetParams()).digest == build_dataset(params(stores)).digest
    monkeypatch.setenv("DATA_LAKE_SOURCE", str(stores / "nowhere"))
    assert build_dataset(params(stores)).X.shape == (103, 3, 16)  # the keys win


@pytest.mark.parametrize("key", ["feature_store", "data_lake"])
def test_a_folder_that_nothing_names(stores, key):
    with pytest.raises(ConfigError, match=f"{key}: give a folder here or in"):
        build_dataset(params(stores, **{key: None}))


def test_the_newest_week_is_used_in_both_stores(stores):
    early = fp.data.simulated_market(n_assets=2, years=1, bar="1d", late_listers=0)
    fill(stores, early, "momentum")
    (stores / "store" / "zscore" / "debug" / "2099-01").mkdir(parents=True)
    assert len(list((stores / "lake").iterdir())) == 2
    assert build_dataset(params(stores)).X.shape == (103, 3, 16)


def test_stores_that_end_at_different_weeks(stores):
    (stores / "lake" / "2099-01").mkdir()
    with pytest.raises(ArtifactError, match=r"newest features are of 2017-52.*returns of 2099-01"):
        build_dataset(params(stores))


def test_groups_and_features_narrow(stores):
    one = build_dataset(params(stores, groups=("volatility",), features=("vol_cc_d",)))
    assert one.features == ("volatility__vol_cc_d_4w", "volatility__vol_cc_d_26w")
    bare = build_dataset(params(stores, groups=("momentum",), prefix_feature_names=False))
    assert bare.features[0] == "z_mom_4w"
    with pytest.raises(UnknownNameError, match="no group 'regime'"):
        build_dataset(params(stores, groups=("regime",)))
    with pytest.raises(UnknownNameError, match="no feature 'brk_up'"):
        build_dataset(params(stores, features=("brk_up", "vol_cc_d")))


def test_range_and_assets_narrow(stores):
    dataset = build_dataset(params(stores, start="2017-01", assets=("SIM02", "SIM01")))
    assert dataset.assets == ("SIM02", "SIM01")
    assert str(dataset.times[0])[:7] == "2017-01"
    whole = build_dataset(params(stores))
    np.testing.assert_array_equal(dataset.y, whole.y[-len(dataset.y) :, [2, 1]])


def test_other_return_types_are_refused(stores):
    with pytest.raises(ConfigError, match="return_type is 'log'"):
        build_dataset(params(stores, return_type="log"))


def test_groups_of_other_bars_are_refused(stores):
    path = next((stores / "store").iterdir()) / "volatility" / "metadata.json"
    record = json.loads(path.read_text())
    record["source"]["sha256"]["weekly_ohlc.csv"] = "0"
    path.write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match="'volatility' was computed from other bars"):
        build_dataset(params(stores))
    assert build_dataset(params(stores, groups=("momentum",))).X.shape[2] == 5


def test_a_missing_week_needs_allow_ragged(tmp_path):
    bars = fp.data.simulated_market(n_assets=3, years=2, bar="1d", late_listers=0, seed=5)
    late = bars.filter(
        (pl.col("asset") != "SIM01") | (pl.col("timestamp").dt.strftime("%Y-%m") >= "2016-06")
    )
    fill(tmp_path, late, "momentum", allow_ragged=True)
    with pytest.raises(DataError, match=r"'SIM01' has no return in the week.*allow_ragged"):
        build_dataset(params(tmp_path))
    dataset = build_dataset(params(tmp_path, allow_ragged=True))
    assert dataset.mask[0, 1].all()
    assert np.isnan(dataset.y[0, 1])
    begins = build_dataset(params(tmp_path, start="2017-02"))  # after the look-back, too
    assert np.isfinite(begins.y).all()


def test_a_run_from_the_stores(stores, monkeypatch):
    monkeypatch.setenv("SIMULATION_SOURCE", str(stores / "runs"))
    config = {
        "data": {"dataset_params": params(stores).model_dump(exclude_none=True)},
        "cv": {"warmup_len": 31, "group_len": 24, "q": 1},
        "flags": {"simulation_mode": "stub", "stop_after": "inputs"},
    }
    result = fp.simulation.run(config, progress=False)
    assert result.folder == stores / "runs" / "2017-52"
    assert (result.folder / "inputs" / "panel_tensor.pt").is_file()


def test_days_of_bars_are_sessions_of_an_exchange_on_request():
    pytest.importorskip("exchange_calendars")
    market = {"n_assets": 2, "years": 1, "bar": "4h", "late_listers": 0, "seed": 2}
    values = {"bars": "simulated", "simulated": market, "groups": ("breakout",)}
    plain = build_dataset(DatasetParams(**values))
    local = build_dataset(DatasetParams(**values, calendar="XNYS"))
    # New York closes at 21:00 in winter and at 20:00 in summer, so a Friday bar of 20:00 counts
    # for the next week in summer
    hours = {t.astype("datetime64[D]").item(): t.astype("datetime64[h]").item().hour
             for t in local.times}  # fmt: skip
    assert (hours[date(2016, 1, 8)], hours[date(2016, 7, 8)]) == (20, 16)
    assert {t.astype("datetime64[h]").item().hour for t in plain.times} == {20}
