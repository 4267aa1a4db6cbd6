from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastpanel.data import Panel, WeeklyReturns
from fastpanel.errors import (
    ArtifactError,
    DataError,
    ParameterError,
    ShapeError,
    UnknownNameError,
)

TIMES = np.array(["2024-01-05T20", "2024-01-12T20", "2024-01-19T20"], "datetime64[ns]")


def make(**changes):
    parts = {
        "values": np.arange(12.0).reshape(3, 2, 2),
        "times": TIMES,
        "assets": ["A", "B"],
        "features": ["x", "y"],
    }
    return Panel(**(parts | changes))


def test_mask_is_given_or_nan():
    values = np.arange(12.0).reshape(3, 2, 2)
    values[0, 0, 0] = np.nan
    mask = np.zeros((3, 2, 2), bool)
    mask[2, 1, 1] = True
    panel = make(values=values, mask=mask)
    assert np.argwhere(panel.mask).tolist() == [[0, 0, 0], [2, 1, 1]]
    assert panel.values[2, 1, 1] == 11.0


def test_panel_does_not_share_memory_with_writable_input():
    values = np.zeros((3, 2, 2))
    panel = make(values=values)
    values[:] = 7
    assert (panel.values == 0).all()
    for array in (panel.values, panel.mask, panel.times):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]
    with pytest.raises(AttributeError):
        panel.values = values


def test_read_only_input_is_not_copied():
    values = np.zeros((3, 2, 2))
    values.flags.writeable = False
    assert np.shares_memory(make(values=values).values, values)


def test_rows_by_slice_share_memory_and_by_index_follow_numpy():
    panel = make(targets=np.arange(6.0).reshape(3, 2))
    part = panel[1:]
    assert np.shares_memory(part.values, panel.values)
    assert len(part) == 2
    assert part.targets.tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert panel[-1].shape == (1, 2, 2)
    assert panel[-1].times[0] == TIMES[2]
    assert panel[np.array([0, 2])].values[:, 0, 0].tolist() == [0.0, 8.0]
    assert panel[np.array([True, False, True])].times.tolist() == TIMES[[0, 2]].tolist()
    assert len(panel[[]]) == 0


@pytest.mark.parametrize("rows", [[2, 0], [1, 1]])
def test_rows_out_of_time_order_are_refused(rows):
    with pytest.raises(ParameterError, match="increase strictly"):
        make()[rows]


def test_bad_row_index():
    with pytest.raises(IndexError, match="row 3 is outside a panel of 3 rows"):
        make()[3]
    with pytest.raises(ShapeError, match=r"\(2,\), expected \(3,\)"):
        make()[np.array([True, False])]
    with pytest.raises(ParameterError, match="rows must be"):
        make()[[0.5]]


def test_sel_by_label():
    panel = make()
    part = panel.sel(slice("2024-01-06", "2024-01-12"), assets="B", features=["y", "x"])
    assert part.assets == ("B",)
    assert part.features == ("y", "x")
    assert part.values.tolist() == [[[7.0, 6.0]]]
    assert len(panel.sel(slice("2024-01", None))) == 3
    assert len(panel.sel(slice(None, "2023-12"))) == 0
    assert panel.sel(["2024-01-05T20:00", "2024-01-19T20:00"]).values[:, 0, 0].tolist() == [0, 8]
    assert len(panel.sel(datetime(2024, 1, 12, 20, tzinfo=UTC))) == 1
    with pytest.raises(UnknownNameError, match="unknown asset 'C'"):
        panel.sel(assets=["C"])
    with pytest.raises(UnknownNameError, match="2024-01-06"):
        panel.sel("2024-01-06")


def test_zoned_times_become_utc():
    east = timezone(timedelta(hours=2))
    times = [datetime(2024, 1, day, 1, tzinfo=east) for day in (5, 12, 19)]
    assert make(times=times).times[0] == np.datetime64("2024-01-04T23:00")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"assets": ["A"]}, ShapeError, r"\(3, 2, 2\); times, assets and features say \(3, 1, 2\)"),
        ({"mask": np.zeros((3, 2))}, ShapeError, r"mask has shape \(3, 2\)"),
        ({"targets": np.zeros((3, 3))}, ShapeError, r"targets have shape \(3, 3\)"),
        ({"times": TIMES[[0, 2, 1]]}, ParameterError, "row 2 .2024-01-12"),
        ({"times": ["a", "b", "c"]}, ParameterError, "'a' is not a time"),
        ({"times": np.array(["NaT"] * 3, "datetime64[ns]")}, ParameterError, "NaT"),
        ({"assets": ["A", "A"]}, ParameterError, "assets: 'A' occurs twice"),
        ({"features": "xy"}, ParameterError, "sequence of names"),
    ],
)
def test_bad_input_names_value_and_place(changes, error, message):
    with pytest.raises(error, match=message):
        make(**changes)


