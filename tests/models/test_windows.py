from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpanel.errors import ParameterError, ShapeError
from fastpanel.models import build_windows, group_windows, segments
from fastpanel.models._windows import burn_in_rows


def spans(windows):
    return [(w.start, w.stop) for w in windows]


def test_windows_do_not_overlap_and_keep_the_short_last_one():
    assert spans(build_windows(100, 30)) == [(0, 30), (30, 60), (60, 90), (90, 100)]


def test_no_window_length_is_one_window():
    assert spans(build_windows(100, None)) == [(0, 100)]


def test_windows_do_not_cross_a_gap():
    index = np.r_[0:50, 60:100]
    windows = build_windows(90, 30, train_index=index)
    assert spans(windows) == [(0, 30), (30, 50), (50, 80), (80, 90)]
    assert not any({49, 60} <= set(index[w.start : w.stop]) for w in windows)
    assert spans(build_windows(90, None, train_index=index)) == [(0, 50), (50, 90)]


def test_window_not_longer_than_its_burn_in_is_dropped():
    assert spans(build_windows(65, 30, 5)) == [(0, 30), (30, 60)]
    assert spans(build_windows(66, 30, 5)) == [(0, 30), (30, 60), (60, 66)]


def test_overlapping_burn_in_loses_only_the_first_rows():
    windows = build_windows(70, 30, 5, overlap_burn_in=True)
    assert spans(windows) == [(0, 30), (25, 55), (50, 70)]
    np.testing.assert_array_equal(np.flatnonzero(burn_in_rows(70, windows)), [0, 1, 2, 3, 4])


def test_burn_in_rows_are_the_first_of_every_window():
    rows = burn_in_rows(10, build_windows(10, 4, 1))
    np.testing.assert_array_equal(np.flatnonzero(rows), [0, 4, 8])


@pytest.mark.parametrize(("accumulate", "sizes"), [(1, [1, 1, 1, 1]), (2, [2, 2]), (3, [3, 1])])
def test_accumulation_groups_windows(accumulate, sizes):
    groups = group_windows(build_windows(100, 30), 30, accumulate)
    assert [len(group) for group in groups] == sizes


def test_full_sequence_with_gaps_is_one_step():
    windows = build_windows(90, None, train_index=np.r_[0:50, 60:100])
    assert [len(group) for group in group_windows(windows, None, 1)] == [2]


@given(
    kept=st.lists(st.booleans(), min_size=1, max_size=80).filter(any),
    window=st.integers(1, 12),
    burn_in=st.integers(0, 3),
    overlap=st.booleans(),
)
def test_every_row_is_in_at_most_one_loss_and_windows_are_contiguous(
    kept, window, burn_in, overlap
):
    window += burn_in
    index = np.flatnonzero(kept)
    try:
        windows = build_windows(
            len(index), window, burn_in, train_index=index, overlap_burn_in=overlap
        )
    except ParameterError:
        assert all(stop - start <= burn_in for start, stop in segments(len(index), index))
        return
    used = np.zeros(len(index), dtype=int)
    for w in windows:
        assert burn_in < len(w) <= window
        assert (np.diff(index[w.start : w.stop]) == 1).all()
        used[w.start + burn_in : w.stop] += 1
    assert used.max() == 1
    if burn_in == 0:
        assert used.min() == 1


def test_wrong_train_index_is_named():
    with pytest.raises(ShapeError, match=r"\(3,\).*5 training rows"):
        segments(5, [0, 1, 2])
    with pytest.raises(ParameterError, match="holds 4 after 7"):
        segments(3, [1, 7, 4])
    with pytest.raises(ParameterError, match="integer"):
        segments(2, [0.0, 1.0])


def test_burn_in_that_leaves_nothing_is_an_error():
    with pytest.raises(ParameterError, match="tbptt_burn_in_len 10"):
        build_windows(10, None, 10)
