"""Week folders: ``YYYY-WW``, the ISO week of the newest row in them."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fastpanel.errors import ArtifactError

_WEEK = re.compile(r"\d{4}-\d{2}")


def week_of(time: np.datetime64) -> str:
    """ISO year and week of a time.

    Examples
    --------
    >>> week_of(np.datetime64("2025-11-21T16:00")), week_of(np.datetime64("2027-01-01"))
    ('2025-47', '2026-53')
    """
    text: str = time.astype("datetime64[s]").item().strftime("%G-%V")
    return text


def latest_week(root: str | Path, made_by: str) -> Path:
    """Newest ``YYYY-WW`` folder in a store; folders with other names do not count.

    Parameters
    ----------
    root : path
    made_by : str
        Command that fills the store, for the error message.

    Raises
    ------
    ArtifactError
        If there is none.
    """
    folder = Path(root)
    found = [x for x in folder.glob("*") if _WEEK.fullmatch(x.name) and x.is_dir()]
    if not found:
        raise ArtifactError(f"no YYYY-WW folder in {folder}: run 'fastpanel {made_by}' first")
    return max(found, key=lambda path: path.name)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield an empty folder whose files move into ``folder`` once all are written.

    After an error, ``folder`` is as it was. Other files in it stay.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        name = tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp")
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {error.strerror or error}") from error
    stage = Path(name)
    try:
        yield stage
        folder.mkdir(exist_ok=True)
        for file in sorted(stage.iterdir()):
            file.replace(folder / file.name)
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