@st.composite
def panels(draw):
    shape = draw(st.tuples(st.integers(0, 5), st.integers(1, 3), st.integers(1, 3)))
    values = draw(hnp.arrays(np.float64, shape, elements=st.floats(allow_nan=True, width=64)))
    mask = draw(hnp.arrays(bool, shape))
    targets = draw(st.none() | hnp.arrays(np.float64, shape[:2], elements=st.floats(-1, 1)))
    times = np.datetime64("2024-01-01", "ns") + np.arange(shape[0]) * np.timedelta64(1, "D")
    assets = [f"a{i}" for i in range(shape[1])]
    return Panel(values, times, assets, [f"f{i}" for i in range(shape[2])], mask, targets)


def assert_same(left, right):
    assert (left.assets, left.features) == (right.assets, right.features)
    np.testing.assert_array_equal(left.values.view(np.int64), right.values.view(np.int64))
    np.testing.assert_array_equal(left.mask, right.mask)
    np.testing.assert_array_equal(left.times, right.times)
    assert (left.targets is None) == (right.targets is None)
    if left.targets is not None:
        np.testing.assert_array_equal(left.targets, right.targets)


@settings(max_examples=40, deadline=None)
@given(panel=panels())
def test_save_load_is_bit_exact(tmp_path_factory, panel):
    path = tmp_path_factory.mktemp("panel") / "a.panel"
    panel.save(path)
    assert_same(Panel.load(path), panel)


@settings(max_examples=40, deadline=None)
@given(panel=panels().filter(len))
def test_frame_round_trip_keeps_all_that_is_not_masked(panel):
    frame = panel.to_frame()
    assert frame.height == len(panel) * len(panel.assets)
    back = Panel.from_frame(frame, target=None if panel.targets is None else "target")
    assert back.assets == panel.assets
    np.testing.assert_array_equal(back.mask, panel.mask)
    np.testing.assert_array_equal(back.values, np.where(panel.mask, np.nan, panel.values))
    if panel.targets is not None:
        np.testing.assert_array_equal(back.targets, panel.targets)


def test_loaded_panel_is_memory_mapped_and_readable_by_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    panel = make()
    path = tmp_path / "new" / "p.safetensors"
    panel.save(path)
    assert isinstance(Panel.load(path).values.base, np.memmap)
    stored = safetensors.load_file(path)
    np.testing.assert_array_equal(stored["values"], panel.values)
    np.testing.assert_array_equal(stored["mask"], panel.mask)
    panel[1:].save(path)  # replaces the file; the slice is written, not its base
    assert len(Panel.load(path)) == 2
    assert [p.name for p in path.parent.iterdir()] == ["p.safetensors"]


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "p"
    with pytest.raises(ArtifactError, match="missing file"):
        Panel.load(path)
    make().save(path)
    whole = path.read_bytes()
    for damage in (
        b"",
        whole[:40],
        whole[:-1],
        b"\xff" * 64,
        whole.replace(b"Panel/1", b"Panel/9"),
    ):
        path.write_bytes(damage)
        with pytest.raises(ArtifactError, match=str(path)):
            Panel.load(path)
    with pytest.raises(ArtifactError, match="folder"):
        make().save(tmp_path)


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "p"
    make().save(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "ascontiguousarray", full)
    with pytest.raises(ArtifactError, match="No space left"):
        make()[1:].save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["p"]
    assert len(Panel.load(path)) == 3


def test_from_frame_takes_pandas_and_arrow_in_any_row_order():
    table = pd.DataFrame(
        {
            "when": pd.to_datetime(["2024-01-02", "2024-01-01", "2024-01-01"], utc=True),
            "who": ["B", "B", "A"],
            "x": [3, 2, 1],
        }
    )
    stamps = pl.Series(["2024-01-02", "2024-01-01", "2024-01-01"]).str.to_datetime(time_zone="UTC")
    other = pl.DataFrame({"when": stamps, "who": ["B", "B", "A"], "x": [3, 2, 1]})
    arrow = other.to_arrow()
    assert isinstance(arrow, pa.Table)
    for frame in (table, arrow, other.lazy()):
        panel = Panel.from_frame(frame, time="when", asset="who")
        assert panel.assets == ("B", "A")
        np.testing.assert_array_equal(panel.values[:, :, 0], [[2, 1], [3, np.nan]])
    indexed = table.set_index(["when", "who"])
    assert Panel.from_frame(indexed, time="when", asset="who").shape == (2, 2, 1)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"timestamp": [1]}, "no column 'asset'"),
        ({"timestamp": ["2024-01-05"] * 2, "asset": ["A", "A"], "x": [1, 2]}, "'A' has two rows"),
        ({"timestamp": [TIMES[0]], "asset": ["A"], "x": ["one"]}, "column 'x' is String"),
        ({"timestamp": [TIMES[0]], "asset": [None], "x": [1]}, "'asset' holds nulls"),
    ],
)
def test_from_frame_errors(frame, message):
    with pytest.raises(DataError, match=message):
        Panel.from_frame(pl.DataFrame(frame))


