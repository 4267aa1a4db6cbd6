"""Stored tensors as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastpanel._environment import Environment
from fastpanel.data import Panel
from fastpanel.data.stores import feature_groups, latest_week, read_group, read_return_tensor
from fastpanel.errors import ParameterError, UnknownNameError


def show_return_tensor(
    folder: str | Path | None = None,
    head: int = 5,
    *,
    environment: Environment | None = None,
) -> str:
    """Shape and first rows of a return tensor.

    ``folder`` is a week folder of the data lake, by default the newest one in
    ``DATA_LAKE_SOURCE``.
    """
    _check_head(head)
    if folder is None:
        lake = (environment or Environment()).folder("DATA_LAKE_SOURCE")
        folder = latest_week(lake, "data_cleaning")
    returns = read_return_tensor(folder)
    title = f"{folder}: {returns.kind} returns, shape {list(returns.values.shape)} [weeks, assets]"
    rows = [
        [_minute(time), *(f"{value:.6f}" for value in values)]
        for time, values in zip(returns.times[:head], returns.values[:head], strict=True)
    ]
    return "\n".join([title, *_aligned([["", *returns.assets], *rows])])


def show_feature_tensor(
    group: str, head: int = 5, *, environment: Environment | None = None
) -> str:
    """Shape and first rows of the newest tensor of a feature group."""
    _check_head(head)
    store = (environment or Environment()).folder("FEATURE_STORE_SOURCE")
    week = latest_week(store, "feature_engineering")
    groups = feature_groups(week)
    if group not in groups:
        raise UnknownNameError(f"no feature group '{group}' in {week}; there are {list(groups)}")
    panel = read_group(groups[group]).panel
    title = f"{groups[group]}: shape {list(panel.shape)} [weeks, assets, features]"
    return "\n".join([title, *_feature_rows(panel[:head])])


def _feature_rows(panel: Panel) -> list[str]:
    rows = [["", "asset", *panel.features]]
    for time, week in zip(panel.times, panel.values, strict=True):
        for asset, values in zip(panel.assets, week, strict=True):
            rows.append([_minute(time), asset, *(f"{value:.6f}" for value in values)])
    return _aligned(rows)


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _minute(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]"))


def _check_head(head: int) -> None:
    if head < 1:
        raise ParameterError(f"head must be at least 1, got {head}")
