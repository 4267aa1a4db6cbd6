"""The result of a fit, as plain arrays that either back end can use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel import _extras, _files
from fastpanel.errors import ArtifactError, ModelError
from fastpanel.models._report import FitReport
from fastpanel.typing import FloatArray

_FORMAT = "fastpanel.models.FitState"
_VERSION = 2
_MAPPINGS = ("params", "carry")
_ARRAYS = ("center", "scale", "losses")


@dataclass(frozen=True, eq=False)
class FitState:
    """A fitted posterior approximation.

    Attributes
    ----------
    backend, model_name, guide_name
        What was fitted, and by which back end. The parameters are back-end
        neutral: a state may be predicted or warm-started in the other one
        where model and guide exist there.
    params
        Guide (and model) parameters by name, constrained, read-only.
    center, scale
        ``[A]``: targets were standardised as ``(y - center) / scale``.
    losses
        ``[num_steps]``: negative ELBO per observed entry at each step (after a
        warm start those of the last fit only).
    n_obs
        Observed entries in the loss.
    n_assets, n_features
        Panel width the state applies to.
    rows
        First training position and one past the last, as given by
        ``train_index``, else relative to ``X_train``.
    seed
        Seed of the fit.
    carry
        For a model with a hidden chain: ``ends [n]``, the last position of each
        contiguous stretch of training rows, and ``filtered [n, G]``, the law of
        the chain's state there given that stretch, averaged over the posterior.
        Else empty.
    report
        Diagnostics of the fit.
    """

    backend: str
    model_name: str
    guide_name: str
    params: Mapping[str, FloatArray]
    center: FloatArray
    scale: FloatArray
    losses: FloatArray
    n_obs: int
    n_assets: int
    n_features: int
    rows: tuple[int, int]
    seed: int
    carry: Mapping[str, FloatArray] = field(default_factory=dict)
    report: FitReport | None = None

    def __post_init__(self) -> None:
        mappings = (*self.params.values(), *self.carry.values())
        for array in (self.center, self.scale, self.losses, *mappings):
            array.setflags(write=False)

    def require(self, model_name: str, guide_name: str, n_assets: int, n_features: int) -> None:
        """Raise ModelError unless the state belongs to this model and panel width."""
        have = (self.model_name, self.guide_name, self.n_assets, self.n_features)
        want = (model_name, guide_name, n_assets, n_features)
        if have != want:
            raise ModelError(
                "the state does not fit: it holds (model, guide, assets, features) = "
                f"{have}, but {want} is asked for"
            )

    def save(self, path: str | Path) -> Path:
        """Write ``<path>.safetensors`` and ``<path>.json``; returns the JSON path.

        Both files are written atomically; the JSON holds the digest of the
        weights and of itself, so a changed or foreign file is refused.
        """
        weights = _weights_path(Path(path))
        tensors = {
            f"{kind}.{name}": np.asarray(array, order="C")
            for kind in _MAPPINGS
            for name, array in getattr(self, kind).items()
        }
        tensors |= {name: np.asarray(getattr(self, name), order="C") for name in _ARRAYS}
        numpy_io = _extras.require("safetensors.numpy", "storing a fitted model")
        content = numpy_io.save(tensors)
        meta: dict[str, Any] = {"format": _FORMAT, "version": _VERSION}
        meta |= {f.name: getattr(self, f.name) for f in fields(self) if f.name in _SCALARS}
        meta["rows"] = list(self.rows)
        meta["report"] = None if self.report is None else self.report.to_dict()
        meta["weights_sha256"] = hashlib.sha256(content).hexdigest()
        meta["sha256"] = digest(meta)
        _files.write_bytes(weights, content)
        sidecar = weights.with_suffix(".json")
        _files.write_json(sidecar, meta)
        return sidecar

    @classmethod
    def load(cls, path: str | Path) -> FitState:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ArtifactError
            A file is missing, damaged, changed since it was written, or is not
            a fitted state. Pickled files are never opened.
        """
        weights = _weights_path(Path(path))
        sidecar = weights.with_suffix(".json")
        meta = _files.read_json(sidecar)
        if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
            raise ArtifactError(f"{sidecar} is not a fitted state of fastpanel")
        if meta.get("version") != _VERSION:
            raise ArtifactError(
                f"{sidecar} has format version {meta.get('version')}; this release reads {_VERSION}"
            )
        if meta.pop("sha256", None) != digest(meta):
            raise ArtifactError(f"{sidecar} was changed after it was written; fit again")
        tensors = _read_weights(weights, meta["weights_sha256"])
        rest: dict[str, Any] = {name: meta[name] for name in _SCALARS}
        for kind in _MAPPINGS:
            rest[kind] = {
                name.removeprefix(f"{kind}."): array
                for name, array in tensors.items()
                if name.startswith(f"{kind}.")
            }
        rest |= {name: tensors[name] for name in _ARRAYS}
        report = None if meta["report"] is None else FitReport.from_dict(meta["report"])
        return cls(report=report, rows=tuple(meta["rows"]), **rest)


_SCALARS = ("backend", "model_name", "guide_name", "n_obs", "n_assets", "n_features", "seed")


def refuse_pickle(path: Path) -> None:
    """Raise ArtifactError for a name that pickled files bear."""
    if path.suffix in {".pkl", ".pickle", ".pt", ".joblib"}:
        raise ArtifactError(
            f"{path}: pickled files can run code when they are opened and are never used; "
            "states are stored as .safetensors with a .json beside it"
        )


def _weights_path(path: Path) -> Path:
    if path.suffix in {".json", ".safetensors"}:
        path = path.with_suffix("")
    refuse_pickle(path)
    return path.with_name(path.name + ".safetensors")


def digest(meta: Mapping[str, Any]) -> str:
    """Digest of what a JSON file says."""
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _read_weights(path: Path, expected: str) -> dict[str, FloatArray]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from None
    if hashlib.sha256(content).hexdigest() != expected:
        raise ArtifactError(f"{path} does not hold the weights that its JSON file names")
    numpy_io = _extras.require("safetensors.numpy", "loading a fitted model")
    tensors: dict[str, FloatArray] = numpy_io.load(content)
    return tensors
