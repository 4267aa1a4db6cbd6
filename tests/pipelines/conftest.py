"""Folders of every stage below one temporary root, and bars to put into them."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

import fastpanel as fp
from fastpanel.data.history import exporters
from fastpanel.pipelines import Environment, clean_data

VARIABLES = {
    "DATA_SOURCE": "raw",
    "DATA_LAKE_SOURCE": "lake",
    "FEATURE_STORE_SOURCE": "store",
    "SIMULATION_SOURCE": "runs",
}


def export(root, bars: pl.DataFrame, kind: str = "csv") -> None:
    """Write bars in the layout of the download."""
    if "volume" not in bars.columns:
        bars = bars.with_columns(volume=pl.lit(None, pl.Float64))
    months = bars.with_columns(month=pl.col("timestamp").dt.strftime("%Y-%m"))
    for (asset, month), part in months.group_by("asset", "month"):
        columns = ["timestamp", "open", "high", "low", "close", "volume"]
        exporters()[kind](root, asset, month, part.sort("timestamp").select(columns))


def hours(asset: str, bars: dict[str, float]) -> pl.DataFrame:
    """Flat bars of one asset: time text to price."""
    stamps = [datetime.fromisoformat(text) for text in bars]
    prices = list(bars.values())
    times = pl.Series("timestamp", stamps).dt.cast_time_unit("ns").dt.replace_time_zone("UTC")
    columns = dict.fromkeys(("open", "high", "low", "close"), prices)
    return pl.DataFrame({"timestamp": times, "asset": [asset] * len(prices), **columns})


@pytest.fixture
def environment(tmp_path) -> Environment:
    return Environment({name: str(tmp_path / folder) for name, folder in VARIABLES.items()})


@pytest.fixture(scope="session")
def market() -> pl.DataFrame:
    return fp.data.simulated_market(
        n_assets=3, years=2, bar="4h", late_listers=0, start="2023-01-02", seed=3
    )


@pytest.fixture(scope="session")
def cleaned_folder(tmp_path_factory, market):
    """Root with raw bars and one cleaned week; read-only for tests."""
    root = tmp_path_factory.mktemp("cleaned")
    values = {name: str(root / folder) for name, folder in VARIABLES.items()}
    export(root / "raw", market)
    done = clean_data("2023-01", environment=Environment(values), progress=False)
    assert done.folder == root / "lake" / "2024-52"
    return root


@pytest.fixture
def cleaned(cleaned_folder, tmp_path) -> Environment:
    """The cleaned week, with a feature store of the test's own."""
    values = {name: str(tmp_path / folder) for name, folder in VARIABLES.items()}
    values["DATA_SOURCE"] = str(cleaned_folder / "raw")
    values["DATA_LAKE_SOURCE"] = str(cleaned_folder / "lake")
    return Environment(values)
