"""Cleaned bars to feature groups."""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import fastpanel as fp
from fastpanel.data.stores import (
    feature_groups,
    read_clean,
    read_features_csv,
    read_group,
    write_clean,
)
from fastpanel.errors import ArtifactError, ConfigError, DataError, UnknownNameError
from fastpanel.pipelines import Environment, engineer_features
from fastpanel.pipelines._engineering import workers
from fastpanel.pipelines._goodness import goodness
from fastpanel.progress import SilentReporter

H4 = Path(__file__).resolve().parents[3] / "shared" / "data" / "h4_fx_index.parquet"
COUNTS = {
    "momentum": 5,
    "mean_reversion": 9,
    "breakout": 4,
    "cross_sectional": 6,
    "volatility": 11,
    "seasonal": 3,
    "regime": 7,
}


def run(environment, *args, **options):
    return engineer_features(*args, environment=environment, progress=False, **options)


def own_lake(cleaned_folder, environment):
    """A copy of the cleaned week that a test may damage."""
    week = environment.folder("DATA_LAKE_SOURCE") / "2024-52"
    shutil.copytree(cleaned_folder / "lake" / "2024-52", week)
    return week


class Recorder(SilentReporter):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def test_all_groups_with_45_columns(cleaned):
    done = run(cleaned)
    assert done.folder == cleaned.folder("FEATURE_STORE_SOURCE") / "2024-52"
    groups = feature_groups(done.folder)
    assert {name: len(done.columns[name]) for name in groups} == COUNTS
    assert sum(COUNTS.values()) == 45
    for folder in groups.values():
        files = ["features.csv", "features_tensor.pt", "goodness.json", "metadata.json"]
        assert sorted(path.name for path in folder.iterdir()) == files


def test_csv_and_tensor_hold_what_compute_gives(cleaned, cleaned_folder):
    done = run(cleaned, ["volatility"])
    expected = fp.features.compute(read_clean(cleaned_folder / "lake" / "2024-52"), "volatility")
    folder = done.folder / "volatility"
    content = torch.load(folder / "features_tensor.pt", weights_only=True)
    assert content["values"].shape == (104, 3, 11)
    np.testing.assert_array_equal(content["values"].numpy(), expected.values)
    np.testing.assert_array_equal(content["missing_mask"].numpy(), np.isnan(expected.values))
    stamps = content["timestamps"].numpy().astype("datetime64[ns]")
    np.testing.assert_array_equal(stamps, expected.times)
    table = pd.read_csv(folder / "features.csv", header=[0, 1], index_col=0, parse_dates=True)
    assert table.columns.names == ["asset", "feature"]
    assert table.index.name == "timestamp"
    for a, asset in enumerate(expected.assets):
        assert tuple(table[asset].columns) == expected.features
        np.testing.assert_array_equal(table[asset].to_numpy(), expected.values[:, a])
    own = read_features_csv(folder / "features.csv")
    np.testing.assert_array_equal(own.values, expected.values)
    assert (own.assets, own.features) == (expected.assets, expected.features)


def test_pandas_writes_the_same_header(cleaned, tmp_path):
    path = run(cleaned, ["momentum"]).folder / "momentum" / "features.csv"
    table = pd.read_csv(path, header=[0, 1], index_col=0)
    table.to_csv(tmp_path / "pandas.csv")
    ours, theirs = path.read_text().splitlines(), (tmp_path / "pandas.csv").read_text().splitlines()
    assert ours[:3] == theirs[:3]
    assert ours[2].strip(",") == "timestamp"


def test_metadata_maps_days_to_weeks_and_names_units(cleaned):
    folder = run(cleaned, "volatility").folder / "volatility"
    meta = json.loads((folder / "metadata.json").read_text())
    assert meta["days_to_weeks"] == {"5": 1, "20": 4, "60": 12, "130": 26}
    assert meta["feature_name_units"]["vol_cc_d_4w"] == "log return per day"
    assert len(meta["feature_name_units"]) == 11
    assert meta["columns"]["vol_cc_d_26w"]["key"] == "vol_cc_d"


