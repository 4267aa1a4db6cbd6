"""A fitted model with everything that turns a panel into forecasts, in one folder."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel import _files
from fastpanel.errors import ArtifactError, DataError, ModelError
from fastpanel.models._api import fit, predict
from fastpanel.models._config import parse_config
from fastpanel.models._state import FitState, digest, refuse_pickle
from fastpanel.typing import ArrayLike, FloatArray, IntArray, TimeArray

if TYPE_CHECKING:
    from fastpanel.data import Panel
    from fastpanel.preprocess import PreprocessState

_FORMAT = "fastpanel.models.Forecaster"
_VERSION = 1
_NAME = "forecaster.json"
_STATE = re.compile(r"state-[0-9a-f]{16}")


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A fitted model, its scaler and the names of what it reads.

    Attributes
    ----------
    state
        The fit.
    config
        Sections ``model`` and ``training`` and the ``seed`` it was fitted with.
    transform
        Fitted :class:`~fastpanel.preprocess.PreprocessState`, or None: features
        are used as they are.
    assets, features
        Names that a panel must have, in this order.
    trained_until
        Time of the last training row.

    Examples
    --------
    >>> import tempfile
    >>> from fastpanel.data import Panel
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2024-01-05") + 7 * np.arange(40)
    >>> X, y = rng.normal(size=(40, 2, 1)), rng.normal(size=(40, 2))
    >>> panel = Panel(X, weeks, assets=["A", "B"], features=["x"], targets=y)
    >>> config = {"training": {"svi": {"num_steps": 10}}}
    >>> forecaster = Forecaster.fit(panel[:39], config)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = forecaster.save(folder + "/weekly")
    ...     forecast = load(path).predict(panel, num_samples=50)
    >>> forecast["samples"].shape, str(forecast["times"][0])[:10]
    ((50, 1, 2), '2024-10-04')
    """

    state: FitState
    config: Mapping[str, Any]
    transform: PreprocessState | None
    assets: tuple[str, ...]
    features: tuple[str, ...]
    trained_until: np.datetime64

    @classmethod
    def fit(
        cls,
        panel: Panel,
        config: Mapping[str, Any],
        *,
        transform: PreprocessState | None = None,
        rows: ArrayLike | None = None,
    ) -> Forecaster:
        """Fit a model to the training rows of a panel with targets.

        Parameters
        ----------
        panel
            With targets ``[T, A]`` of each row.
        config
            As for :func:`fastpanel.models.fit`.
        transform
            A scaler fitted on no other rows than these.
        rows
            Positions of the training rows, increasing; None: all.

        Raises
        ------
        DataError
            The panel has no targets.
        """
        if panel.targets is None:
            raise DataError("the panel has no targets; give panel.with_targets(returns)")
        index: IntArray = np.arange(len(panel)) if rows is None else np.asarray(rows)
        if transform is not None and transform.train_intervals[-1, 1] > index[-1] + 1:
            raise DataError(
                f"the scaler saw rows up to {transform.train_intervals[-1, 1]}, but training ends "
                f"at row {index[-1]}: it knows the future"
            )
        X = _features(transform, panel.values[index], panel.mask[index])
        parsed = parse_config(config).model_dump(mode="json")
        state = fit(X, panel.targets[index], {**config, "train_index": index})
        last = panel.times[index[-1]]
        return cls(state, parsed, transform, tuple(panel.assets), tuple(panel.features), last)

    def predict(self, panel: Panel, num_samples: int = 1000) -> dict[str, FloatArray | TimeArray]:
        """Forecast the rows of a panel that follow the training.

        Parameters
        ----------
        panel
            The same assets; the features by name, others may be there. Rows up to
            the last training row are passed over; where that row is present,
            later rows are counted from it, else the first row is the next one.
        num_samples
            S.

        Returns
        -------
        dict
            ``"samples" [S, T, A]`` and ``"mean" [T, A]`` in the unit of the
            targets, and ``"times" [T]``.

        Raises
        ------
        ModelError
            Other assets, a missing feature, or no row after the training.
        """
        if tuple(panel.assets) != self.assets:
            raise ModelError(
                f"the panel has assets {list(panel.assets)}, but the forecaster was fitted on "
                f"{list(self.assets)}; order them with panel.sel(assets=...)"
            )
        if missing := [name for name in self.features if name not in panel.features]:
            raise ModelError(f"the panel lacks features {missing} of the forecaster")
        later = np.flatnonzero(panel.times > self.trained_until)
        if not len(later):
            raise ModelError(
                f"no row of the panel is later than the last training row {self.trained_until}"
            )
        known = np.flatnonzero(panel.times == self.trained_until)
        before = int(known[0]) if len(known) else int(later[0]) - 1
        position = self.state.rows[1] - 1 + later - before
        rows = panel.sel(features=list(self.features))[later]
        X = _features(self.transform, rows.values, rows.mask)
        settings = {**self.config, "predict_index": position}
        forecast = predict(X, self.state, settings, num_samples)
        return {**forecast, "times": rows.times}

    def save(self, folder: str | Path) -> Path:
        """Write the forecaster to a folder (made if need be); returns the folder.

        The weights are safetensors, the rest JSON; every file is written whole, and
        the one that names the others last, so that a folder holds the old
        forecaster or the new one at any moment.
        """
        folder = Path(folder)
        refuse_pickle(folder)
        folder.mkdir(parents=True, exist_ok=True)
        scratch = self.state.save(folder / "state-new")
        content = scratch.read_bytes()
        name = f"state-{hashlib.sha256(content).hexdigest()[:16]}"
        for suffix in (".safetensors", ".json"):
            scratch.with_suffix(suffix).replace(folder / f"{name}{suffix}")
        meta: dict[str, Any] = {
            "format": _FORMAT,
            "version": _VERSION,
            "state": name,
            "state_sha256": hashlib.sha256(content).hexdigest(),
            "config": dict(self.config),
            "assets": list(self.assets),
            "features": list(self.features),
            "trained_until": str(self.trained_until),
            "transform": None if self.transform is None else self.transform.to_dict(),
        }
        meta["sha256"] = digest(meta)
        _files.write_json(folder / _NAME, meta)
        for old in folder.glob("state-*"):
            if _STATE.fullmatch(old.stem) and old.stem != name:
                with contextlib.suppress(OSError):
                    old.unlink()
        return folder


