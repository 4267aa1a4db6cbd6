"""The commands one after the other on real, defective bars."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fastpanel.cli import main
from fastpanel.data.stores import feature_groups, read_group

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no market data beside the project"),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("DATA_SOURCE", "DATA_LAKE_SOURCE", "FEATURE_STORE_SOURCE", "SIMULATION_SOURCE"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("HISTORICAL_DATA_PROVIDER", "parquet")
    monkeypatch.setenv("HISTORICAL_DATA_EXPORTER", "parquet")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tickers.yml").write_text(
        "tickers: [ADAUSDT, BTCUSD, ETHUSDT, SOLUSDT]\n"
        "duration: 4 Y\nbar_size: 1 hour\nwhat_to_show: TRADES\nend: 2023-06-30\n"
        f"provider_options: {{path: {DATA / 'hourly_crypto.parquet'}}}\n"
    )
    return tmp_path


def test_from_files_to_a_stub_simulation(place, capsys):
    assert main(["historical", "--tickers", "tickers.yml", "--quiet"]) == 0
    coverage = json.loads((place / "data_source" / "coverage.json").read_text())["assets"]
    assert len(coverage["SOLUSDT"]["months_without_bars"]) == 13  # it lists in August 2020
    assert coverage["BTCUSD"]["weekdays_without_bars"] == {"2021-01": 1}
    assert coverage["ETHUSDT"]["last"] == "2023-06-30T23:00:00+00:00"

    assert main(["data_cleaning", "--start", "2019-07", "--quiet"]) == 0
    lake = Path(capsys.readouterr().out.splitlines()[-1])
    assert lake.name == "2023-26"
    found = pl.read_csv(lake / "quality_findings.csv")
    reasons = set(zip(found["asset"], found["reason"], strict=True))
    assert {
        ("ADAUSDT", "coarse price"), ("BTCUSD", "no weekends"), ("BTCUSD", "days missing"),
        ("SOLUSDT", "starts late"),
    } <= reasons  # fmt: skip
    meta = json.loads((lake / "daily_ohlc_meta.json").read_text())
    assert meta["missing_days_per_month"]["BTCUSD"] == {"2021-01": 1}

    line = ["data_processing", "--preprocessor", "pca", "--preprocessor-arg", "k=2", "--quiet"]
    assert main(line) == 0
    assert main(["feature_engineering", "--quiet"]) == 1
    assert "asset 'SOLUSDT' has no bar in the week labelled 2019-07" in capsys.readouterr().err
    assert main(["feature_engineering", "--allow-ragged", "--quiet"]) == 0
    store = Path(capsys.readouterr().out.splitlines()[-1])
    assert len(feature_groups(store)) == 7
    momentum = read_group(store / "momentum").panel
    late = momentum.assets.index("SOLUSDT")
    first = int(np.argmin(momentum.mask[:, late, 0]))
    assert 26 <= first - np.argmax(np.isfinite(_returns(lake)[:, late])) <= 27
    goodness = json.loads((store / "volatility" / "goodness.json").read_text())
    ratios = goodness["vol_cc_d_4w"]["BTCUSD"]
    assert min(list(ratios.values())[4:]) == 0.95  # one of twenty days

    (place / "simulation.yml").write_text(
        "data: {dataset_params: {allow_ragged: true}}\n"
        "cv: {warmup_len: 52, group_len: 26, q: 1}\n"
        "flags: {simulation_mode: stub, stop_after: cv}\n"
    )
    assert main(["simulation", "--simulation-config", "simulation.yml", "--quiet"]) == 0


def _returns(lake: Path):
    table = pl.read_csv(lake / "returns.csv").drop("timestamp")
    return table.cast(pl.Float64).to_numpy()
