"""The kernels as polars expressions: ``import fastpanel.polars`` registers the namespace ``fp``.

As in::

    import polars as pl
    import fastpanel.polars

    bars.with_columns(mad=pl.col("close").fp.rolling_mad(26).over("asset"))
    features.with_columns(pl.col("value").fp.cross_rank().over("timestamp"))
    features.fp.to_panel()

It is not registered by ``import fastpanel``, which loads no polars.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from fastpanel import cross_section, rolling
from fastpanel.data import Panel
from fastpanel.typing import FloatArray

__all__ = ["FpExpr", "FpFrame", "FpLazyFrame"]


@pl.api.register_expr_namespace("fp")
class FpExpr:
    """Kernels on a numeric column, in its row order; null and NaN are missing.

    ``.over("asset")`` computes each asset by itself, in ``select``,
    ``with_columns`` and lazy queries alike; rows of an asset have to stand in
    the order of time. The result is ``Float64``, null where there is no value.
    Arguments and results are those of ``fp.rolling`` and ``fp.cross_section``.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"asset": list("AAABB"), "close": [1.0, 2.0, 4.0, 8.0, 9.0]})
    >>> frame.select(pl.col("close").fp.rolling_mean(2).over("asset"))["close"].to_list()
    [None, 1.5, 3.0, None, 8.5]
    """

    def __init__(self, expr: pl.Expr) -> None:
        self._expr = expr

    def _apply(self, kernel: Callable[[FloatArray], Any]) -> pl.Expr:
        def compute(column: pl.Series) -> pl.Series:
            values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
            out = np.asarray(kernel(values), np.float64)
            return pl.Series(column.name, out, nan_to_null=True)

        return self._expr.map_batches(compute, return_dtype=pl.Float64)

    def rolling_mean(self, window: int, *, min_periods: int | None = None) -> pl.Expr:
        """``fp.rolling.mean``."""
        return self._apply(lambda x: rolling.mean(x, window, min_periods=min_periods))

    def rolling_sum(self, window: int, *, min_periods: int | None = None) -> pl.Expr:
        """``fp.rolling.sum``."""
        return self._apply(lambda x: rolling.sum(x, window, min_periods=min_periods))

    def rolling_std(self, window: int, *, min_periods: int | None = None, ddof: int = 1) -> pl.Expr:
        """``fp.rolling.std``."""
        return self._apply(lambda x: rolling.std(x, window, min_periods=min_periods, ddof=ddof))

    def rolling_var(self, window: int, *, min_periods: int | None = None, ddof: int = 1) -> pl.Expr:
        """``fp.rolling.var``."""
        return self._apply(lambda x: rolling.var(x, window, min_periods=min_periods, ddof=ddof))

    def rolling_min(self, window: int, *, min_periods: int | None = None) -> pl.Expr:
        """``fp.rolling.min``."""
        return self._apply(lambda x: rolling.min(x, window, min_periods=min_periods))

    def rolling_max(self, window: int, *, min_periods: int | None = None) -> pl.Expr:
        """``fp.rolling.max``."""
        return self._apply(lambda x: rolling.max(x, window, min_periods=min_periods))

    def rolling_median(self, window: int, *, min_periods: int | None = None) -> pl.Expr:
        """``fp.rolling.median``."""
        return self._apply(lambda x: rolling.median(x, window, min_periods=min_periods))

    def rolling_mad(self, window: int, *, min_periods: int | None = None) -> pl.Expr:
        """``fp.rolling.mad``: median absolute deviation from the window's median, unscaled."""
        return self._apply(lambda x: rolling.mad(x, window, min_periods=min_periods))

    def rolling_skew(self, window: int, *, min_periods: int | None = None) -> pl.Expr:
        """``fp.rolling.skew``."""
        return self._apply(lambda x: rolling.skew(x, window, min_periods=min_periods))

    def rolling_kurt(self, window: int, *, min_periods: int | None = None) -> pl.Expr:
        """``fp.rolling.kurt``."""
        return self._apply(lambda x: rolling.kurt(x, window, min_periods=min_periods))

    def rolling_rank(self, window: int, *, min_periods: int | None = None) -> pl.Expr:
        """``fp.rolling.rank``: average rank of the last value, as a share."""
        return self._apply(lambda x: rolling.rank(x, window, min_periods=min_periods))

    def rolling_quantile(self, window: int, q: float, *, min_periods: int | None = None) -> pl.Expr:
        """``fp.rolling.quantile``, linear interpolation."""
        return self._apply(lambda x: rolling.quantile(x, window, q, min_periods=min_periods))

    def ewm_mean(self, **options: Any) -> pl.Expr:
        """``fp.rolling.ewm_mean``; give ``span``, ``halflife`` or ``alpha``."""
        return self._apply(lambda x: rolling.ewm_mean(x, **options))

    def ewm_std(self, **options: Any) -> pl.Expr:
        """``fp.rolling.ewm_std``; give ``span``, ``halflife`` or ``alpha``."""
        return self._apply(lambda x: rolling.ewm_std(x, **options))

    def cross_rank(self) -> pl.Expr:
        """``fp.cross_section.rank`` of all rows; ``.over("timestamp")`` ranks the assets."""
        return self._apply(cross_section.rank)

    def cross_zscore(self) -> pl.Expr:
        """``fp.cross_section.zscore`` of all rows."""
        return self._apply(cross_section.zscore)

    def cross_demean(self) -> pl.Expr:
        """``fp.cross_section.demean`` of all rows."""
        return self._apply(cross_section.demean)


@pl.api.register_dataframe_namespace("fp")
class FpFrame:
    """Long frames to panels."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def to_panel(
        self, time: str = "timestamp", asset: str = "asset", *, target: str | None = None
    ) -> Panel:
        """``fp.Panel.from_frame``: one row per time and asset, one column per feature.

        Examples
        --------
        >>> import polars as pl
        >>> pl.DataFrame({"timestamp": ["2024-01-05", "2024-01-12"], "asset": ["A", "A"],
        ...               "x": [1.0, None]}).with_columns(pl.col("timestamp").str.to_datetime()
        ...              ).fp.to_panel()
        Panel(T=2, A=1, F=1, 2024-01-05 .. 2024-01-12, missing=50.0%)
        """
        return Panel.from_frame(self._frame, time, asset, target=target)


@pl.api.register_lazyframe_namespace("fp")
class FpLazyFrame:
    """Lazy long frames to panels."""

    def __init__(self, frame: pl.LazyFrame) -> None:
        self._frame = frame

    def to_panel(
        self, time: str = "timestamp", asset: str = "asset", *, target: str | None = None
    ) -> Panel:
        """Collect the query, then as the frame's ``to_panel``."""
        return Panel.from_frame(self._frame, time, asset, target=target)
