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

        times = frame.get_column("timestamp").unique().sort()
        rows = times.search_sorted(frame.get_column("timestamp")).to_numpy()
        columns = frame.get_column("asset").cast(pl.Enum(list(assets))).to_physical().to_numpy()
        flat = rows.astype(np.int64) * len(assets) + columns
        wide = {}
        for price in PRICES:
            array = np.full((len(times), len(assets)), np.nan)
            array.reshape(-1)[flat] = frame.get_column(price).to_numpy()
            array.flags.writeable = False
            wide[price] = array
        labels = times.dt.replace_time_zone(None).dt.cast_time_unit("ns").to_numpy()
        return cls(times=labels, assets=assets, **wide)
