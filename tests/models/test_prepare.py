"""What of the training rows is fitted: windows without a target are left out."""

from __future__ import annotations

import numpy as np
import pytest

from fastpanel.errors import DataError
from fastpanel.models._config import parse_config
from fastpanel.models._prepare import prepare


def fitted(y, **svi):
    given = {"model": {"model_name": "factor_model_v1"}, "training": {"svi": svi}}
    return prepare(np.zeros((*y.shape, 2)), y, given, parse_config(given))


def test_a_window_without_a_target_is_left_out():
    y = np.random.default_rng(0).standard_normal((60, 3))
    y[18:42] = np.nan
    found = fitted(y, tbptt_window_len=10)
    assert [(w.start, w.stop) for w in found.windows] == [(0, 10), (10, 20), (40, 50), (50, 60)]


def test_targets_in_burn_in_rows_alone_are_an_error():
    y = np.full((60, 3), np.nan)
    y[[0, 12, 41]] = 1.0, 2.0, 3.0
    y[[1, 13, 43], 1] = 2.0, 3.0, 5.0
    with pytest.raises(DataError, match="every observed target lies in a burn-in row"):
        fitted(y, tbptt_window_len=20, tbptt_burn_in_len=15)
