"""Pictures and tables on disk, whole or not at all."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel._files import write_bytes, write_text
from fastpanel.diagnostics._page import Picture
from fastpanel.typing import AnyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 180


def png(figure: Figure) -> bytes:
    """Return a figure as PNG; the same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure

    Returns
    -------
    bytes

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.diagnostics import draw_pit, pit_histogram
    >>> figure = draw_pit(pit_histogram(np.linspace(0.0, 1.0, 50)[:, None], bins=2))
    >>> png(figure)[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def save_figure(path: str | Path, figure: Figure) -> Path:
    """Write a figure as PNG, atomically; the same figure gives the same bytes.

    Parameters
    ----------
    path : path
    figure : matplotlib.figure.Figure

    Returns
    -------
    Path

    Raises
    ------
    ArtifactError
        The file cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.diagnostics import draw_pit, pit_histogram
    >>> figure = draw_pit(pit_histogram(np.linspace(0.0, 1.0, 50)[:, None], bins=2))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(folder + "/pit.png", figure).name
    'pit.png'
    """
    path = Path(path)
    write_bytes(path, png(figure))
    return path


def save_picture(
    folder: Path,
    stem: str,
    columns: Mapping[str, AnyArray],
    figure: Figure,
    finding: str,
    guide: str,
) -> Picture:
    """Write ``<stem>.csv`` with the numbers and ``<stem>.png``; caption and reading guide."""
    save_csv(folder / f"{stem}.csv", columns)
    return Picture(save_figure(folder / f"{stem}.png", figure), finding, guide)


def save_csv(path: Path, columns: Mapping[str, AnyArray]) -> Path:
    """Write equally long columns as CSV, atomically. Times are ISO, NaN is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_cells(column) for column in columns.values()), strict=True))
    write_text(path, text.getvalue())
    return path


def _cells(column: AnyArray) -> list[Any]:
    values = np.asarray(column)
    if values.dtype.kind == "M":
        dates = values.astype("datetime64[D]")
        whole_days = bool((dates == values).all())
        return [str(x) for x in (dates if whole_days else values.astype("datetime64[s]"))]
    if values.dtype.kind == "f":
        return ["" if np.isnan(x) else repr(float(x)) for x in values]
    return ["" if x is None else x for x in values.tolist()]


def file_names(names: Iterable[str]) -> dict[str, str]:
    """Give each asset a file stem that any file system takes and no other asset has."""
    taken: set[str] = set()
    stems: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".") or "asset"
        stem, number = plain, 2
        while stem.lower() in taken:
            stem, number = f"{plain}_{number}", number + 1
        taken.add(stem.lower())
        stems[name] = stem
    return stems
