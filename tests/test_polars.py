"""The polars namespace calls the kernels, in every context of polars."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import fastpanel as fp
import fastpanel.polars

ROLLING = ("mean", "sum", "std", "var", "min", "max", "median", "mad", "skew", "kurt", "rank")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    x[[7, 50]] = np.nan
    return pl.DataFrame({"row": np.arange(120), "asset": ["A", "B", "C"] * 40, "x": x})


def by_asset(frame, kernel):
    wide = frame["x"].to_numpy().reshape(40, 3)
    return np.stack([kernel(wide[:, a]) for a in range(3)], axis=1).ravel()


@pytest.mark.parametrize("name", ROLLING)
def test_rolling_kernels_over_assets(frame, name):
    expression = getattr(pl.col("x").fp, f"rolling_{name}")(8, min_periods=5).over("asset")
    kernel = getattr(fp.rolling, name)
    expected = by_asset(frame, lambda x: kernel(np.ascontiguousarray(x), 8, min_periods=5))
    for found in (
        frame.select(expression),
        frame.with_columns(expression).select("x"),
        frame.lazy().select(expression).collect(),
    ):
        assert found.columns == ["x"]
        assert found.schema == {"x": pl.Float64}
        np.testing.assert_array_equal(found["x"].fill_null(np.nan).to_numpy(), expected)
    assert not frame.select(expression)["x"].is_nan().any()  # missing is null


def test_the_documented_line(frame):
    mad = frame.select(pl.col("x").fp.rolling_mad(26))["x"].fill_null(np.nan).to_numpy()
    np.testing.assert_array_equal(mad, fp.rolling.mad(frame["x"].to_numpy(), 26))
    assert np.isfinite(mad).sum() > 20


def test_other_kernels(frame):
    x = frame["x"].to_numpy()
    for expression, expected in (
        (pl.col("x").fp.rolling_quantile(9, 0.2), fp.rolling.quantile(x, 9, 0.2)),
        (pl.col("x").fp.ewm_mean(span=5), fp.rolling.ewm_mean(x, span=5)),
        (pl.col("x").fp.ewm_std(halflife=3), fp.rolling.ewm_std(x, halflife=3)),
    ):
        found = frame.select(expression)["x"].fill_null(np.nan).to_numpy()
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["rank", "zscore", "demean"])
def test_cross_sections_over_times(frame, name):
    expression = getattr(pl.col("x").fp, f"cross_{name}")().over(pl.col("row") // 3)
    found = frame.select(expression)["x"].fill_null(np.nan).to_numpy()
    expected = getattr(fp.cross_section, name)(frame["x"].to_numpy().reshape(40, 3)).ravel()
    np.testing.assert_array_equal(found, expected)


def test_integers_and_nulls_are_read(frame):
    numbers = pl.DataFrame({"x": [1, 2, None, 4, 5, 6]})
    found = numbers.select(pl.col("x").fp.rolling_sum(2))["x"].to_list()
    assert found == [None, 3.0, None, None, 9.0, 11.0]


def test_frames_become_panels(frame):
    long = fp.data.simulated_market(n_assets=2, years=0.1, bar="1d", late_listers=0).select(
        "timestamp", "asset", "close"
    )
    for form in (long, long.lazy()):
        panel = form.fp.to_panel()
        assert panel.assets == ("SIM00", "SIM01")
        assert panel.values.shape[2] == 1
        assert panel.values[0, 1, 0] == long.filter(pl.col("asset") == "SIM01")["close"][0]
    assert long.rename({"close": "y"}).with_columns(x=1.0).fp.to_panel(target="y").features == (
        "x",
    )


def test_a_wrong_argument_is_named(frame):
    with pytest.raises(Exception, match="window"):
        frame.select(pl.col("x").fp.rolling_mad(0))


def test_the_namespace_is_there_only_when_asked_for():
    code = "import fastpanel, polars as pl; print(hasattr(pl.col('x'), 'fp'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