def test_to_torch_hides_masked_values_and_owns_its_memory():
    pytest.importorskip("torch")
    mask = np.zeros((3, 2, 2), bool)
    mask[0, 0, 0] = True
    panel = make(mask=mask)
    tensor = panel.to_torch()
    assert tuple(tensor.shape) == (3, 2, 2)
    assert tensor.isnan().sum() == 1
    tensor[:] = 0
    assert panel.values[2, 1, 1] == 11


def test_to_jax_holds_the_values():
    pytest.importorskip("jax")
    np.testing.assert_allclose(np.asarray(make().to_jax()), make().values)


def weekly(values, times=TIMES, assets=("A", "B")):
    return WeeklyReturns(np.asarray(values, float), np.asarray(times), assets, "simple")


def test_targets_are_the_returns_of_the_row_after():
    returns = [[1.0, 10.0], [2.0, np.nan], [3.0, 30.0]]
    for given_as in (returns, weekly(returns)):
        targets = make().with_targets(given_as).targets
        np.testing.assert_array_equal(targets, [[2.0, np.nan], [3.0, 30.0], [np.nan, np.nan]])
    later = make().with_targets(returns, shift=2).targets
    np.testing.assert_array_equal(later, [[3.0, 30.0], [np.nan] * 2, [np.nan] * 2])
    assert not later.flags.writeable
    assert np.isnan(make().with_targets(returns, shift=5).targets).all()


def test_weekly_returns_are_matched_by_week_and_asset():
    returns = weekly([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    cut = make()[1:].sel(assets=["B"])  # its own row 0 is week 1: the target is week 2's
    np.testing.assert_array_equal(cut.with_targets(returns).targets, [[30.0], [np.nan]])
    before_the_end = make()[:2].with_targets(returns)
    np.testing.assert_array_equal(before_the_end.targets, [[2.0, 20.0], [3.0, 30.0]])


def test_targets_that_do_not_fit_are_named():
    returns = np.zeros((3, 2))
    with pytest.raises(ShapeError, match=r"returns have shape \(2, 2\).*\(3, 2\)"):
        make().with_targets(returns[:2])
    for shift in (0, -1, 1.5, True):
        with pytest.raises(ParameterError, match="whole number from 1"):
            make().with_targets(returns, shift=shift)
    with pytest.raises(DataError, match=r"no week 2024-01-19T20:00:00"):
        make().with_targets(weekly(returns[:2], TIMES[:2]))
    with pytest.raises(DataError, match="no asset 'B'"):
        make().with_targets(weekly(returns, assets=("A", "C")))


def test_values_and_names_that_are_none():
    with pytest.raises(ParameterError, match="values must hold real numbers, got dtype <U1"):
        make(values=np.full((3, 2, 2), "a"))
    with pytest.raises(ShapeError, match="values is not an array"):
        make(values=[[[1.0], [2.0, 3.0]]])
    with pytest.raises(ParameterError, match="assets must be a sequence of names, got 5"):
        make(assets=5)


def test_an_empty_panel_knows_no_time():
    with pytest.raises(UnknownNameError, match="no row is labelled 2024-01-05"):
        make()[:0].sel("2024-01-05T20")


def test_a_file_where_no_folder_can_be_is_one_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=r"cannot write .*file/panel"):
        make().save(tmp_path / "file" / "panel")


def test_numpy_sees_the_values_with_nan_under_the_mask():
    panel = make(mask=np.arange(12).reshape(3, 2, 2) == 5)
    seen = np.asarray(panel)
    assert seen.dtype == np.float64
    np.testing.assert_array_equal(seen.ravel(), [*range(5), np.nan, *range(6, 12)])
    assert np.asarray(panel, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="by a copy"):
        np.array(panel, copy=False)
