"""Outer results on disk: exact arrays for a rerun, tables for people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from fastpanel._files import atomic_path
from fastpanel.errors import ArtifactError
from fastpanel.simulation._dataset import Dataset
from fastpanel.simulation._outer import OuterResult

_FILE = "result.npz"
_QUANTILES = (0.05, 0.5, 0.95)


def save_outer(result: OuterResult, dataset: Dataset, folder: Path, key: str) -> None:
    """Write predictions, weights and PnL as CSV, then the arrays, which mark the fold finished."""
    _write_csv(_predictions(result, dataset), folder / "predictions.csv")
    save_book(result, dataset, folder)
    with atomic_path(folder / _FILE) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            key=np.array(key),
            group=result.group,
            candidate=np.array(result.candidate),
            rows=result.rows,
            samples=result.samples,
            weights=result.weights,
            pnl=result.pnl,
        )


def save_book(result: OuterResult, dataset: Dataset, folder: Path) -> None:
    """Write ``weights.csv`` and ``pnl.csv``."""
    weeks = _weeks(result, dataset)
    weights = {asset: result.weights[:, a] for a, asset in enumerate(dataset.assets)}
    _write_csv(weeks.with_columns(pl.DataFrame(weights)), folder / "weights.csv")
    pnl = weeks.with_columns(
        pnl=pl.Series(result.pnl), cumulative=pl.Series(np.cumprod(1.0 + result.pnl) - 1.0)
    )
    _write_csv(pnl, folder / "pnl.csv")


def load_outer(folder: Path, key: str | None) -> OuterResult | None:
    """The stored result if it was computed from the same inputs, else None.

    ``key=None`` takes what is there.
    """
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            if key is not None and str(stored["key"]) != key:
                return None
            return OuterResult(
                group=int(stored["group"]),
                candidate=str(stored["candidate"]),
                rows=stored["rows"],
                samples=stored["samples"],
                weights=stored["weights"],
                pnl=stored["pnl"],
            )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ArtifactError(
            f"damaged outer result {path}: {error}; delete it to recompute"
        ) from None


def _weeks(result: OuterResult, dataset: Dataset) -> pl.DataFrame:
    times = pl.Series(dataset.times[result.rows])
    return pl.DataFrame(
        {
            "row": result.rows,
            "timestamp": times.dt.replace_time_zone("UTC"),
            "iso_week": times.dt.strftime("%G-%V"),
        }
    )


def _predictions(result: OuterResult, dataset: Dataset) -> pl.DataFrame:
    weeks = _weeks(result, dataset)
    draws = dataset.to_returns(result.samples)
    truth = dataset.to_returns(dataset.y[result.rows])
    quantiles = np.quantile(draws, _QUANTILES, axis=0)
    columns = {
        "mean": draws.mean(axis=0),
        "std": draws.std(axis=0, ddof=1),
        **{f"q{q:.2f}": values for q, values in zip(_QUANTILES, quantiles, strict=True)},
        "realised": truth,
    }
    return pl.concat(
        [
            weeks.with_columns(
                asset=pl.lit(asset),
                **{name: pl.Series(values[:, a]) for name, values in columns.items()},
            )
            for a, asset in enumerate(dataset.assets)
        ]
    ).sort("row", "asset")


def _write_csv(frame: pl.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        frame.write_csv(temporary)
