"""What a bar has to satisfy before anything is computed from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpanel.data._blocks import blocks
from fastpanel.data._columns import PRICES
from fastpanel.errors import DataError

if TYPE_CHECKING:
    import polars as pl


def check_bars(bars: pl.DataFrame) -> None:
    """Raise on the first kind of defect in ``bars``, sorted by asset then time.

    The message names asset, time, column and how many bars share the defect.
    """
    import polars as pl

    for price in PRICES:
        value = pl.col(price)
        _refuse(bars.filter(value.is_null() | value.is_nan()), price, "is missing")
        _refuse(bars.filter(value.is_infinite()), price, "is not finite")
        _refuse(bars.filter(value <= 0), price, "is not positive")
    _refuse(bars.filter(pl.col("high") < pl.col("low")), "high", "is below the low of {low}")
    for price in ("open", "close"):
        value = pl.col(price)
        outside = bars.filter((value < pl.col("low")) | (value > pl.col("high")))
        _refuse(outside, price, "lies outside the bar's range [{low}, {high}]")
    asset, time = pl.col("asset"), pl.col("timestamp")
    same = (asset == asset.shift()) & (time == time.shift())
    twice = pl.concat([block.filter(same) for block in blocks(bars, shared=1)])
    _refuse(twice, "timestamp", "occurs twice for this asset")


def _refuse(rows: pl.DataFrame, column: str, defect: str) -> None:
    if rows.is_empty():
        return
    bar = rows.row(0, named=True)
    others = f"; {rows.height - 1} more bars have this defect" if rows.height > 1 else ""
    raise DataError(
        f"asset '{bar['asset']}' at {bar['timestamp']}: {column} {bar[column]} "
        f"{defect.format(**bar)}{others}. Repair or drop the bars before cleaning."
    )
