"""Preprocessors of weekly returns: identity, z-score, principal components, and your own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fastpanel import preprocess
from fastpanel.errors import ParameterError
from fastpanel.registry import Registry
from fastpanel.typing import AnyArray, FloatArray, TimeArray

if TYPE_CHECKING:
    import polars as pl

_RESERVED = inspect.Parameter.VAR_KEYWORD


@dataclass(frozen=True)
class Processed:
    """What a preprocessor hands over.

    Attributes
    ----------
    times : datetime64[ns] [T]
    columns : tuple of str
    values : float64 [T, C]
        The main output.
    missing_mask : bool [T, C]
        True where the input was missing.
    name : str
        Files are ``<name>.csv`` and ``<name><tensor_suffix>.pt``.
    tensor_suffix : str
    arrays : mapping
        Further ``.pt`` files: name to array.
    tables : mapping
        Further ``.csv`` files: name to polars frame.
    record : mapping
        Further entries of ``metadata.json``.
    """

    times: TimeArray
    columns: tuple[str, ...]
    values: FloatArray
    missing_mask: AnyArray
    name: str = "processed"
    tensor_suffix: str = "_tensor"
    arrays: Mapping[str, AnyArray] = field(default_factory=dict)
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)


class Preprocessor(Protocol):
    """Turns the table of weekly returns into another table.

    A class with a method ``process``, or a plain function of the same form.
    The table is a pandas frame with a UTC datetime index, or a polars frame
    with a column ``timestamp`` if the object has ``frame = "polars"``; the
    result is either of them. Arguments are keyword-only, come as text from the
    command line, and are refused where the signature does not name them. An
    argument ``pipeline`` names the output folder.
    """

    def process(self, frame: Any, **arguments: Any) -> Any:
        """Return the processed table."""


def default_registry() -> Registry[Any]:
    """Return the registry of preprocessors; add your own with ``add(name, preprocessor)``.

    Examples
    --------
    >>> sorted(default_registry())
    ['identity', 'pca', 'zscore']
    """
    return _registry


def process_of(preprocessor: Any) -> Callable[..., Any]:
    """Return the function of a preprocessor."""
    function: Callable[..., Any] = getattr(preprocessor, "process", preprocessor)
    return function


def check_arguments(name: str, process: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Refuse an argument that the signature does not name."""
    parameters = list(inspect.signature(process).parameters.values())[1:]
    if any(parameter.kind is _RESERVED for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters]
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ParameterError(
            f"preprocessor '{name}' has no argument '{unknown[0]}'; it takes {known}"
        )


class _Identity:
    frame = "polars"

    def process(self, frame: pl.DataFrame, *, copy: str | bool = False) -> pl.DataFrame:
        texts = {"true": True, "false": False}
        copied: pl.DataFrame = preprocess.identity(frame, copy=texts.get(copy, copy))  # type: ignore[arg-type]
        return copied


class _ZScore:
    frame = "polars"

    def process(
        self,
        frame: pl.DataFrame,
        *,
        start_date: str | None = None,
        end_date: str | None = None,
        missing: str = "zero",
        pipeline: str = "debug",
    ) -> Processed:
        del pipeline
        times, columns, values = arrays_of(frame)
        z = preprocess.zscore(
            values, times, start_date=start_date, end_date=end_date, missing=missing
        )
        return Processed(
            times=_times(z.times),
            columns=columns,
            values=z.values,
            missing_mask=z.missing_mask,
            arrays={"mean_ref": z.mean, "std_ref": z.std},
        )


class _PCA:
    frame = "polars"

    def process(
        self,
        frame: pl.DataFrame,
        *,
        k: str | int | None = None,
        variance: str | float | None = None,
        start_date: str | None = None,
        end_date: str | None = None,
        missing: str = "zero",
        pipeline: str = "debug",
    ) -> Processed:
        import polars as pl

        del pipeline
        times, columns, values = arrays_of(frame)
        result = preprocess.pca(
            values,
            times,
            k=_number("k", k, int, "a whole number"),
            variance=_number("variance", variance, float, "a number"),
            start_date=start_date,
            end_date=end_date,
            missing=missing,
        )
        n_factors = result.factors.shape[1]
        names = tuple(f"factor_{number}" for number in range(1, n_factors + 1))
        loadings = pl.DataFrame({"asset": columns}).hstack(
            pl.DataFrame(result.loadings, schema=list(names))
        )
        share = np.cumsum(result.eigenvalues) / result.eigenvalues.sum()
        eigenvalues = pl.DataFrame(
            {
                "factor": np.arange(1, len(columns) + 1),
                "eigenvalue": result.eigenvalues,
                "cumulative_share": share,
            }
        )
        return Processed(
            times=_times(result.z.times),
            columns=names,
            values=result.factors,
            missing_mask=np.zeros(result.factors.shape, bool),
            name="factors",
            tensor_suffix="",
            arrays={"loadings": result.loadings},
            tables={"loadings": loadings, "eigenvalues": eigenvalues},
            record={
                "k": n_factors if variance is None else None,
                "variance": None if variance is None else float(variance),
                "n_factors": n_factors,
                "assets": list(columns),
                "mean": result.z.mean.tolist(),
                "std": result.z.std.tolist(),
            },
        )


def arrays_of(frame: pl.DataFrame) -> tuple[TimeArray, tuple[str, ...], FloatArray]:
    """Times, columns and values of a polars table with a column ``timestamp``."""
    import polars as pl

    table = frame.drop("timestamp").select(pl.all().cast(pl.Float64).fill_null(float("nan")))
    stamps = frame.get_column("timestamp").dt.replace_time_zone(None).dt.cast_time_unit("ns")
    values = np.ascontiguousarray(table.to_numpy(), dtype=np.float64)
    return stamps.to_numpy(), tuple(table.columns), values


def _times(times: TimeArray | None) -> TimeArray:
    assert times is not None  # times went in, so times come out
    return times


def _number(name: str, text: Any, kind: type, meaning: str) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return kind(text)
    except ValueError:
        raise ParameterError(f"{name} must be {meaning}, got {text!r}") from None


_registry: Registry[Any] = Registry("preprocessor")
_registry.add("identity", _Identity())
_registry.add("zscore", _ZScore())
_registry.add("pca", _PCA())
