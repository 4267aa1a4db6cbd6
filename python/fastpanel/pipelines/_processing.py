"""Weekly returns to processed tables and tensors on disk."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel._environment import Environment
from fastpanel._extras import require
from fastpanel._files import atomic_path, sha256, write_json
from fastpanel._tensors import save_tensors
from fastpanel.data import WeeklyReturns
from fastpanel.data.stores import latest_week, read_returns, staged, write_wide
from fastpanel.errors import DataError, ParameterError
from fastpanel.pipelines._preprocessors import (
    Processed,
    arrays_of,
    check_arguments,
    default_registry,
    process_of,
)
from fastpanel.progress import Reporter, reporter

if TYPE_CHECKING:
    import polars as pl

DEFAULT_PIPELINE = "debug"
_PIPELINE = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class ProcessedFolder:
    """Result of :func:`process_data`: the folder written, and what is in it."""

    folder: Path
    result: Processed


def process_data(
    preprocessor: str = "identity",
    arguments: Mapping[str, Any] | None = None,
    *,
    environment: Environment | None = None,
    progress: bool | Reporter = True,
) -> ProcessedFolder:
    """Preprocess the newest weekly returns.

    Parameters
    ----------
    preprocessor : str
        ``identity``, ``zscore``, ``pca``, or a name that you have added to
        :func:`default_registry`.
    arguments : mapping, optional
        Its keyword arguments; text is understood.
    environment : Environment, optional
        Reads ``DATA_LAKE_SOURCE`` and ``FEATURE_STORE_SOURCE``.
    progress : bool or Reporter

    Returns
    -------
    ProcessedFolder
        ``FEATURE_STORE_SOURCE/<preprocessor>/<pipeline>/<YYYY-WW>/`` with a
        main CSV, tensors and ``metadata.json``.

    Raises
    ------
    UnknownNameError
        An unknown preprocessor.
    ParameterError
        An argument that it does not take, or a value outside its domain.
    DataError
        A result that is no table with UTC times.

    Notes
    -----
    Statistics of ``zscore`` and ``pca`` see the whole date range, its end
    included: these tables describe a period. Forecasts are scaled by the
    simulation, on training rows only.
    """
    environment = environment or Environment()
    lake = environment.folder("DATA_LAKE_SOURCE")
    store = environment.folder("FEATURE_STORE_SOURCE")
    chosen = default_registry()[preprocessor]
    process = process_of(chosen)
    given = dict(arguments or {})
    check_arguments(preprocessor, process, given)
    pipeline = pipeline_name(given.get("pipeline", DEFAULT_PIPELINE))
    week = latest_week(lake, "data_cleaning")
    say = reporter(progress)
    say.say(f"Preprocessing {week / 'returns.csv'} with {preprocessor}")
    frame = _input(read_returns(week), getattr(chosen, "frame", "pandas"))
    result = _checked(process(frame, **given), preprocessor)
    folder = store / preprocessor / pipeline / week.name
    record = {
        "preprocessor": preprocessor,
        "pipeline": pipeline,
        "arguments": {**_defaults(process), **given},
        "columns": list(result.columns),
        "rows": len(result.times),
        "source": {"folder": str(week), "sha256": {"returns.csv": sha256(week / "returns.csv")}},
        **result.record,
    }
    _write(folder, result, record)
    return ProcessedFolder(folder, result)


def pipeline_name(name: Any) -> str:
    """Check the name of a pipeline, which names a folder."""
    if not isinstance(name, str) or not _PIPELINE.fullmatch(name) or set(name) == {"."}:
        raise ParameterError(
            f"pipeline must be of the characters A-Za-z0-9._- (it names a folder), got {name!r}"
        )
    return name


def _defaults(process: Any) -> dict[str, Any]:
    parameters = list(inspect.signature(process).parameters.values())[1:]
    plain = (str, int, float, bool, type(None))
    return {p.name: p.default for p in parameters if isinstance(p.default, plain)}


def _input(returns: WeeklyReturns, kind: str) -> Any:
    import polars as pl

    columns = {
        name: pl.Series(returns.values[:, c], nan_to_null=True)
        for c, name in enumerate(returns.assets)
    }
    stamps = pl.Series("timestamp", returns.times).dt.replace_time_zone("UTC")
    if kind == "polars":
        return pl.DataFrame(columns).insert_column(0, stamps)
    pandas = require("pandas", "a preprocessor of pandas frames")
    index = pandas.DatetimeIndex(returns.times, tz="UTC", name="timestamp")
    return pandas.DataFrame(returns.values.copy(), index=index, columns=list(returns.assets))


def _checked(result: Any, preprocessor: str) -> Processed:
    if isinstance(result, Processed):
        return result
    table = _to_polars(result, f"preprocessor '{preprocessor}'")
    times, columns, values = arrays_of(table)
    if (times[1:] <= times[:-1]).any():
        raise DataError(f"preprocessor '{preprocessor}' returned times that do not increase")
    return Processed(times, columns, values, np.isnan(values))


def _to_polars(frame: Any, who: str) -> pl.DataFrame:
    import polars as pl

    if isinstance(frame, pl.DataFrame):
        dtype = frame.schema.get("timestamp")
        if not isinstance(dtype, pl.Datetime) or dtype.time_zone != "UTC":
            raise DataError(
                f"{who} must return a frame with a column 'timestamp' of UTC datetimes, got {dtype}"
            )
    elif type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns"):
        zone = getattr(frame.index, "tz", None)
        if zone is None or zone.utcoffset(None) != timedelta(0):
            raise DataError(
                f"{who} must return a frame with a UTC datetime index, got "
                f"{type(frame.index).__name__} with zone {zone}"
            )
        stamps = np.asarray(frame.index.tz_convert("UTC").tz_localize(None), "datetime64[ns]")
        columns = {str(name): pl.from_pandas(column) for name, column in frame.items()}
        times = pl.Series("timestamp", stamps).dt.replace_time_zone("UTC")
        frame = pl.DataFrame(columns).insert_column(0, times)
    else:
        raise DataError(f"{who} must return a pandas or polars frame, got {type(frame).__name__}")
    texts = [name for name, kind in frame.schema.items() if not _is_number(name, kind)]
    if texts:
        raise DataError(f"{who} returned a column '{texts[0]}' that holds no numbers")
    table: pl.DataFrame = frame
    return table


def _is_number(name: str, kind: Any) -> bool:
    import polars as pl

    return name == "timestamp" or kind.is_numeric() or kind in (pl.Boolean, pl.Null)


def _write(folder: Path, result: Processed, record: dict[str, Any]) -> None:
    with staged(folder) as stage:
        write_wide(stage / f"{result.name}.csv", result.times, result.columns, result.values)
        content = {
            "values": result.values,
            "timestamps": result.times.astype("datetime64[ns]").astype(np.int64),
            "missing_mask": result.missing_mask,
            "columns": list(result.columns),
        }
        save_tensors(stage / f"{result.name}{result.tensor_suffix}.pt", content)
        for name, array in result.arrays.items():
            save_tensors(stage / f"{name}.pt", array)
        for name, table in result.tables.items():
            with atomic_path(stage / f"{name}.csv") as temporary:
                table.write_csv(temporary)
        write_json(stage / "metadata.json", record)
