"""SIMD levels and thread counts as fixtures that put everything back."""

from __future__ import annotations

import pytest

import fastpanel as fp
from fastpanel import _core


@pytest.fixture(params=[2, 3, 7])
def threads(request):
    fp.set_num_threads(request.param)
    yield request.param
    fp.set_num_threads(None)


@pytest.fixture(params=_core.simd_levels())
def level(request):
    before = _core.simd_level()
    _core.set_simd_level(request.param)
    yield request.param
    _core.set_simd_level(before)
