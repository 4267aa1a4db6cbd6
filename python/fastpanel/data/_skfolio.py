"""Panels to and from ``skfolio.containers.AssetPanel``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel._extras import require
from fastpanel.errors import DataError, UnknownNameError
from fastpanel.typing import FloatArray

if TYPE_CHECKING:
    from fastpanel.data._panel import Panel

TARGET = "target"


def to_skfolio(panel: Panel) -> Any:
    """One 2-D field per feature, and one for the targets; see ``Panel.to_skfolio``."""
    containers = require("skfolio.containers", "Panel.to_skfolio")
    active = ~panel.mask.all(axis=2)
    fields: dict[str, FloatArray] = {}
    for position, name in enumerate(panel.features):
        hidden = panel.mask[:, :, position]
        fields[name] = np.where(hidden, np.nan, panel.values[:, :, position])
    if panel.targets is not None:
        if TARGET in fields:
            raise DataError(f"a feature is named '{TARGET}', as the targets would be; rename it")
        fields[TARGET] = np.where(active, panel.targets, np.nan)
    return containers.AssetPanel(
        fields=fields,
        observations=panel.times.copy(),
        asset_names=np.array(panel.assets),
        active_mask=active,
    )


def parts_of(source: Any, target: str | None) -> dict[str, Any]:
    """Arguments of ``Panel`` from an ``AssetPanel``."""
    containers = require("skfolio.containers", "Panel.from_skfolio")
    if not isinstance(source, containers.AssetPanel | containers.AssetPanelView):
        raise DataError(f"expected a skfolio AssetPanel, got {type(source).__name__}")
    names: list[str] = []
    columns: list[FloatArray] = []
    targets = None
    for name, field in source.fields.items():
        if field.is_categorical:
            raise DataError(f"field '{name}' is categorical; encode or drop it")
        values = np.asarray(source[name], np.float64)
        if field.is_3d:
            names += [f"{name}__{label}" for label in field.third_axis_labels]
            columns += list(np.moveaxis(values, 2, 0))
        elif name == target:
            targets = np.where(source.active_mask, values, np.nan)
        else:
            names.append(name)
            columns.append(values)
    if target is not None and targets is None:
        raise UnknownNameError(f"no field '{target}' to be the target; there are {names}")
    if not np.issubdtype(np.asarray(source.observations).dtype, np.datetime64):
        raise DataError("the observations of the AssetPanel are no times")
    cube = np.stack(columns, axis=2) if columns else np.empty((*source.active_mask.shape, 0))
    absent = ~np.asarray(source.active_mask)
    return {
        "values": cube,
        "times": source.observations,
        "assets": [str(name) for name in source.asset_names],
        "features": names,
        "mask": np.broadcast_to(absent[:, :, None], cube.shape),
        "targets": targets,
    }
