"""Panels and bars to and from other libraries' frames."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fastpanel as fp
from fastpanel.errors import DataError, MissingExtraError, UnknownNameError


@pytest.fixture
def panel() -> fp.Panel:
    values = np.arange(24.0).reshape(4, 3, 2)
    values[0, 1, 0] = np.nan
    mask = np.zeros(values.shape, bool)
    mask[:2, 2] = True  # the third asset lists late
    times = np.array(["2024-01-05T21", "2024-01-12T21", "2024-01-19T21", "2024-01-26T21"], "M8[ns]")
    return fp.Panel(values, times, list("ABC"), ["x", "y"], mask, np.arange(12.0).reshape(4, 3))


def same(left: fp.Panel, right: fp.Panel) -> None:
    hidden = np.where(left.mask, np.nan, left.values)
    np.testing.assert_array_equal(np.where(right.mask, np.nan, right.values), hidden)
    np.testing.assert_array_equal(left.mask, right.mask)
    np.testing.assert_array_equal(left.times, right.times)
    assert (left.assets, left.features) == (right.assets, right.features)
    np.testing.assert_array_equal(left.targets, right.targets)


def test_arrow_takes_a_panel_and_gives_it_back(panel):
    table = pa.table(panel)
    assert table.column_names == ["timestamp", "asset", "x", "y", "target"]
    assert str(table.schema.field("timestamp").type) == "timestamp[ns, tz=UTC]"
    assert table["x"].null_count == 3  # one NaN and two masked
    same(panel, fp.Panel.from_frame(table, target="target"))
    same(panel, fp.Panel.from_frame(pl.DataFrame(panel), target="target"))
    batches = pa.RecordBatchReader.from_stream(panel)
    same(panel, fp.Panel.from_frame(batches, target="target"))


def test_pandas_both_ways(panel):
    frame = panel.to_pandas()
    assert frame.index.names == ["timestamp", "asset"]
    assert frame.loc[(pd.Timestamp("2024-01-19T21", tz="UTC"), "C"), "y"] == 17.0
    assert str(frame.index.levels[0].tz) == "UTC"
    same(panel, fp.Panel.from_frame(frame, target="target"))


def test_bars_from_every_kind_of_frame_are_the_same():
    bars = fp.data.simulated_market(n_assets=2, years=0.2, bar="1d")
    for frame in (bars.lazy(), bars.to_arrow(), bars.to_pandas()):
        assert fp.read_bars(frame).equals(fp.read_bars(bars))


def test_bars_in_arrow_memory_are_read_without_a_copy():
    from fastpanel.data._frames import to_polars

    column = pa.array(np.arange(1000.0))
    taken = to_polars(pa.table({"x": column}))["x"].to_numpy()
    assert taken.ctypes.data == column.buffers()[1].address


def test_skfolio_both_ways(panel):
    containers = pytest.importorskip("skfolio.containers")
    other = panel.to_skfolio()
    assert isinstance(other, containers.AssetPanel)
    assert list(other.keys()) == ["x", "y", "target"]
    np.testing.assert_array_equal(other["x"][:, 0], panel.values[:, 0, 0])
    assert np.isnan(other["y"][0, 2])
    assert other.active_mask.tolist() == [[True, True, False]] * 2 + [[True] * 3] * 2
    back = fp.Panel.from_skfolio(other, target="target")
    # skfolio blanks what is not active, the targets too
    inactive = ~other.active_mask
    expected = np.where(inactive, np.nan, panel.targets)
    np.testing.assert_array_equal(back.targets, expected)
    same(fp.Panel(panel.values, panel.times, list("ABC"), ["x", "y"], panel.mask, expected), back)
    part = fp.Panel.from_skfolio(other[1:3], target="target")
    np.testing.assert_array_equal(part.times, panel.times[1:3])


def test_skfolio_fields_with_labels_and_categories(panel):
    containers = pytest.importorskip("skfolio.containers")
    times, assets = panel.times.copy(), np.array(["A", "B", "C"])
    values = np.nan_to_num(panel.values) + 1
    labels = ["size", "value"]
    cube = containers.Field3D(values=values, third_axis_name="factor", third_axis_labels=labels)
    other = containers.AssetPanel({"exposure": cube}, times, assets)
    taken = fp.Panel.from_skfolio(other)
    assert taken.features == ("exposure__size", "exposure__value")
    np.testing.assert_array_equal(taken.values, values)
    codes = containers.FieldCategorical(values=np.zeros((4, 3), np.int32), levels=["bank"])
    mixed = containers.AssetPanel({"sector": codes}, times, assets)
    with pytest.raises(DataError, match="field 'sector' is categorical"):
        fp.Panel.from_skfolio(mixed)


def test_skfolio_mistakes(panel, monkeypatch):
    pytest.importorskip("skfolio.containers")
    with pytest.raises(DataError, match="expected a skfolio AssetPanel, got Panel"):
        fp.Panel.from_skfolio(panel)
    with pytest.raises(UnknownNameError, match="no field 'z' to be the target"):
        fp.Panel.from_skfolio(panel.to_skfolio(), target="z")
    monkeypatch.setitem(sys.modules, "skfolio.containers", None)
    with pytest.raises(MissingExtraError, match=r"skfolio is needed .* pip install skfolio"):
        panel.to_skfolio()
