"""Panels to and from long frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from fastpanel.data._panel import Panel


def to_polars(frame: Any) -> pl.DataFrame:
    """Take a polars, pandas or Arrow frame; an index with names becomes columns."""
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    if type(frame).__module__.partition(".")[0] == "pandas":
        return _from_pandas(frame)
    if hasattr(frame, "__arrow_c_stream__"):
        return pl.DataFrame(frame)
    raise DataError(
        f"cannot read a frame of type {type(frame).__name__}; "
        "give a polars, pandas or pyarrow frame"
    )


def _from_pandas(frame: Any) -> pl.DataFrame:
    import polars as pl

    named = any(name is not None for name in frame.index.names)
    flat = frame.reset_index() if named else frame
    columns: dict[str, Any] = {}
    for name, column in flat.items():
        try:
            if getattr(column.dtype, "tz", None) is None:
                columns[str(name)] = pl.from_pandas(column)
            else:  # by way of UTC: pandas warns where Arrow and polars read zones themselves
                stamps = column.dt.tz_convert(None).to_numpy()
                columns[str(name)] = pl.Series(stamps).dt.replace_time_zone("UTC")
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            raise DataError(f"cannot read the pandas column '{name}': {error}") from None
    return pl.DataFrame(columns)


def cubes_of(frame: Any, time: str, asset: str, target: str | None) -> dict[str, Any]:
    """Arguments of ``Panel`` from a long frame."""
    import polars as pl

    table = to_polars(frame)
    for name in (time, asset, *([target] if target else [])):
        if name not in table.columns:
            raise DataError(f"no column '{name}'; the frame has {table.columns}")
    for name in (time, asset):
        if table[name].null_count():
            raise DataError(f"column '{name}' holds nulls")
    names = [name for name in table.columns if name not in (time, asset, target)]
    for name in [*names, *([target] if target else [])]:
        if not (table[name].dtype.is_numeric() or table[name].dtype in (pl.Boolean, pl.Null)):
            raise DataError(f"column '{name}' is {table[name].dtype}, expected numbers")
    if table.select(time, asset).is_duplicated().any():
        twice = table.filter(table.select(time, asset).is_duplicated()).row(0, named=True)
        raise DataError(f"asset '{twice[asset]}' has two rows at {twice[time]}")
    assets = table[asset].cast(pl.String).unique(maintain_order=True)
    times = table[time].unique().sort()
    rows = times.search_sorted(table[time]).to_numpy()
    columns = table[asset].cast(pl.Enum(assets)).to_physical().to_numpy()

    def scatter(wanted: list[str]) -> Any:
        cube = np.full((len(times), len(assets), len(wanted)), np.nan)
        for position, name in enumerate(wanted):
            values = table[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            cube[rows, columns, position] = values
        return cube

    return {
        "values": scatter(names),
        "times": times.cast(pl.Datetime("ns")).to_numpy(),
        "assets": assets.to_list(),
        "features": names,
        "targets": scatter([target])[:, :, 0] if target else None,
    }


def long_frame(panel: Panel, time: str, asset: str) -> pl.DataFrame:
    """Long frame with one row for every (time, asset) pair."""
    import polars as pl

    n_times, n_assets, _ = panel.shape
    columns: dict[str, Any] = {
        time: pl.Series(np.repeat(panel.times, n_assets)).dt.replace_time_zone("UTC"),
        asset: list(panel.assets) * n_times,
    }
    for position, name in enumerate(panel.features):
        values = panel.values[:, :, position].ravel()
        hidden = panel.mask[:, :, position].ravel()
        columns[name] = pl.Series(np.where(hidden, np.nan, values), nan_to_null=True)
    if panel.targets is not None:
        columns["target"] = pl.Series(panel.targets.ravel(), nan_to_null=True)
    return pl.DataFrame(columns, schema_overrides={asset: pl.String})
