"""Simulation inputs from the stores: newest feature groups and newest return tensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastpanel import features
from fastpanel._environment import Environment
from fastpanel.data import Panel, WeeklyReturns
from fastpanel.data.stores import (
    FeatureGroup,
    feature_groups,
    latest_week,
    read_group,
    read_return_tensor,
)
from fastpanel.errors import ArtifactError, ConfigError, DataError, UnknownNameError
from fastpanel.simulation._config import DatasetParams

_KEYS = "data.dataset_params"


def panel_from_stores(params: DatasetParams) -> tuple[Panel, tuple[str, ...]]:
    """Feature panel with the weekly returns as ``targets``, and the names of its columns.

    ``targets[t]`` is the return of week ``t`` itself, not yet shifted.

    Folders are ``feature_store`` and ``data_lake`` of the configuration, or
    else the variables ``FEATURE_STORE_SOURCE`` and ``DATA_LAKE_SOURCE``.

    Raises
    ------
    ConfigError
        A folder is not given, or a key does not go with stored data.
    ArtifactError
        The stores end at different weeks, or their groups come from different
        bars.
    DataError
        An asset misses a week and ``allow_ragged`` is off.
    """
    store = _folder("feature_store", params.feature_store, "FEATURE_STORE_SOURCE")
    lake = _folder("data_lake", params.data_lake, "DATA_LAKE_SOURCE")
    week = latest_week(store, "feature_engineering")
    cleaned = latest_week(lake, "data_cleaning")
    if week.name != cleaned.name:
        raise ArtifactError(
            f"the newest features are of {week.name} ({week}), the newest returns of "
            f"{cleaned.name} ({cleaned}): run 'fastpanel feature_engineering' again"
        )
    groups = _chosen(params.groups, feature_groups(week), week)
    stored = {name: read_group(path) for name, path in groups.items()}
    returns = read_return_tensor(cleaned)
    _check_same_source(stored, returns)
    if returns.kind != params.return_type:
        raise ConfigError(
            f"{_KEYS}.return_type is '{params.return_type}', but {cleaned} holds "
            f"'{returns.kind}' returns"
        )
    panel, names = _joined(stored, returns, params)
    panel = panel.sel(
        times=slice(params.start, params.end),
        assets=None if params.assets is None else list(params.assets),
    )
    if not params.allow_ragged:
        _refuse_gaps(panel)
    return panel, names


def _folder(key: str, given: str | None, variable: str) -> Path:
    if given is not None:
        return Path(given).expanduser()
    environment = Environment()
    if environment.get(variable) is None:
        raise ConfigError(
            f"{_KEYS}.{key}: give a folder here or in {variable} (inputs from the stores), or "
            f"{_KEYS}.bars: the path of bar files, or 'simulated'; or hand a panel to "
            "fp.simulation.run"
        )
    return environment.folder(variable)


def _chosen(groups: str | Sequence[str], stored: dict[str, Path], week: Path) -> dict[str, Path]:
    """Groups in catalogue order, others after them by name."""
    unknown = [] if groups == "all" else [name for name in groups if name not in stored]
    if unknown:
        raise UnknownNameError(
            f"{_KEYS}.groups: no group '{unknown[0]}' in {week}; there are {sorted(stored)}"
        )
    order = [name for name in features.catalog().groups if name in stored]
    order += sorted(set(stored) - set(order))
    if not order:
        raise ArtifactError(f"{week} holds no feature group: run 'fastpanel feature_engineering'")
    return {name: stored[name] for name in order if groups == "all" or name in groups}


def _check_same_source(stored: dict[str, FeatureGroup], returns: WeeklyReturns) -> None:
    first = next(iter(stored))
    weekly = {
        name: group.metadata.get("source", {}).get("sha256", {}).get("weekly_ohlc.csv")
        for name, group in stored.items()
    }
    for name, group in stored.items():
        same_axes = (
            np.array_equal(group.panel.times, returns.times)
            and group.panel.assets == returns.assets
        )
        if not same_axes or weekly[name] != weekly[first]:
            raise ArtifactError(
                f"feature group '{name}' was computed from other bars than "
                f"{'the returns' if not same_axes else repr(first)}: run "
                "'fastpanel feature_engineering' again"
            )


def _joined(
    stored: dict[str, FeatureGroup], returns: WeeklyReturns, params: DatasetParams
) -> tuple[Panel, tuple[str, ...]]:
    """Put all chosen columns side by side, with the returns as targets; and name them."""
    keys = None if params.features is None else set(params.features)
    columns: dict[str, str] = {}  # unique name to the name without group
    values, masks = [], []
    found: set[str] = set()
    for group, item in stored.items():
        for position, name in enumerate(item.panel.features):
            labels = {name, item.metadata["columns"][name]["key"]}
            if keys is not None and not labels & keys:
                continue
            found |= labels
            columns[f"{group}__{name}"] = name
            values.append(item.panel.values[:, :, position])
            masks.append(item.panel.mask[:, :, position])
    unknown = sorted((keys or set()) - found)
    if unknown:
        raise UnknownNameError(
            f"{_KEYS}.features: no feature '{unknown[0]}' in the stored groups {list(stored)}"
        )
    names = tuple(columns) if params.prefix_feature_names else tuple(columns.values())
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(
            f"{_KEYS}.prefix_feature_names: two groups have a column '{twice}'; set it to true"
        )
    axes = returns.times, returns.assets, tuple(columns)
    panel = Panel(np.stack(values, axis=-1), *axes, np.stack(masks, axis=-1), returns.values)
    return panel, names


def _refuse_gaps(panel: Panel) -> None:
    absent = np.isnan(np.asarray(panel.targets))
    if absent.any():
        row, column = np.argwhere(absent)[0]
        label = np.datetime_as_string(panel.times[row], unit="m")
        raise DataError(
            f"asset '{panel.assets[column]}' has no return in the week labelled {label}; "
            f"leave it out ({_KEYS}.assets), begin later ({_KEYS}.start), or set "
            f"{_KEYS}.allow_ragged"
        )
