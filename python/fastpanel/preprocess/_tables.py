"""Preprocessors of return tables ``[T, C]``: identity, z-score, principal components."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastpanel._runtime import canonical
from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.typing import AnyArray, ArrayLike, BoolArray, FloatArray, TimeArray


@dataclass(frozen=True)
class ZScoreResult:
    """Normalised table: ``values * std + mean`` gives the input where it was observed.

    ``values [T, C]``, ``missing_mask [T, C]`` (True where the input was NaN),
    ``mean [C]``, ``std [C]`` (1 for a constant column), ``times [T]`` or None.
    """

    values: FloatArray
    missing_mask: BoolArray
    mean: FloatArray
    std: FloatArray
    times: TimeArray | None


@dataclass(frozen=True)
class PCAResult:
    """Principal components of a normalised table.

    ``factors [T, k] = z.values @ loadings``, ``loadings [C, k]`` of unit norm,
    ``eigenvalues [C]`` descending (the variances of all factors), ``z`` the
    normalised table.
    """

    factors: FloatArray
    loadings: FloatArray
    eigenvalues: FloatArray
    z: ZScoreResult


def identity(x: Any, *, copy: bool = False) -> Any:
    """Return the table itself, or a copy of it.

    Parameters
    ----------
    x : any table or array
    copy : bool
        Return a copy.

    Returns
    -------
    object
        ``x`` or its copy, of the same type.

    Raises
    ------
    ParameterError
        ``copy`` is not a bool.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.ones(3)
    >>> identity(x) is x, identity(x, copy=True) is x
    (True, False)
    """
    if not isinstance(copy, bool):
        raise ParameterError(f"copy must be true or false, got {copy!r}")
    if not copy:
        return x
    return x.clone() if hasattr(x, "clone") else x.copy()


def zscore(
    x: ArrayLike,
    times: ArrayLike | None = None,
    *,
    start_date: str | None = None,
    end_date: str | None = None,
    missing: str = "zero",
) -> ZScoreResult:
    """Normalise every column over a date range (ddof 1); rows outside of it are left out.

    The statistics see the whole range: this describes a table, it is not a
    preprocessor of forecasts (:class:`PanelPreprocessor` is).

    Parameters
    ----------
    x : array-like [T, C]
        NaN = missing; statistics ignore it.
    times : datetime64 [T], optional
        Needed with dates.
    start_date, end_date : str, "YYYY-MM-DD", optional
        First and last day, both included, UTC; default the full range.
    missing : {"zero", "drop"}, default "zero"
        Missing entries become 0 (the mean) after scaling, or rows with one are
        dropped before.

    Returns
    -------
    ZScoreResult
        Normalised ``values`` ``[n, C]`` of the range, the mask of what was
        missing, and mean and standard deviation of each column, ``[C]``.

    Raises
    ------
    ParameterError, ShapeError, DataError
        A malformed date (names the argument), an empty range, an infinite value.

    Examples
    --------
    >>> zscore([[1.0], [2.0], [3.0]]).values.ravel()
    array([-1.,  0.,  1.])
    """
    values = canonical(x, "x", ndim=2)
    if missing not in ("zero", "drop"):
        raise ParameterError(f'missing must be "zero" or "drop", got {missing!r}')
    rows = _in_range(len(values), times, start_date, end_date)
    if missing == "drop":
        rows &= ~np.isnan(values).any(axis=1)
    if not rows.any():
        raise DataError("no row is left: the date range is empty or every row has a missing value")
    values = values[rows]
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise DataError(f"x is infinite in row {np.flatnonzero(rows)[row]}, column {column}")
    observed = ~np.isnan(values)
    count = observed.sum(axis=0)
    mean = np.where(observed, values, 0.0).sum(axis=0) / np.maximum(count, 1)
    centred = np.where(observed, values - mean, 0.0)
    std = np.sqrt((centred**2).sum(axis=0) / np.maximum(count - 1, 1))
    # A constant column leaves rounding noise of its mean behind, which is not a scale.
    constant = std <= 4 * np.finfo(np.float64).eps * np.abs(mean)
    centred[:, constant] = 0.0
    std[constant] = 1.0
    kept_times = None if times is None else np.asarray(times, dtype="datetime64[ns]")[rows]
    return ZScoreResult(centred / std, ~observed, mean, std, kept_times)


def pca(
    x: ArrayLike,
    times: ArrayLike | None = None,
    *,
    k: int | None = None,
    variance: float | None = None,
    start_date: str | None = None,
    end_date: str | None = None,
    missing: str = "zero",
) -> PCAResult:
    """Normalise with :func:`zscore`, then take principal components.

    Parameters
    ----------
    x, times, start_date, end_date, missing
        As in :func:`zscore`.
    k : int, optional
        Number of factors, 1 .. C.
    variance : float, optional
        In (0, 1]: as few factors as reach this share. Give this or ``k``.

    Returns
    -------
    PCAResult
        ``factors`` ``[n, k]``, ``loadings`` ``[C, k]``, all C eigenvalues in
        descending order, and the normalised table.

    Raises
    ------
    ParameterError, ShapeError, DataError
        As :func:`zscore`; both or none of ``k`` and ``variance``, or one outside
        its domain.

    Notes
    -----
    Eigenvectors of the covariance (ddof 1) of the normalised table; the
    largest absolute loading of each factor is positive.

    Examples
    --------
    >>> result = pca([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]], k=1)
    >>> result.eigenvalues.round(6) + 0.0
    array([2., 0.])
    """
    if (k is None) == (variance is None):
        raise ParameterError(f"give exactly one of k and variance, got k={k}, variance={variance}")
    if variance is not None and not 0 < variance <= 1:
        raise ParameterError(f"variance must lie in (0, 1], got {variance}")
    z = zscore(x, times, start_date=start_date, end_date=end_date, missing=missing)
    rows, columns = z.values.shape
    if k is not None and (isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= columns):
        raise ParameterError(f"k must be a whole number in 1..{columns} (columns of x), got {k}")
    if rows < 2:
        raise DataError(f"principal components need at least 2 rows, got {rows}")
    eigenvalues, vectors = np.linalg.eigh(z.values.T @ z.values / (rows - 1))
    eigenvalues, vectors = np.maximum(eigenvalues[::-1], 0.0), vectors[:, ::-1]
    if k is None:
        share = np.cumsum(eigenvalues) / eigenvalues.sum()
        reached = share >= (variance or 1.0) - 1e-12
        k = int(np.argmax(reached)) + 1
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.where(vectors[largest, range(columns)] < 0, -1.0, 1.0)
    loadings = np.ascontiguousarray(vectors[:, :k])
    return PCAResult(z.values @ loadings, loadings, eigenvalues, z)


def _in_range(count: int, times: ArrayLike | None, start: str | None, end: str | None) -> BoolArray:
    first, last = _day("start_date", start), _day("end_date", end)
    if first is not None and last is not None and last < first:
        raise ParameterError(f"end_date {end} lies before start_date {start}")
    rows = np.ones(count, dtype=bool)
    if times is None:
        if first is not None or last is not None:
            raise ParameterError("start_date and end_date need times")
        return rows
    stamps: AnyArray = np.asarray(times, dtype="datetime64[ns]")
    if stamps.shape != (count,):
        raise ShapeError(f"times has shape {stamps.shape}, x has {count} rows")
    days = stamps.astype("datetime64[D]")
    if first is not None:
        rows &= days >= first
    if last is not None:
        rows &= days <= last
    return rows


def _day(name: str, value: str | None) -> np.datetime64[datetime.date] | None:
    if value is None:
        return None
    try:
        day = datetime.date.fromisoformat(value)
    except (TypeError, ValueError):
        day = None
    if day is None or day.isoformat() != value:
        raise ParameterError(f"{name} must be a date YYYY-MM-DD, got {value!r}")
    return np.datetime64(day, "D")
