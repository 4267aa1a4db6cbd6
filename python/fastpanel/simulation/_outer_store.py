"""Outer results on disk: exact arrays for a rerun, tables for people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from fastpanel._files import atomic_path, read_json, sha256, write_json
from fastpanel.errors import ArtifactError
from fastpanel.progress import Reporter
from fastpanel.simulation._dataset import Dataset
from fastpanel.simulation._outer import OuterResult

_ARRAYS = "result.npz"
_FILES = ("predictions.csv", "weights.csv", "pnl.csv", _ARRAYS)
_RECORD = "finished.json"
_QUANTILES = (0.05, 0.5, 0.95)


def save_outer(result: OuterResult, dataset: Dataset, folder: Path, key: str) -> None:
    """Write predictions, weights and PnL as CSV and arrays, then what marks the fold finished."""
    _write_csv(_predictions(result, dataset), folder / "predictions.csv")
    save_book(result, dataset, folder)
    with atomic_path(folder / _ARRAYS) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            group=result.group,
            candidate=np.array(result.candidate),
            rows=result.rows,
            samples=result.samples,
            weights=result.weights,
            pnl=result.pnl,
        )
    digests = {name: sha256(folder / name) for name in _FILES}
    write_json(folder / _RECORD, {"key": key, "sha256": digests})


def save_book(result: OuterResult, dataset: Dataset, folder: Path) -> None:
    """Write ``weights.csv`` and ``pnl.csv``."""
    weeks = _weeks(result, dataset)
    weights = {asset: result.weights[:, a] for a, asset in enumerate(dataset.assets)}
    _write_csv(weeks.with_columns(pl.DataFrame(weights)), folder / "weights.csv")
    pnl = weeks.with_columns(
        pnl=pl.Series(result.pnl), cumulative=pl.Series(np.cumprod(1.0 + result.pnl) - 1.0)
    )
    _write_csv(pnl, folder / "pnl.csv")


def load_outer(folder: Path, key: str, say: Reporter) -> OuterResult | None:
    """The stored result if it was computed from the same inputs and is intact, else None.

    A file that is missing or was altered since is named.
    """
    if not (folder / _RECORD).is_file():
        return None
    damaged, known = _damage(folder)
    if damaged is not None:
        say.say(f"Damaged file {damaged}: the fold is computed again")
        return None
    return _read(folder) if known == key else None


def read_outer(folder: Path) -> OuterResult:
    """The stored result, whatever it was computed from.

    Raises
    ------
    ArtifactError
        It is missing, or was altered since.
    """
    damaged, _ = _damage(folder)
    if damaged is not None:
        raise ArtifactError(f"missing or damaged file {damaged}: run the simulation again")
    return _read(folder)


def _damage(folder: Path) -> tuple[Path | None, str]:
    """The first file that is not as it was written, and the key of the record."""
    try:
        record = read_json(folder / _RECORD)
        known, digests = str(record["key"]), record["sha256"]
    except (ArtifactError, KeyError, TypeError):
        return folder / _RECORD, ""
    for name in _FILES:
        path = folder / name
        if not path.is_file() or sha256(path) != digests.get(name):
            return path, known
    return None, known


def _read(folder: Path) -> OuterResult:
    with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
        return OuterResult(
            group=int(stored["group"]),
            candidate=str(stored["candidate"]),
            rows=stored["rows"],
            samples=stored["samples"],
            weights=stored["weights"],
            pnl=stored["pnl"],
        )


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
