"""Cleaned bars to feature groups on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastpanel import features
from fastpanel._environment import Environment
from fastpanel._files import sha256
from fastpanel.data import CleanBars
from fastpanel.data.stores import latest_week, read_clean, write_group
from fastpanel.features import Catalog
from fastpanel.pipelines._goodness import DAYS_PER_WEEK, goodness
from fastpanel.progress import Reporter, reporter

LAST = "cross_sectional"
_HORIZONS = (1, 4, 12, 26)
_INPUTS = ("weekly_ohlc.csv", "daily_ohlc.csv")


@dataclass(frozen=True)
class Engineered:
    """Result of :func:`engineer_features`: the week folder and its groups' columns."""

    folder: Path
    columns: dict[str, tuple[str, ...]]


def workers() -> int:
    """Groups computed at a time."""
    return max(1, (os.cpu_count() or 1) - 1)


def engineer_features(
    groups: str | Sequence[str] = "all",
    feature_keys: Sequence[str] | None = None,
    *,
    allow_ragged: bool = False,
    environment: Environment | None = None,
    progress: bool | Reporter = True,
) -> Engineered:
    """Compute the features of the newest cleaned week into ``FEATURE_STORE_SOURCE/YYYY-WW``.

    Parameters
    ----------
    groups, feature_keys, allow_ragged
        As in :func:`fastpanel.features.compute`; a group without a chosen
        feature is left out.
    environment : Environment, optional
        Reads ``DATA_LAKE_SOURCE`` and ``FEATURE_STORE_SOURCE``.
    progress : bool or Reporter

    Returns
    -------
    Engineered
        Per group a folder with ``features.csv``, ``features_tensor.pt``,
        ``metadata.json`` and ``goodness.json``.

    Raises
    ------
    ConfigError, ArtifactError, DataError, UnknownNameError
        A variable or a file is missing; an asset misses a week and
        ``allow_ragged`` is off; an unknown group or feature.

    Notes
    -----
    Groups are computed ``max(1, cpu_count - 1)`` at a time, ``cross_sectional``
    after the others; the result does not depend on the number. Nothing is
    written unless all groups could be computed.
    """
    environment = environment or Environment()
    lake = environment.folder("DATA_LAKE_SOURCE")
    store = environment.folder("FEATURE_STORE_SOURCE")
    chosen = _by_group([groups] if isinstance(groups, str) else list(groups), feature_keys)
    week = latest_week(lake, "data_cleaning")
    clean = read_clean(week)
    say = reporter(progress)
    panels = _compute(clean, chosen, allow_ragged, say)
    source = {name: sha256(week / name) for name in _INPUTS if (week / name).is_file()}
    for name, columns in chosen.items():
        metadata = _metadata(clean, columns, allow_ragged, {"folder": str(week), "sha256": source})
        write_group(store / week.name / name, panels[name], metadata, goodness(clean, columns))
    return Engineered(store / week.name, {name: columns.names for name, columns in chosen.items()})


def _by_group(groups: list[str], feature_keys: Sequence[str] | None) -> dict[str, Catalog]:
    named = [name for name in groups if name != "all"]
    if len(named) < len(groups):
        features.select(named or "all", None)  # a wrong name beside "all" is still wrong
        chosen = features.select("all", feature_keys)
    else:
        chosen = features.select(named, feature_keys)
    return {
        name: Catalog(column for column in chosen if column.group == name) for name in chosen.groups
    }


def _compute(
    clean: CleanBars, chosen: dict[str, Catalog], allow_ragged: bool, say: Reporter
) -> dict[str, Any]:
    _ = clean.weekly_arrays  # pivoted once, before the workers share it
    panels: dict[str, Any] = {}

    def compute(name: str) -> Any:
        say.say(f"Group {name}: started")
        return features.compute(clean, name, chosen[name].names, allow_ragged=allow_ragged)

    with say.task("Feature groups", len(chosen)) as task:
        for wave in ([name for name in chosen if name != LAST], [n for n in chosen if n == LAST]):
            with ThreadPoolExecutor(workers()) as pool:
                running = {pool.submit(compute, name): name for name in wave}
                for done in as_completed(running):
                    panels[running[done]] = done.result()
                    say.say(f"Group {running[done]}: done")
                    task.advance()
    return panels


def _metadata(
    clean: CleanBars, columns: Catalog, allow_ragged: bool, source: dict[str, Any]
) -> dict[str, Any]:
    return {
        "group": columns[0].group,
        "feature_name_units": {column.name: column.unit for column in columns},
        "days_to_weeks": {str(DAYS_PER_WEEK * weeks): weeks for weeks in _HORIZONS},
        "columns": {
            column.name: {
                "key": column.key,
                "horizon_weeks": column.horizon,
                "frequency": column.frequency,
                "first_valid_row": column.lookback,
                "inputs": list(column.inputs),
                "formula": column.formula,
            }
            for column in columns
        },
        "assets": list(clean.assets),
        "n_weeks": len(clean.times),
        "first_week": str(clean.times[0].astype("datetime64[s]")) + "+00:00",
        "last_week": str(clean.times[-1].astype("datetime64[s]")) + "+00:00",
        "allow_ragged": allow_ragged,
        "source": source,
    }