def test_features_narrow_the_groups(cleaned):
    done = run(cleaned, ["momentum"], ["ema_spread"])
    assert done.columns == {"momentum": ("ema_spread_4w_26w", "ema_spread_12w_26w")}
    assert list(feature_groups(done.folder)) == ["momentum"]
    two = run(cleaned, ["momentum", "breakout"], ["brk_up"])
    assert two.columns == {"breakout": ("brk_up_4w", "brk_up_26w")}


@pytest.mark.parametrize(
    ("groups", "keys", "words"),
    [
        (["momentun"], None, "did you mean 'momentum'"),
        (["all", "nope"], None, "'nope'"),
        (["momentum"], ["brk_up"], "'brk_up'"),
    ],
)
def test_unknown_names(cleaned, groups, keys, words):
    with pytest.raises(UnknownNameError, match=words):
        run(cleaned, groups, keys)


def test_cross_sectional_runs_last_and_alone_gives_the_same(cleaned, tmp_path):
    log = Recorder()
    done = engineer_features(environment=cleaned, progress=log)
    position = log.lines.index("Group cross_sectional: started")
    others = [f"Group {name}: done" for name in COUNTS if name != "cross_sectional"]
    assert all(log.lines.index(line) < position for line in others)
    alone = Environment(
        {
            "DATA_LAKE_SOURCE": str(cleaned.folder("DATA_LAKE_SOURCE")),
            "FEATURE_STORE_SOURCE": str(tmp_path / "empty"),
        }
    )
    single = run(alone, "cross_sectional").folder / "cross_sectional"
    ranks = read_group(single).panel
    together = read_group(done.folder / "cross_sectional").panel
    np.testing.assert_array_equal(ranks.values, together.values)
    bases = {
        name: read_group(done.folder / group).panel.sel(features=name).values[:, :, 0]
        for group in ("momentum", "mean_reversion")
        for name in done.columns[group]
    }
    for column, name in enumerate(ranks.features):
        expected = fp.cross_section.rank(bases[name.removeprefix("cs_rank_")])
        np.testing.assert_array_equal(ranks.values[:, :, column], expected)


