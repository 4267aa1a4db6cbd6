"""Prepared weekly data to a fitted model on disk."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel._environment import Environment
from fastpanel._files import read_json, sha256, write_json, write_text
from fastpanel.data.stores import latest_week, read_wide, staged
from fastpanel.errors import ArtifactError, DataError
from fastpanel.pipelines._processing import DEFAULT_PIPELINE, pipeline_name
from fastpanel.progress import Reporter, reporter

if TYPE_CHECKING:
    from fastpanel.models import FitState
    from fastpanel.typing import FloatArray


@dataclass(frozen=True)
class Modeled:
    """Result of :func:`fit_prepared`: the folder written, and the fit."""

    folder: Path
    state: FitState


def fit_prepared(
    model: str = "factor_model_v1",
    guide: str = "factor_guide_v1",
    pipeline: str = DEFAULT_PIPELINE,
    source: str | Path | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    environment: Environment | None = None,
    progress: bool | Reporter = True,
) -> Modeled:
    """Fit one model to the newest prepared weekly table.

    Parameters
    ----------
    model, guide : str
        Registered names.
    pipeline : str
        Which prepared data: ``FEATURE_STORE_SOURCE/<preprocessor>/<pipeline>/<YYYY-WW>``,
        the newest week over all preprocessors.
    source : path, optional
        A prepared folder or a table of it, instead.
    config : mapping, optional
        Sections ``model``, ``training`` and ``seed``, as for :func:`fastpanel.models.fit`.
    environment : Environment, optional
        Reads ``FEATURE_STORE_SOURCE`` and ``MODEL_STORE_SOURCE``.
    progress : bool or Reporter

    Returns
    -------
    Modeled
        ``MODEL_STORE_SOURCE/<model>/<guide>/<pipeline>/<YYYY-WW>/`` with
        ``params.csv`` (one row per entry of each parameter), the state itself and
        ``metadata.json``.

    Raises
    ------
    ArtifactError
        No prepared data, or a table that is none.
    DataError
        Fewer than three weeks.

    Notes
    -----
    The target of week t is the table's row t, its only feature the row before:
    what was known when week t began. Nothing is evaluated here; that is the
    simulation's work.
    """
    from fastpanel import models

    environment = environment or Environment()
    store = environment.folder("MODEL_STORE_SOURCE")
    pipeline_name(pipeline)
    table = _table(Path(source)) if source is not None else _newest(environment, pipeline)
    times, columns, values = read_wide(table)
    if len(times) < 3:
        raise DataError(f"{table} holds {len(times)} weeks; a fit needs at least 3")
    settings = {**(config or {})}
    settings["model"] = {**settings.get("model", {}), "model_name": model, "guide_name": guide}
    say = reporter(progress)
    say.say(f"Fitting {model} with {guide} to {table}")
    before, now = values[:-1, :, None], values[1:]
    target = np.where(np.isfinite(before[..., 0]), now, np.nan)
    state = models.fit(before, target, settings)
    week = _week(times[-1])
    folder = store / model / guide / pipeline / week
    parsed = models.FitConfig.model_validate(settings).model_dump(mode="json")
    record = {
        "model": model,
        "guide": guide,
        "backend": state.backend,
        "pipeline": pipeline,
        "columns": list(columns),
        "weeks": len(now),
        "first": str(times[1]),
        "last": str(times[-1]),
        "config": parsed,
        "report": None if state.report is None else state.report.to_dict(),
        "source": {"file": str(table), "sha256": sha256(table)},
    }
    with staged(folder) as stage:
        write_text(stage / "params.csv", _params_csv(state.params))
        state.save(stage / "state")
        write_json(stage / "metadata.json", record)
    return Modeled(folder, state)


def _newest(environment: Environment, pipeline: str) -> Path:
    store = environment.folder("FEATURE_STORE_SOURCE")
    roots = [path for path in store.glob(f"*/{pipeline}") if path.is_dir()]
    if not roots:
        raise ArtifactError(
            f"no prepared data of pipeline '{pipeline}' in {store}: "
            "run 'fastpanel data_processing' first"
        )
    weeks = [latest_week(root, "data_processing") for root in roots]
    return _table(max(weeks, key=lambda week: (week.name, week.stat().st_mtime_ns)))


def _table(source: Path) -> Path:
    if source.is_file():
        return source
    columns = read_json(source / "metadata.json").get("columns")
    for path in sorted(source.glob("*.csv")):
        if list(read_wide(path)[1]) == columns:
            return path
    raise ArtifactError(f"{source} holds no table with the columns of its metadata.json")


def _week(time: np.datetime64) -> str:
    year, week, _ = time.astype("datetime64[s]").item().isocalendar()
    return f"{year}-{week:02d}"


def _params_csv(params: Mapping[str, FloatArray]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["parameter", "index", "value"])
    for name, value in sorted(params.items()):
        for index in np.ndindex(value.shape):
            place = " ".join(map(str, index))
            writer.writerow([name, place, repr(float(value[index]))])
    return text.getvalue()
