"""Training arrays as every back end wants them: checked, standardised, windowed."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastpanel._runtime import canonical
from fastpanel.errors import DataError, ShapeError
from fastpanel.models._chain import stretch_ends
from fastpanel.models._config import FitConfig, SVIConfig
from fastpanel.models._windows import Window, build_windows, group_windows, segments
from fastpanel.typing import BoolArray, FloatArray

_LARGE = 1e3  # typical size above which priors of order 1 cannot fit
_MAD_TO_SIGMA = 1.4826022185056018  # 1 / Phi^-1(3/4)


@dataclass(frozen=True, eq=False)
class Prepared:
    """One fit's data: ``y`` standardised with 0 at missing entries.

    ``stretches`` are the contiguous row ranges, ``ends`` the position of the
    last row of each on the full time axis.
    """

    X: FloatArray
    y: FloatArray
    missing: BoolArray
    center: FloatArray
    scale: FloatArray
    rows: tuple[int, int]
    groups: list[list[Window]]
    stretches: list[tuple[int, int]]
    ends: FloatArray

    @property
    def windows(self) -> list[Window]:
        return [window for group in self.groups for window in group]

    @cached_property
    def complete(self) -> bool:
        """Every row has all its targets or none."""
        return not (self.missing.any(axis=1) & ~self.missing.all(axis=1)).any()

    def count(self, window: Window) -> int:
        """Observed entries of a window that are in the loss."""
        kept = slice(window.start + window.burn_in, window.stop)
        return int((~self.missing[kept]).sum())

    @cached_property
    def n_obs(self) -> int:
        """Observed entries in the loss of one pass."""
        return sum(self.count(window) for window in self.windows)

    @cached_property
    def key(self) -> bytes:
        """Digest of everything here that training sees."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.X, self.y, self.missing):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        digest.update(repr(self.groups).encode())
        return digest.digest()


def prepare(X: Any, y: Any, config: Mapping[str, Any], parsed: FitConfig) -> Prepared:
    """Check and standardise one job's arrays (training rows only)."""
    features, targets = _arrays(X, y)
    missing = np.isnan(targets)
    features = _finite_features(features, missing)
    _warn_scale(features, missing)
    if parsed.training.standardize_targets:
        center, scale = target_scale(targets)
    else:
        center, scale = np.zeros(targets.shape[1]), np.ones(targets.shape[1])
    standard = np.where(missing, 0.0, (targets - center) / scale)
    index = config.get("train_index")
    rows = (0, len(targets)) if index is None else (int(index[0]), int(index[-1]) + 1)
    groups = _groups(len(targets), missing, parsed.training.svi, index)
    stretches = segments(len(targets), index)
    positions = np.arange(len(targets)) if index is None else np.asarray(index)
    ends = stretch_ends(positions, stretches)
    return Prepared(features, standard, missing, center, scale, rows, groups, stretches, ends)


def prediction_features(X: Any, n_assets: int, n_features: int) -> tuple[FloatArray, BoolArray]:
    """Features with 0 at entries that have a NaN, and the mask of those entries."""
    features = canonical(X, "X_pred")
    if features.ndim != 3 or features.shape[1:] != (n_assets, n_features):
        raise ShapeError(
            f"X_pred has shape {features.shape}, but the state was fitted on "
            f"[T, {n_assets}, {n_features}]"
        )
    if len(features) == 0:
        raise ShapeError("X_pred has no rows")
    unusable = np.logical_not(np.isfinite(features).all(axis=2))
    return np.where(unusable[..., None], 0.0, features), unusable


def target_scale(y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Median and normal-consistent MAD of each asset's targets, both ``[A]``.

    An asset without spread or without two targets takes the median over the
    others; where no asset has a spread, the scale is 1.
    """
    counts = (~np.isnan(y)).sum(axis=0)
    if not counts.any():
        raise DataError("y holds no observed target (all NaN); nothing to fit")
    center = np.array([np.nanmedian(c) if n else np.nan for c, n in zip(y.T, counts, strict=True)])
    center = np.where(counts > 0, center, np.nanmedian(center))
    spread = np.array(
        [
            np.nanmedian(np.abs(c)) if n > 1 else 0.0
            for c, n in zip((y - center).T, counts, strict=True)
        ]
    )
    scale = spread * _MAD_TO_SIGMA
    fallback = np.median(scale[scale > 0]) if (scale > 0).any() else 1.0
    return center, np.where(scale > 0, scale, fallback)


def _arrays(X: Any, y: Any) -> tuple[FloatArray, FloatArray]:
    features, targets = canonical(X, "X_train"), canonical(y, "y_train")
    if features.ndim != 3:
        raise ShapeError(f"X_train has shape {features.shape}; give [T, A, F]")
    if targets.shape != features.shape[:2]:
        raise ShapeError(
            f"y_train has shape {targets.shape}, but X_train {features.shape}: "
            f"give y_train as {features.shape[:2]}"
        )
    if 0 in features.shape[:2]:
        raise ShapeError(f"X_train has shape {features.shape}: no rows or no assets")
    if np.isinf(targets).any():
        row, asset = np.argwhere(np.isinf(targets))[0]
        raise DataError(f"y_train is infinite at row {row}, asset {asset}; use NaN for missing")
    return features, targets


def _finite_features(features: FloatArray, missing: BoolArray) -> FloatArray:
    bad = ~np.isfinite(features)
    if not bad.any():
        return features
    wrong = np.argwhere(bad & ~missing[..., None])
    if len(wrong):
        row, asset, column = wrong[0]
        raise DataError(
            f"X_train is {features[row, asset, column]} at row {row}, asset {asset}, feature "
            f"{column}, where the target is observed; impute it or set the target to NaN"
        )
    return np.where(bad, 0.0, features)


def _warn_scale(features: FloatArray, missing: BoolArray) -> None:
    if features.shape[2] == 0 or missing.all():
        return
    typical = np.median(np.abs(features[~missing]), axis=0)
    worst = int(np.argmax(typical))
    if typical[worst] > _LARGE:
        warnings.warn(
            f"feature {worst} has a typical size of {typical[worst]:.3g}; priors and step sizes "
            "are meant for features of order 1, so scale it first",
            stacklevel=2,
        )


def _groups(n_rows: int, missing: BoolArray, svi: SVIConfig, index: Any) -> list[list[Window]]:
    windows = build_windows(
        n_rows,
        svi.tbptt_window_len,
        svi.tbptt_burn_in_len,
        train_index=index,
        overlap_burn_in=svi.overlap_burn_in,
    )
    observed = [w for w in windows if not missing[w.start + w.burn_in : w.stop].all()]
    if not observed:
        raise DataError("every observed target lies in a burn-in row; nothing to fit")
    return group_windows(observed, svi.tbptt_window_len, svi.grad_accum_steps)
