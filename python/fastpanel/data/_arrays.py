"""Wide price arrays: one ``[T, A]`` array per price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastpanel.data._columns import PRICES
from fastpanel.typing import FloatArray, TimeArray

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, eq=False)
class PriceArrays:
    """Open, high, low and close ``[T, A]`` over shared times; NaN = no bar."""

    times: TimeArray
    assets: tuple[str, ...]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, assets: tuple[str, ...]) -> PriceArrays:
        """Pivot a long frame ``timestamp, asset, open, high, low, close`` once."""
        import polars as pl

        stamps = frame.get_column("timestamp").dt.replace_time_zone(None).dt.cast_time_unit("ns")
        times = stamps.unique().sort().to_numpy()
        rows = np.searchsorted(times, stamps.to_numpy())
        columns = frame.get_column("asset").cast(pl.Enum(list(assets))).to_physical().to_numpy()
        flat = rows * len(assets) + columns
        wide = {}
        for price in PRICES:
            array = np.full((len(times), len(assets)), np.nan)
            array.reshape(-1)[flat] = frame.get_column(price).to_numpy()
            array.flags.writeable = False
            wide[price] = array
        return cls(times=times, assets=assets, **wide)
