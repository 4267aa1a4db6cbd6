"""The tensor bundle of a run: features known after week t, return of week t + shift."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel import features
from fastpanel._tensors import load_tensors, save_tensors
from fastpanel.data import Panel, WeeklyReturns, clean_bars, read_bars, simulated_market
from fastpanel.errors import ArtifactError, DataError, ShapeError
from fastpanel.simulation._config import SIMULATED, DatasetParams
from fastpanel.simulation._stores import panel_from_stores
from fastpanel.typing import BoolArray, FloatArray, TimeArray

_PREFIX = "__"


@dataclass(frozen=True)
class Dataset:
    """What one simulation works on.

    Attributes
    ----------
    X : float64 [T, A, F]
        ``X[t]`` is known after week ``t``; NaN = missing.
    y : float64 [T, A]
        Return of week ``t + target_shift`` times ``target_scale``; NaN = missing.
    mask : bool [T, A, F]
        True = missing.
    times : datetime64[ns] [T]
        Weekly labels, UTC.
    assets, features : tuple of str
        ``features`` carry the group prefix where asked for.
    X_unlabeled, times_unlabeled
        Newest rows, whose target is not known yet.
    target_scale : int
    return_type : {"simple", "log"}
    params : dict
        The dataset parameters that built it.
    """

    X: FloatArray
    y: FloatArray
    mask: BoolArray
    times: TimeArray
    assets: tuple[str, ...]
    features: tuple[str, ...]
    X_unlabeled: FloatArray
    times_unlabeled: TimeArray
    target_scale: int
    return_type: str
    params: dict[str, Any]

    def __post_init__(self) -> None:
        t, a, f = _shape3("X", self.X)
        if self.y.shape != (t, a):
            raise ShapeError(f"y has shape {self.y.shape}, but X {self.X.shape} needs {(t, a)}")
        if self.mask.shape != self.X.shape:
            raise ShapeError(f"mask has shape {self.mask.shape}, but X has {self.X.shape}")
        named = (len(self.times), len(self.assets), len(self.features))
        if named != (t, a, f):
            raise ShapeError(f"times, assets, features have lengths {named}, X has {self.X.shape}")
        for array in (self.X, self.y, self.mask, self.times, self.X_unlabeled):
            array.setflags(write=False)

    @property
    def absent(self) -> BoolArray:
        """Asset-weeks ``[T, A]`` without any feature: the asset is not there."""
        return np.asarray(self.mask.all(axis=-1), dtype=np.bool_)

    @property
    def digest(self) -> str:
        """SHA-256 over every value and name."""
        digest = hashlib.sha256()
        for array in (self.X, self.y, self.times.astype("int64"), self.X_unlabeled):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(np.packbits(self.mask).tobytes())
        digest.update(repr((self.assets, self.features, self.target_scale)).encode())
        return digest.hexdigest()

    def to_returns(self, y: FloatArray) -> FloatArray:
        """Targets or predictions as simple returns per week."""
        returns = y / self.target_scale
        return np.expm1(returns) if self.return_type == "log" else returns


def build_dataset(params: DatasetParams) -> Dataset:
    """Bars or stored features to the bundle, as the configuration says."""
    if params.bars is None:
        stored, names = panel_from_stores(params)
        return _bundle(stored, names, np.asarray(stored.targets), params)
    if params.bars == SIMULATED:
        bars = simulated_market(**params.simulated)
    else:
        bars = read_bars(Path(params.bars).expanduser().as_posix())
    clean = clean_bars(
        bars,
        return_type=params.return_type,
        start=params.start,
        end=params.end,
        assets=None if params.assets is None else list(params.assets),
        calendar=params.calendar,
    )
    groups = params.groups if isinstance(params.groups, str) else list(params.groups)
    keys = None if params.features is None else list(params.features)
    panel = features.compute(clean, groups, keys, allow_ragged=params.allow_ragged)
    names = panel.features
    if params.prefix_feature_names:
        group_of = {column.name: column.group for column in features.catalog()}
        names = tuple(f"{group_of[name]}{_PREFIX}{name}" for name in names)
    return _bundle(panel, names, clean.returns, params)


def dataset_from_panel(panel: Panel, params: DatasetParams) -> Dataset:
    """A bundle from a user's panel whose ``targets[t]`` is the return to predict at ``t``."""
    if not isinstance(panel, Panel):
        raise DataError(f"panel is a {type(panel).__name__}; give an fp.Panel with targets")
    if panel.targets is None:
        raise DataError(
            "the panel has no targets: give panel.with_targets(returns), or Panel(..., "
            "targets=...) with targets[t] = return of week t + 1"
        )
    targets = np.asarray(panel.targets, dtype=np.float64) * params.target_scale
    observed = np.flatnonzero(np.isfinite(targets).any(axis=1))
    if not observed.size:
        raise DataError("panel.targets holds no finite value")
    return _cut(
        np.asarray(panel.values),
        np.asarray(panel.mask),
        panel.times,
        panel.assets,
        panel.features,
        targets,
        int(observed[-1]) + 1,
        params,
    )


