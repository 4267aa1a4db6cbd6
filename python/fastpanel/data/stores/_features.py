"""Feature groups on disk: a CSV with two header levels, a tensor and their record."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel._files import atomic_path, read_json, write_json, write_text
from fastpanel._tensors import load_tensors, save_tensors
from fastpanel.data._panel import Panel
from fastpanel.data.stores._weeks import staged
from fastpanel.data.stores._wide import parse_numbers, parse_times, read_text_table, time_text
from fastpanel.errors import ArtifactError
from fastpanel.typing import FloatArray

CSV, TENSOR = "features.csv", "features_tensor.pt"
METADATA, GOODNESS = "metadata.json", "goodness.json"
_HEADER_ROWS = 3


@dataclass(frozen=True)
class FeatureGroup:
    """A stored group: its panel and its ``metadata.json``."""

    panel: Panel
    metadata: dict[str, Any]


def write_group(
    folder: str | Path,
    panel: Panel,
    metadata: Mapping[str, Any],
    goodness: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> None:
    """Write a feature group, all files or none.

    ``features.csv`` has the columns (asset, feature) in two header rows and a
    third with the name of the index, as pandas writes it, so that
    ``pandas.read_csv(path, header=[0, 1], index_col=0)`` restores it.
    ``features_tensor.pt`` holds ``values [T, A, F]``, ``timestamps`` (int64,
    ns since 1970, UTC), ``missing_mask = isnan(values)``, ``assets`` and
    ``features``.
    """
    values = np.where(panel.mask, np.nan, panel.values)
    with staged(Path(folder)) as stage:
        _write_csv(stage / CSV, panel, values)
        content = {
            "values": values,
            "timestamps": panel.times.astype(np.int64),
            "missing_mask": np.isnan(values),
            "assets": list(panel.assets),
            "features": list(panel.features),
        }
        save_tensors(stage / TENSOR, content)
        write_json(stage / METADATA, metadata)
        # one ratio per feature, asset and week: compact, or it would be tens of megabytes
        write_text(stage / GOODNESS, json.dumps(goodness, separators=(",", ":")) + "\n")


def read_group(folder: str | Path) -> FeatureGroup:
    """Read a feature group from its tensor and metadata.

    Raises
    ------
    ArtifactError
        If a file is missing or damaged.
    """
    folder = Path(folder)
    path = folder / TENSOR
    content = load_tensors(path)
    try:
        panel = Panel(
            content["values"],
            content["timestamps"].astype("datetime64[ns]"),
            content["assets"],
            content["features"],
            content["missing_mask"],
        )
    except KeyError as error:
        raise ArtifactError(f"{path} is no feature tensor: {error} is missing") from None
    return FeatureGroup(panel, read_json(folder / METADATA))


def feature_groups(week: str | Path) -> dict[str, Path]:
    """Folders of the groups stored in a week folder, by name."""
    found = sorted(path for path in Path(week).glob("*") if (path / TENSOR).is_file())
    return {path.name: path for path in found}


def read_features_csv(path: str | Path) -> Panel:
    """Panel of a ``features.csv``.

    Raises
    ------
    ArtifactError
        If the file is missing, or its header or its values are damaged.
    """
    path = Path(path)
    table = read_text_table(path, has_header=False)
    if table.height < _HEADER_ROWS or table.width < 2:
        raise ArtifactError(f"{path}: expected three header rows")
    heads = [table.row(row) for row in range(_HEADER_ROWS)]
    if [head[0] for head in heads] != ["asset", "feature", "timestamp"]:
        raise ArtifactError(f"{path}: the header rows must be asset, feature and timestamp")
    assets, features = (list(dict.fromkeys(head[1:])) for head in heads[:2])
    pairs = [(asset, feature) for asset in assets for feature in features]
    if pairs != list(zip(heads[0][1:], heads[1][1:], strict=True)):
        raise ArtifactError(f"{path}: every asset must have every feature, in the same order")
    body = table.slice(_HEADER_ROWS)
    times = parse_times(body.to_series(0), path)
    values = parse_numbers(body.select(body.columns[1:]), path)
    shape = (len(times), len(assets), len(features))
    return Panel(values.reshape(shape), times, assets, features)


def _write_csv(path: Path, panel: Panel, values: FloatArray) -> None:
    import polars as pl

    head = io.StringIO()
    writer = csv.writer(head, lineterminator="\n")
    pairs = [(asset, feature) for asset in panel.assets for feature in panel.features]
    writer.writerow(["asset", *(asset for asset, _ in pairs)])
    writer.writerow(["feature", *(feature for _, feature in pairs)])
    writer.writerow(["timestamp", *("" for _ in pairs)])
    flat = values.reshape(len(values), -1)
    table = pl.DataFrame(
        {str(c): pl.Series(flat[:, c], nan_to_null=True) for c in range(flat.shape[1])}
    )
    table = table.insert_column(0, time_text(panel.times))
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        out.write(head.getvalue())
        table.write_csv(out, include_header=False)
