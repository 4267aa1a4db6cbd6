"""Long tables a part at a time, so that what is computed on the way stays small.

The parts are slices: nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

_ROWS = 1 << 17


def blocks(bars: pl.DataFrame, shared: int = 0) -> Iterator[pl.DataFrame]:
    """Rows from top to bottom; a block begins with the last ``shared`` rows of the one before."""
    for begin in range(0, max(bars.height, 1), _ROWS):
        first = max(begin - shared, 0)
        yield bars.slice(first, begin + _ROWS - first)


def asset_blocks(bars: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Blocks of a table sorted by asset, between which no asset is divided."""
    ends = _asset_ends(bars)[1]
    begin = 0
    while begin < bars.height:
        end = int(ends[min(int(np.searchsorted(ends, begin + _ROWS)), len(ends) - 1)])
        yield bars.slice(begin, end - begin)
        begin = end


def by_asset(bars: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Rows of each asset of a table sorted by asset."""
    assets, ends = _asset_ends(bars)
    begins = [0, *ends[:-1]]
    return {
        asset: bars.slice(begin, end - begin)
        for asset, begin, end in zip(assets, begins, ends, strict=True)
    }


def _asset_ends(bars: pl.DataFrame) -> tuple[list[str], list[int]]:
    runs = bars.get_column("asset").rle().struct
    return runs.field("value").to_list(), runs.field("len").cum_sum().to_list()


def in_order(bars: pl.DataFrame, key: str) -> bool:
    """Whether rows are sorted by asset, then ``key``."""
    import polars as pl

    asset, value = pl.col("asset"), pl.col(key)
    later = (asset > asset.shift()) | ((asset == asset.shift()) & (value >= value.shift()))
    return all(block.select(later.all()).item() for block in blocks(bars, shared=1))
