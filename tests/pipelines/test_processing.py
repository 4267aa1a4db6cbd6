"""Weekly returns to processed tables."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from fastpanel.data import CleanBars, WeeklyReturns
from fastpanel.data.stores import read_wide, write_clean
from fastpanel.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    ParameterError,
    UnknownNameError,
)
from fastpanel.pipelines import Environment, default_registry, process_data

TIMES = np.array(["2024-12-13", "2024-12-20", "2024-12-27", "2025-01-03"], "datetime64[ns]")


def run(environment, name="identity", **arguments):
    return process_data(name, arguments, environment=environment, progress=False)


def put_returns(environment, values, times=TIMES, root="DATA_LAKE_SOURCE"):
    """A lake week with these returns."""
    values = np.array(values, dtype=np.float64)
    assets = tuple("ABC"[: values.shape[1]])
    bars = pl.DataFrame(
        {
            "timestamp": pl.Series(times).dt.replace_time_zone("UTC"),
            "asset": ["A"] * len(times),
            **{name: [1.0] * len(times) for name in ("open", "high", "low", "close")},
            "iso_week": ["2024-01"] * len(times),
        }
    )
    meta = {"weekly": {}, "daily": {}, "returns": {}}
    returns = WeeklyReturns(values, times, assets, "simple")
    return write_clean(CleanBars(bars, None, returns, meta), environment.folder(root))


def test_the_latest_week_is_read_and_other_folders_do_not_count(environment):
    put_returns(environment, [[1.0], [2.0]], TIMES[1:3])
    put_returns(environment, [[3.0], [4.0]], TIMES[2:])
    lake = environment.folder("DATA_LAKE_SOURCE")
    assert sorted(path.name for path in lake.iterdir()) == ["2024-52", "2025-01"]
    (lake / "zscore").mkdir()
    (lake / "2025-1").mkdir()
    done = run(environment)
    assert done.folder == environment.folder("FEATURE_STORE_SOURCE") / "identity/debug/2025-01"
    np.testing.assert_array_equal(read_wide(done.folder / "processed.csv")[2], [[3.0], [4.0]])


def test_identity_gives_its_input(cleaned):
    done = run(cleaned)
    lake = cleaned.folder("DATA_LAKE_SOURCE") / "2024-52"
    assert (done.folder / "processed.csv").read_bytes() == (lake / "returns.csv").read_bytes()


def test_identity_copies_on_request():
    frame = pl.DataFrame({"timestamp": TIMES, "A": [1.0, 2, 3, 4]})
    process = default_registry()["identity"].process
    assert process(frame) is frame
    assert process(frame, copy="false") is frame
    copied = process(frame, copy="true")
    assert copied is not frame
    assert copied.equals(frame)


def test_zscore_writes_what_reproduces_the_input(environment):
    put_returns(environment, [[1.0, 5.0], [2.0, np.nan], [3.0, 7.0]], TIMES[1:])
    done = run(environment, "zscore", pipeline="my_pipeline")
    store = environment.folder("FEATURE_STORE_SOURCE")
    assert done.folder == store / "zscore/my_pipeline/2025-01"
    names = ["mean_ref.pt", "metadata.json", "processed.csv", "processed_tensor.pt", "std_ref.pt"]
    assert sorted(path.name for path in done.folder.iterdir()) == names
    table = pd.read_csv(done.folder / "processed.csv", index_col=0, parse_dates=True)
    assert table["A"].tolist() == [-1.0, 0.0, 1.0]
    assert table["B"].iloc[1] == 0.0
    assert str(table.index.tz) == "UTC"
    content = torch.load(done.folder / "processed_tensor.pt", weights_only=True)
    assert {"values", "timestamps", "missing_mask"} <= set(content)
    assert content["missing_mask"].tolist() == [[False, False], [False, True], [False, False]]
    mean, std = (
        torch.load(done.folder / f"{name}_ref.pt", weights_only=True) for name in ("mean", "std")
    )
    back = content["values"] * std + mean
    assert back[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert back[[0, 2], 1].tolist() == pytest.approx([5.0, 7.0])
    record = json.loads((done.folder / "metadata.json").read_text())
    assert record["columns"] == ["A", "B"]
    assert record["rows"] == 3
    assert record["arguments"]["pipeline"] == "my_pipeline"
    assert record["arguments"]["missing"] == "zero"


def test_zscore_range_and_dropped_rows(environment):
    put_returns(environment, [[1.0, 1], [2.0, np.nan], [3.0, 3], [9.0, 9]])
    done = run(environment, "zscore", missing="drop", end_date="2024-12-31")
    assert [str(t)[:10] for t in done.result.times] == ["2024-12-13", "2024-12-27"]
    assert run(environment, "zscore").folder.parent.name == "debug"


def test_pca_of_the_market(cleaned):
    done = run(cleaned, "pca", k="2")
    names = ["eigenvalues.csv", "factors.csv", "factors.pt", "loadings.csv", "loadings.pt"]
    assert sorted(path.name for path in done.folder.iterdir()) == [*names, "metadata.json"]
    _, columns, factors = read_wide(done.folder / "factors.csv")
    assert columns == ("factor_1", "factor_2")
    stored = torch.load(done.folder / "factors.pt", weights_only=True)["values"].numpy()
    np.testing.assert_array_equal(stored, factors)
    loadings = torch.load(done.folder / "loadings.pt", weights_only=True).numpy()
    table = pd.read_csv(done.folder / "loadings.csv", index_col=0)
    assert list(table.index) == ["SIM00", "SIM01", "SIM02"]
    np.testing.assert_array_equal(table.to_numpy(), loadings)
    lake = cleaned.folder("DATA_LAKE_SOURCE") / "2024-52"
    raw = pd.read_csv(lake / "returns.csv", index_col=0)
    z = ((raw - raw.mean()) / raw.std(ddof=1)).to_numpy()
    np.testing.assert_allclose(z @ loadings, factors, atol=1e-12)
    eigenvalues = pd.read_csv(done.folder / "eigenvalues.csv")["eigenvalue"].to_numpy()
    assert (np.diff(eigenvalues) < 0).all()
    np.testing.assert_allclose(np.cov(factors.T), np.diag(eigenvalues[:2]), atol=1e-12)
    record = json.loads((done.folder / "metadata.json").read_text())
    assert (record["k"], record["variance"], record["n_factors"]) == (2, None, 2)


def test_pca_by_variance_takes_as_few_factors_as_reach_it(cleaned):
    values = pd.read_csv(run(cleaned, "pca", k=3).folder / "eigenvalues.csv")
    for share in (0.5, 0.9, 1.0):
        done = run(cleaned, "pca", variance=str(share))
        record = json.loads((done.folder / "metadata.json").read_text())
        assert (record["k"], record["variance"]) == (None, share)
        fewest = int((values["cumulative_share"] >= share - 1e-12).argmax()) + 1
        assert record["n_factors"] == len(done.result.columns) == fewest


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("identity", {"copy": "maybe"}, "copy"),
        ("identity", {"pipeline": "x"}, "no argument 'pipeline'"),
        ("zscore", {"copy": "true"}, "no argument 'copy'"),
        ("zscore", {"start_date": "2024-1-1"}, "start_date"),
        ("zscore", {"end_date": "soon"}, "end_date"),
        ("zscore", {"start_date": "2024-06-01", "end_date": "2024-01-01"}, "before start_date"),
        ("zscore", {"missing": "mean"}, "missing"),
        ("zscore", {"pipeline": "a/b"}, "pipeline"),
        ("zscore", {"pipeline": ".."}, "pipeline"),
        ("pca", {}, "exactly one of k and variance"),
        ("pca", {"k": "2", "variance": "0.9"}, "exactly one of k and variance"),
        ("pca", {"k": "0"}, "k must"),
        ("pca", {"k": "two"}, "k must be a whole number, got 'two'"),
        ("pca", {"k": "4"}, "k must be a whole number in 1..3"),
        ("pca", {"variance": "0"}, "variance"),
        ("pca", {"variance": "1.1"}, "variance"),
        ("pca", {"start_date": "x", "k": "1"}, "start_date"),
        ("pca", {"pipeline": "a b", "k": "1"}, "pipeline"),
    ],
)
def test_bad_arguments_are_named(cleaned, name, arguments, words):
    with pytest.raises(ParameterError, match=words):
        run(cleaned, name, **arguments)
    assert not cleaned.folder("FEATURE_STORE_SOURCE").exists()


def test_an_unknown_preprocessor_lists_the_known_ones(cleaned):
    with pytest.raises(UnknownNameError, match=r"\['identity', 'pca', 'zscore'\]"):
        run(cleaned, "whiten")


def test_an_empty_lake_and_a_missing_variable_are_named(environment):
    with pytest.raises(ArtifactError, match="run 'fastpanel data_cleaning' first"):
        run(environment)
    for name in ("DATA_LAKE_SOURCE", "FEATURE_STORE_SOURCE"):
        values = {"DATA_LAKE_SOURCE": "x", "FEATURE_STORE_SOURCE": "y"}
        del values[name]
        with pytest.raises(ConfigError, match=f"{name} is not set"):
            run(Environment(values))


@pytest.fixture
def registered():
    """Register for one test; the registry itself has no removal."""
    registry = default_registry()
    before = dict(registry)
    yield registry.add
    registry._items.clear()
    registry._items.update(before)


def test_your_own_preprocessor_of_pandas_frames(cleaned, registered):
    class Demean:
        def process(self, frame: pd.DataFrame, *, window: str = "4") -> pd.DataFrame:
            return (frame - frame.rolling(int(window)).mean()).dropna()

    registered("demean", Demean())
    done = run(cleaned, "demean", window="8")
    lake = cleaned.folder("DATA_LAKE_SOURCE") / "2024-52"
    raw = pd.read_csv(lake / "returns.csv", index_col=0, parse_dates=True)
    expected = (raw - raw.rolling(8).mean()).dropna()
    stored = pd.read_csv(done.folder / "processed.csv", index_col=0, parse_dates=True)
    pd.testing.assert_frame_equal(stored, expected)
    with pytest.raises(ParameterError, match="no argument 'windw'"):
        run(cleaned, "demean", windw="8")


def test_your_own_preprocessor_as_a_function_of_polars_frames(cleaned, registered):
    def double(frame, *, pipeline="debug"):
        return frame.with_columns(pl.exclude("timestamp") * 2)

    double.frame = "polars"
    registered("double", double)
    done = run(cleaned, "double", pipeline="two")
    assert done.folder.parent.name == "two"
    np.testing.assert_array_equal(done.result.values, 2 * run(cleaned).result.values)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.tz_localize(None), "UTC datetime index"),
        (lambda f: f.tz_convert("Europe/London"), "UTC datetime index"),
        (lambda f: f.reset_index(drop=True), "UTC datetime index"),
        (lambda f: f.to_numpy(), "pandas or polars frame"),
        (lambda f: f.iloc[::-1], "do not increase"),
        (lambda f: f.assign(SIM00="x"), "'SIM00' that holds no numbers"),
        (lambda f: pl.DataFrame({"timestamp": TIMES, "A": [1.0, 2, 3, 4]}), "UTC datetimes"),
    ],
)
def test_a_result_without_utc_times_is_refused(cleaned, registered, spoil, words):
    registered("spoilt", spoil)
    with pytest.raises(DataError, match=words):
        run(cleaned, "spoilt")