def test_workers(monkeypatch):
    for cores, expected in ((1, 1), (2, 1), (8, 7), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert workers() == expected


def test_the_number_of_workers_changes_nothing(cleaned, monkeypatch):
    def tensors(cores):
        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        folder = run(cleaned).folder
        return {path: path.read_bytes() for path in sorted(folder.glob("*/*"))}

    assert tensors(1) == tensors(8)


def test_weekly_groups_need_no_days_and_daily_ones_name_the_file(environment, cleaned_folder):
    week = own_lake(cleaned_folder, environment)
    (week / "daily_ohlc.csv").unlink()
    done = run(environment, ["momentum", "mean_reversion", "breakout", "cross_sectional"])
    assert len(done.columns) == 4
    for group in ("volatility", "seasonal"):
        with pytest.raises(ArtifactError, match=r"daily_ohlc\.csv"):
            run(environment, [group])


def test_nothing_is_written_unless_all_groups_can_be(environment, cleaned_folder):
    week = own_lake(cleaned_folder, environment)
    (week / "daily_ohlc.csv").unlink()
    with pytest.raises(ArtifactError):
        run(environment, "all")
    assert not environment.folder("FEATURE_STORE_SOURCE").exists()


@contextmanager
def _lake_of(bars, environment):
    yield write_clean(fp.clean_bars(bars), environment.folder("DATA_LAKE_SOURCE"))


def test_a_missing_week_is_an_error_unless_ragged(environment, market):
    late = market.filter(
        (pl.col("asset") != "SIM01") | (pl.col("timestamp").dt.date() >= pl.date(2023, 7, 3))
    )
    with _lake_of(late, environment):
        with pytest.raises(DataError, match="asset 'SIM01' has no bar in the week labelled"):
            run(environment, "momentum")
        done = run(environment, "momentum", allow_ragged=True)
    panel = read_group(done.folder / "momentum").panel
    late_rows = np.isnan(panel.sel(assets="SIM01", features="z_mom_4w").values[:, 0, 0]).sum()
    early_rows = np.isnan(panel.sel(assets="SIM00", features="z_mom_4w").values[:, 0, 0]).sum()
    assert (early_rows, late_rows) == (26, 26 + 26)
    meta = json.loads((done.folder / "momentum" / "metadata.json").read_text())
    assert meta["allow_ragged"] is True
    ratios = json.loads((done.folder / "momentum" / "goodness.json").read_text())
    series = list(ratios["z_mom_4w"]["SIM01"].values())
    assert series[3] == 1.0  # four of four weeks are missing
    assert series[26:30] == [0.75, 0.5, 0.25, 0.0]  # and return one by one


def test_goodness_counts_valid_days_and_missing_weeks(market):
    whole = goodness_of(market)
    last = "2024-12-20_20:00:00+00:00"
    gone = (pl.col("asset") == "SIM01") & (
        pl.col("timestamp").dt.strftime("%Y-%m-%d").is_in(["2024-12-17", "2024-12-04"])
    )
    ratios = goodness_of(market.filter(~gone))
    assert ratios["vol_cc_d_4w"]["SIM01"][last] == 0.9  # 2 of the last 20 days
    assert ratios["vol_cc_d_4w"]["SIM00"][last] == whole["vol_cc_d_4w"]["SIM00"][last] == 1.0
    assert ratios["vol_cc_d_26w"]["SIM01"][last] == pytest.approx(
        whole["vol_cc_d_26w"]["SIM01"][last] - 2 / 130
    )
    assert ratios["glob_vol_cc_d_4w"]["SIM01"][last] == 0.9
    assert ratios["glob_disp_ret_1w"]["SIM01"][last] == 1.0  # weeks there / weeks
    assert set(ratios["z_mom_26w"]["SIM01"].values()) == {0.0}
    first = next(iter(ratios["vol_cc_d_4w"]["SIM00"].values()))
    assert first == 0.25  # 5 of 20 days are there after the first week


def goodness_of(bars):
    return goodness(fp.clean_bars(bars), tuple(fp.features.catalog()))


def test_goodness_keys_are_utc_timestamps(cleaned):
    folder = run(cleaned, "seasonal").folder / "seasonal"
    ratios = json.loads((folder / "goodness.json").read_text())
    assert set(ratios) == {"dow_alpha_Mon_26w", "dow_alpha_Fri_26w", "dow_spread_26w"}
    keys = list(ratios["dow_spread_26w"]["SIM02"])
    assert len(keys) == 104
    pattern = re.compile(r"^\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\+00:00$")
    assert all(pattern.match(key) for key in keys)


def test_missing_variables_are_named():
    for name in ("DATA_LAKE_SOURCE", "FEATURE_STORE_SOURCE"):
        values = {"DATA_LAKE_SOURCE": "x", "FEATURE_STORE_SOURCE": "y"}
        del values[name]
        with pytest.raises(ConfigError, match=f"{name} is not set"):
            run(Environment(values))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("asset,A\nfeature,x\n", "three header rows"),
        ("a,A\nfeature,x\ntimestamp,\n", "header rows must be"),
        ("asset,A,A,B\nfeature,x,y,x\ntimestamp,,,\n", "every feature"),
    ],
)
def test_a_damaged_csv_is_named(tmp_path, text, words):
    (tmp_path / "features.csv").write_text(text)
    with pytest.raises(ArtifactError, match=words):
        read_features_csv(tmp_path / "features.csv")


@pytest.mark.real_data
@pytest.mark.skipif(not H4.is_file(), reason="the shared market data are not there")
def test_five_years_of_fx(environment):
    bars = fp.read_bars(H4).filter(
        pl.col("asset").is_in(["EURUSD", "GBPUSD", "USDJPY", "XAUUSD"])
        & pl.col("timestamp").dt.year().is_between(2015, 2019)
    )
    with _lake_of(bars, environment) as week:
        done = run(environment)
        direct = fp.features.compute(fp.clean_bars(bars))
    assert week.name == done.folder.name
    for name in COUNTS:
        panel = read_group(done.folder / name).panel
        expected = direct.sel(features=panel.features)
        np.testing.assert_array_equal(panel.values, expected.values)
    ratios = json.loads((done.folder / "volatility" / "goodness.json").read_text())
    values = np.array([list(s.values()) for s in ratios["vol_cc_d_26w"].values()])
    assert values.max() <= 1.0
    assert values[:, 30:].min() > 0.9
