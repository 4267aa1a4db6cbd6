"""The folder that a run works in, and the data that it began with."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np

from fastpanel._environment import Environment
from fastpanel.errors import ArtifactError, ConfigError
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import Dataset, built_differently, load_dataset
from fastpanel.simulation._lock import FILE as LOCK
from fastpanel.simulation._manifest import FILE as MANIFEST

PANEL = Path("inputs") / "panel_tensor.pt"
"""The stored bundle, below the folder of a run."""


def output_folder(label: str) -> Path:
    """``SIMULATION_SOURCE/<label>``, or ``runs/<label>``; an absolute label stands for itself."""
    environment = Environment()
    if environment.get("SIMULATION_SOURCE") is None:
        return Path("runs") / label
    return environment.folder("SIMULATION_SOURCE") / label


def run_folder(config: SimulationConfig, given: Dataset | None) -> Path:
    """The folder of a run; without a label, it is named by the ISO week of the newest row."""
    label = config.data.simulation_output_path
    if label is None:
        assert given is not None  # the newest row is not known before
        newest = given.times_unlabeled if len(given.times_unlabeled) else given.times
        label = newest[-1].astype("datetime64[s]").item().strftime("%G-%V")
    return output_folder(label)


def claim(folder: Path) -> None:
    """Create the folder of a run, or check that an existing one belongs to a run.

    A new folder appears with its lock file in it, in one step, so that a run
    killed at any moment leaves a folder that can be told from a foreign one.

    Raises
    ------
    ArtifactError
        The folder exists and holds no run, or cannot be created.
    """
    if not folder.exists():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            fresh.chmod(0o755)
            (fresh / LOCK).touch()
            try:
                fresh.rename(folder)
            except OSError:
                shutil.rmtree(fresh)
                if not folder.is_dir():
                    raise  # otherwise another run was quicker
        except OSError as error:
            raise ArtifactError(f"cannot create {folder}: {error.strerror or error}") from error
    if not any((folder / name).is_file() for name in (LOCK, MANIFEST, PANEL)):
        raise ArtifactError(
            f"{folder} exists, but {folder / PANEL} is missing: delete the folder or choose "
            "another data.simulation_output_path"
        )


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left unfinished; the caller holds the lock."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def stored_dataset(config: SimulationConfig, folder: Path, given: Dataset | None) -> Dataset | None:
    """The bundle that a run in ``folder`` began with, None if there is none yet.

    Raises
    ------
    ConfigError
        A panel was given and it is another one; the first difference is named.
    """
    path = folder / PANEL
    if not path.is_file():
        return None
    dataset = load_dataset(path)
    if given is not None and given.digest != dataset.digest:
        raise ConfigError(
            f"{folder} holds a run on another panel ({_difference(dataset, given)}); choose "
            "another data.simulation_output_path"
        )
    if changed := built_differently(dataset, config.data.dataset_params):
        warnings.warn(
            f"{path} is reused, but it was built with other values of: {', '.join(changed)}",
            stacklevel=3,
        )
    return dataset


def _difference(stored: Dataset, given: Dataset) -> str:
    for name in ("assets", "features", "target_scale", "return_type"):
        if getattr(stored, name) != getattr(given, name):
            return f"{name} differ"
    if stored.X.shape != given.X.shape:
        return f"shape {stored.X.shape} stored, {given.X.shape} given"
    same = (stored.X == given.X) | (np.isnan(stored.X) & np.isnan(given.X))
    if not same.all():
        t, a, f = np.argwhere(~same)[0]
        return f"first at {stored.times[t]}, {stored.assets[a]}, {stored.features[f]}"
    return "times or targets differ"