def load(folder: str | Path) -> Forecaster:
    """Read what :meth:`Forecaster.save` wrote.

    Parameters
    ----------
    folder : path
        The folder of one forecaster.

    Returns
    -------
    Forecaster
        Its forecasts are those of the one that was saved, bit for bit on the same
        machine and versions.

    Raises
    ------
    ArtifactError
        A file is missing, was changed, is of a newer format or of something
        else. Pickled files are never opened.

    Examples
    --------
    >>> load("no/such/folder")
    Traceback (most recent call last):
        ...
    fastpanel.errors.ArtifactError: missing file: no/such/folder/forecaster.json
    """
    folder = Path(folder)
    refuse_pickle(folder)
    path = folder / _NAME
    meta = _files.read_json(path)
    if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
        raise ArtifactError(f"{path} is not a saved forecaster of fastpanel")
    if meta.get("version") != _VERSION:
        raise ArtifactError(
            f"{path} has format version {meta.get('version')}; this release reads {_VERSION}"
        )
    if meta.pop("sha256", None) != digest(meta) or not _STATE.fullmatch(str(meta["state"])):
        raise ArtifactError(f"{path} was changed after it was written; save the forecaster again")
    sidecar = folder / f"{meta['state']}.json"
    try:
        content = sidecar.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {sidecar}: {error.strerror or error}") from None
    if hashlib.sha256(content).hexdigest() != meta["state_sha256"]:
        raise ArtifactError(f"{sidecar} is not the state that {path} names")
    saved = meta["transform"]
    if saved is not None:
        # a sibling package: loaded by name, so that fitting needs no scaler and scaling no model
        saved = importlib.import_module("fastpanel.preprocess").PreprocessState.from_dict(saved)
    return Forecaster(
        state=FitState.load(sidecar),
        config=meta["config"],
        transform=saved,
        assets=tuple(meta["assets"]),
        features=tuple(meta["features"]),
        trained_until=np.datetime64(meta["trained_until"]),
    )


def _features(transform: PreprocessState | None, values: Any, mask: Any) -> FloatArray:
    if transform is not None:
        return transform.transform(values, mask)
    return np.where(mask, np.nan, values)