def save_dataset(dataset: Dataset, path: Path) -> None:
    """Write the bundle as tensors and plain containers, atomically."""
    content = {
        "X": dataset.X,
        "y": dataset.y,
        "missing_mask": dataset.mask,
        "timestamps": _nanoseconds(dataset.times),
        "X_unlabeled": dataset.X_unlabeled,
        "timestamps_unlabeled": _nanoseconds(dataset.times_unlabeled),
        "assets": list(dataset.assets),
        "features": list(dataset.features),
        "base_features": [base_name(name) for name in dataset.features],
        "target_scale": dataset.target_scale,
        "return_type": dataset.return_type,
        "params": dataset.params,
        "digest": dataset.digest,
    }
    save_tensors(path, content)


def load_dataset(path: Path) -> Dataset:
    """Read a bundle; a missing, damaged or altered file is an :class:`ArtifactError`."""
    content = load_tensors(path)
    try:
        X = content["X"]
        dataset = Dataset(
            X=X,
            y=content["y"],
            mask=content.get("missing_mask", np.isnan(X)) | np.isnan(X),
            times=content["timestamps"].astype("datetime64[ns]"),
            assets=tuple(content["assets"]),
            features=tuple(content["features"]),
            X_unlabeled=content["X_unlabeled"],
            times_unlabeled=content["timestamps_unlabeled"].astype("datetime64[ns]"),
            target_scale=content["target_scale"],
            return_type=content["return_type"],
            params=content["params"],
        )
    except KeyError as error:
        raise ArtifactError(f"{path} is no panel bundle: {error} is missing") from None
    if dataset.digest != content.get("digest", dataset.digest):
        raise ArtifactError(f"damaged panel {path}: its content does not match its digest")
    return dataset


def built_differently(dataset: Dataset, params: DatasetParams) -> list[str]:
    """Keys of ``data.dataset_params`` whose values are not those that built the bundle."""
    wanted = params.model_dump(mode="json") if dataset.params else {}
    return sorted(key for key in wanted if wanted[key] != dataset.params.get(key))


def base_name(name: str) -> str:
    """A feature's name without its group prefix."""
    return name.rpartition(_PREFIX)[2]


def _bundle(
    panel: Panel, names: tuple[str, ...], returns: WeeklyReturns | FloatArray, params: DatasetParams
) -> Dataset:
    shift = params.target_shift
    labeled = len(panel) - shift
    if labeled < 1:
        raise DataError(f"{len(panel)} weeks are too few for target_shift {shift}")
    targets = np.asarray(panel.with_targets(returns, shift=shift).targets) * params.target_scale
    values, mask = np.asarray(panel.values), np.asarray(panel.mask)
    return _cut(values, mask, panel.times, panel.assets, names, targets, labeled, params)


def _cut(
    values: FloatArray,
    mask: BoolArray,
    times: TimeArray,
    assets: tuple[str, ...],
    names: tuple[str, ...],
    targets: FloatArray,
    labeled: int,
    params: DatasetParams,
) -> Dataset:
    values = np.array(values, dtype=np.float64)
    absent = np.asarray(mask).all(axis=-1)  # nothing is known of the asset: nothing is learned
    targets = np.where(absent, np.nan, targets)
    return Dataset(
        X=values[:labeled].copy(),
        y=targets[:labeled].copy(),
        mask=np.array(mask[:labeled]),
        times=np.array(times[:labeled]).astype("datetime64[ns]"),
        assets=tuple(assets),
        features=tuple(names),
        X_unlabeled=values[labeled:].copy(),
        times_unlabeled=np.array(times[labeled:]).astype("datetime64[ns]"),
        target_scale=params.target_scale,
        return_type=params.return_type,
        params=params.model_dump(mode="json"),
    )


def _shape3(name: str, array: FloatArray) -> tuple[int, int, int]:
    if array.ndim != 3:
        raise ShapeError(f"{name} must be [T, A, F], got shape {array.shape}")
    t, a, f = array.shape
    return t, a, f


def _nanoseconds(times: TimeArray) -> Any:
    return np.array(times).astype("datetime64[ns]").astype("int64")
