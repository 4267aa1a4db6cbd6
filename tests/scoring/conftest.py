"""Settings of the core that a test may change."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from fastpanel import _core


@pytest.fixture
def at_level() -> Iterator[Callable[[str], None]]:
    """Force a SIMD level for the test."""
    before = _core.simd_level()
    yield _core.set_simd_level
    _core.set_simd_level(before)


@pytest.fixture
def with_threads() -> Iterator[Callable[[int], None]]:
    """Set the number of threads for the test."""
    before = _core.num_threads()
    yield _core.set_num_threads
    _core.set_num_threads(before)
