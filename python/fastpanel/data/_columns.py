"""Columns of a bar table: found by name, brought to one type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastpanel.errors import DataError

if TYPE_CHECKING:
    import polars as pl

PRICES = ("open", "high", "low", "close")
_ALIASES = {
    "timestamp": ("timestamp", "datetime", "date", "time"),
    "asset": ("asset", "symbol", "ticker"),
    **{name: (name,) for name in (*PRICES, "volume")},
}
_OPTIONAL = ("asset", "volume")
_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_ZONE = r"(?:Z|([+-])(\d{2}):?(\d{2}))$"


def normalise(table: pl.DataFrame, where: str, file_asset: str | None) -> tuple[pl.DataFrame, bool]:
    """Canonical columns of ``table``, and whether its times say their zone.

    ``where`` names the table in errors; ``file_asset`` is the asset of a table
    without asset column.
    """
    import polars as pl

    names = _find_columns(table.columns, where)
    if "asset" not in names and file_asset is None:
        raise DataError(f"{where}: no column 'asset' (or 'symbol'); found {table.columns}")
    times, has_zone = _utc(table.get_column(names["timestamp"]), where)
    if "asset" in names:
        assets = table.get_column(names["asset"]).cast(pl.String)
    else:
        assets = pl.Series([file_asset], dtype=pl.String).new_from_index(0, table.height)
    if assets.null_count():
        row = assets.is_null().arg_max()
        raise DataError(f"{where}: row {row} has no asset (column '{names['asset']}')")
    keys = pl.DataFrame({"timestamp": times, "asset": assets})
    numbers = [
        _numbers(table.get_column(names[name]), name, keys, where)
        for name in (*PRICES, "volume")
        if name in names
    ]
    return keys.with_columns(numbers), has_zone


def _find_columns(columns: list[str], where: str) -> dict[str, str]:
    by_name: dict[str, str] = {}
    for column in columns:
        key = column.strip().lower()
        if key in by_name:
            raise DataError(f"{where}: columns '{by_name[key]}' and '{column}' have one name")
        by_name[key] = column
    found = {}
    for name, aliases in _ALIASES.items():
        match = [by_name[alias] for alias in aliases if alias in by_name]
        if match:
            found[name] = match[0]
        elif name not in _OPTIONAL:
            raise DataError(f"{where}: no column '{name}'; found {columns}")
    return found


def _numbers(column: pl.Series, name: str, keys: pl.DataFrame, where: str) -> pl.Series:
    import polars as pl

    numbers = column.cast(pl.Float64, strict=False).alias(name)
    broken = numbers.is_null() & column.is_not_null()
    if broken.any():
        row = int(broken.arg_max() or 0)
        time, asset = keys.row(row)
        raise DataError(
            f"{where}: asset '{asset}' at {time}: column '{name}' holds {column[row]!r}, no number"
        )
    return numbers


def _utc(column: pl.Series, where: str) -> tuple[pl.Series, bool]:
    """Return ``datetime[ns, UTC]``, and whether no time of day lacks a zone."""
    import polars as pl

    dtype: Any = column.dtype
    if column.null_count():
        row = column.is_null().arg_max()
        raise DataError(f"{where}: row {row} has no timestamp (column '{column.name}')")
    if dtype == pl.String:
        return _parse(column, where)
    if dtype == pl.Date:
        return column.cast(pl.Datetime("ns")).dt.replace_time_zone("UTC"), True
    if dtype != pl.Datetime:
        raise DataError(
            f"{where}: column '{column.name}' is {dtype}; give datetimes, dates or ISO text"
        )
    times = column.dt.cast_time_unit("ns")
    if dtype.time_zone is None:
        return times.dt.replace_time_zone("UTC"), False
    return times.dt.convert_time_zone("UTC"), True


def _parse(column: pl.Series, where: str) -> tuple[pl.Series, bool]:
    import polars as pl

    text = pl.col("text")
    zone = text.str.extract_groups(_ZONE)
    sign = pl.when(zone.struct[0] == "-").then(-1).otherwise(1)
    minutes = zone.struct[1].cast(pl.Int64) * 60 + zone.struct[2].cast(pl.Int64)
    local = text.str.replace(_ZONE, "").str.strip_chars().str.replace("T", " ", literal=True)
    formats = [local.str.to_datetime(f, time_unit="ns", strict=False) for f in _FORMATS]
    offset = pl.duration(minutes=(sign * minutes).fill_null(0))
    parsed = column.str.strip_chars().alias("text").to_frame()
    parsed = parsed.select(
        time=(pl.coalesce(formats) - offset).dt.cast_time_unit("ns").dt.replace_time_zone("UTC"),
        zoneless=text.str.contains(":", literal=True) & ~text.str.contains(_ZONE),
    )
    broken = parsed.get_column("time").is_null()
    if broken.any():
        row = int(broken.arg_max() or 0)
        raise DataError(
            f"{where}: row {row}: column '{column.name}' holds {column[row]!r}, no ISO time"
        )
    return parsed.get_column("time"), not parsed.get_column("zoneless").any()
