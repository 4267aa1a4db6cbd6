"""Checks of what users hand in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastpanel._runtime import canonical
from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.typing import ArrayLike, BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Cube:
    """Values ``[T, A, F]`` with an optional mask, ready for the core.

    ``absent [T, A]`` says where an asset is not there at all.
    """

    values: FloatArray
    mask: BoolArray | None
    assets: tuple[str, ...]
    absent: BoolArray | None = None

    @classmethod
    def check(
        cls,
        X: ArrayLike,
        mask: ArrayLike | None,
        asset_names: Sequence[str] | None = None,
        absent: ArrayLike | None = None,
    ) -> Cube:
        """Check shapes and dtypes; copies only what is not canonical."""
        values = canonical(X, "X", ndim=3)
        if 0 in values.shape[1:]:
            raise ShapeError(f"X {values.shape} has no assets or no features")
        assets = asset_names or [f"asset {a}" for a in range(values.shape[1])]
        if len(assets) != values.shape[1]:
            raise ShapeError(
                f"asset_names has {len(assets)} names, but X {values.shape} has "
                f"{values.shape[1]} assets"
            )
        return cls(
            values,
            _check_mask("mask", mask, values.shape, "missing"),
            tuple(map(str, assets)),
            _check_mask("absent", absent, values.shape[:2], "not there"),
        )

    def entries(self, rows: IntArray) -> int:
        """Asset-weeks of some rows in which the asset is there."""
        whole = len(rows) * self.values.shape[1]
        away = 0 if self.absent is None else int(self.absent[rows].sum())
        return int(whole - away)

    def observed(self, rows: IntArray, features: IntArray) -> FloatArray:
        """Return the values of some rows and features as a copy, NaN where missing."""
        values = self.values[rows][:, :, features]
        if self.mask is not None:
            values[self.mask[rows][:, :, features]] = np.nan
        return values


def _check_mask(
    name: str, mask: ArrayLike | None, shape: tuple[int, ...], meaning: str
) -> BoolArray | None:
    if mask is None:
        return None
    array = np.asarray(mask)
    if array.shape != shape:
        raise ShapeError(f"{name} has shape {array.shape}, X has {shape}")
    if array.dtype != np.bool_:
        raise ParameterError(f"{name} must be bool (True = {meaning}), got dtype {array.dtype}")
    return np.ascontiguousarray(array)


def check_names(feature_names: Sequence[str], count: int) -> tuple[str, ...]:
    """Return one distinct name per feature, or raise."""
    if isinstance(feature_names, str):
        raise ParameterError(f"feature_names must be a sequence of names, got {feature_names!r}")
    names = tuple(map(str, feature_names))
    if len(names) != count:
        raise ShapeError(f"feature_names has {len(names)} names, but X has {count} features")
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ParameterError(f"feature_names must be distinct, repeated: {twice}")
    return names


def check_rows(rows: Any, times: int, what: str = "rows") -> IntArray:
    """Return training rows as ascending ``int64``, from a bool mask, positions or None (all)."""
    if times == 0:
        raise ParameterError("X has no rows: nothing to fit on")
    if rows is None:
        return np.arange(times, dtype=np.int64)
    array = np.asarray(rows)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "biu"):
        raise ParameterError(
            f"{what} must be a bool mask [T] or row positions, got {array.dtype} {array.shape}"
        )
    if array.dtype == np.bool_:
        if len(array) != times:
            raise ShapeError(f"{what} as a mask has {len(array)} entries, X has {times} times")
        array = np.flatnonzero(array)
    out = np.sort(array.astype(np.int64))
    if not len(out):
        raise ParameterError(f"{what} is empty: nothing to fit on")
    if out[0] < 0 or out[-1] >= times:
        bad = out[0] if out[0] < 0 else out[-1]
        raise ParameterError(f"{what} holds position {bad}, but X has rows 0..{times - 1}")
    if (twice := out[1:][out[1:] == out[:-1]]).size:
        raise ParameterError(f"{what} holds row {twice[0]} more than once")
    return out


def raise_non_finite(cube: Cube, names: Sequence[str], rows: IntArray) -> None:
    """Name the first infinite (or too large) observed value of the training rows."""
    for t in rows:
        with np.errstate(over="ignore", invalid="ignore"):
            row = cube.observed(np.array([t]), np.arange(len(names)))[0]
            bad = np.argwhere(np.isinf(row * row))
        if len(bad):
            a, f = bad[0]
            raise DataError(
                f"feature '{names[f]}' of asset '{cube.assets[a]}' is {row[a, f]} in training row "
                f"{t}; mark it as missing or clean it before fitting"
            )
    raise DataError("training values are too large: their squares overflow")
