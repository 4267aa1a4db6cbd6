from __future__ import annotations

import pytest

from fastpanel.errors import ParameterError
from fastpanel.splits import build_equal_groups, make_cpcv_splits


def test_groups_end_on_the_newest_row():
    assert build_equal_groups(260, 52, 52) == [(52, 104), (104, 156), (156, 208), (208, 260)]
    assert build_equal_groups(300, 52, 52) == [(92, 144), (144, 196), (196, 248), (248, 300)]
    assert build_equal_groups(5, 0, 5) == [(0, 5)]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((10, 0, 0), "group_len"),
        ((10, 0, -2), "group_len"),
        ((10, -1, 2), "warmup_len"),
        ((0, 0, 2), "n_samples"),
        ((10, 0, 2.0), "group_len"),
        ((10, 0, True), "group_len"),
        ((10, 9, 2), "no group"),
        ((10, 20, 2), "no group"),
    ],
)
def test_lengths_out_of_their_domain(arguments, named):
    with pytest.raises(ParameterError, match=named):
        build_equal_groups(*arguments)


@pytest.mark.parametrize(
    ("groups", "warmup", "named"),
    [
        ([(0, 4), (3, 8)], 0, "must not overlap"),
        ([(4, 8), (0, 4)], 0, "ordered"),
        ([(0, 4), (4, 4)], 0, "empty"),
        ([(-2, 4), (4, 6)], 0, "negative"),
        ([(2, 4), (4, 6)], 3, "the warm-up"),
        ([(0, 4, 8)], 0, "groups must be"),
        ([], 0, "groups must be"),
    ],
)
def test_bad_groups_are_refused(groups, warmup, named):
    with pytest.raises(ParameterError, match=named):
        make_cpcv_splits(groups, q=1, horizon=0, embargo_len=0, warmup_len=warmup)
