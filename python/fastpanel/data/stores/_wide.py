"""CSV tables with a time index: ``timestamp``, then one column per name; empty = missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastpanel._files import atomic_path
from fastpanel.errors import ArtifactError
from fastpanel.typing import FloatArray, TimeArray

if TYPE_CHECKING:
    import polars as pl

TIME = "%Y-%m-%d %H:%M:%S%.f+00:00"
_PARSE = "%Y-%m-%d %H:%M:%S%.f%:z"


def write_wide(path: Path, times: TimeArray, columns: Sequence[str], values: FloatArray) -> None:
    """Write ``values [T, C]`` with their UTC ``times [T]``, so that every bit comes back."""
    import polars as pl

    table = pl.DataFrame(
        {name: pl.Series(values[:, c], nan_to_null=True) for c, name in enumerate(columns)}
    )
    table = table.insert_column(0, time_text(times))
    with atomic_path(path) as temporary:
        table.write_csv(temporary)


def read_wide(path: Path) -> tuple[TimeArray, tuple[str, ...], FloatArray]:
    """Times ``[T]``, columns and values ``[T, C]`` of a table of :func:`write_wide`.

    Raises
    ------
    ArtifactError
        If the file is missing or holds something else.
    """
    table = read_text_table(path)
    if not table.width or table.columns[0] != "timestamp":
        raise ArtifactError(
            f"{path}: the first column must be 'timestamp', not {table.columns[:1]}"
        )
    times = parse_times(table.get_column("timestamp"), path)
    return times, tuple(table.columns[1:]), parse_numbers(table.select(table.columns[1:]), path)


def read_text_table(path: Path, *, has_header: bool = True) -> pl.DataFrame:
    """CSV as text columns."""
    import polars as pl

    try:
        return pl.read_csv(path, infer_schema=False, has_header=has_header)
    except FileNotFoundError:
        raise ArtifactError(f"missing file: {path}") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ArtifactError(f"damaged table {path}: {error}") from None


def time_text(times: TimeArray) -> pl.Series:
    """UTC times as text."""
    import polars as pl

    return pl.Series("timestamp", times).dt.strftime(TIME)


def parse_times(text: pl.Series, path: Path) -> TimeArray:
    """Times of a text column, which have to say that they are UTC."""
    import polars as pl

    try:
        times = text.str.to_datetime(_PARSE, time_unit="ns", time_zone="UTC")
    except pl.exceptions.PolarsError as error:
        raise ArtifactError(f"{path}: column 'timestamp' is damaged: {error}") from None
    if times.null_count():
        raise ArtifactError(f"{path}: row {times.is_null().arg_max()} has no timestamp")
    array: TimeArray = times.dt.replace_time_zone(None).to_numpy()
    return array


def parse_numbers(table: pl.DataFrame, path: Path) -> FloatArray:
    """Text columns as ``float64 [T, C]``; empty becomes NaN."""
    import polars as pl

    try:
        numbers = table.select(pl.all().cast(pl.Float64).fill_null(float("nan")))
    except pl.exceptions.PolarsError as error:
        raise ArtifactError(f"{path} holds something that is no number: {error}") from None
    values: FloatArray = np.ascontiguousarray(numbers.to_numpy(), dtype=np.float64)
    return values.reshape(table.height, table.width)
