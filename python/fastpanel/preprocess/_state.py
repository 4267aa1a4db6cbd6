"""What a fit has learned, and the transform that applies it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np

from fastpanel import _core
from fastpanel.config import parse
from fastpanel.errors import ParameterError, ShapeError
from fastpanel.preprocess._input import Cube
from fastpanel.preprocess._kinds import Kind
from fastpanel.preprocess._spec import PreprocessingSpec
from fastpanel.typing import ArrayLike, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False, repr=False)
class PreprocessState:
    """Frozen result of :meth:`PanelPreprocessor.fit`; arrays are read-only.

    Attributes
    ----------
    feature_names : tuple of str
        Input features, in the order of the last axis of X.
    kept : tuple of str
        Features that stay, in column order.
    kept_index : int64 [K]
        Their positions in ``feature_names``.
    kinds : tuple of {"continuous", "breakout", "rank"}
        Rule of each kept feature.
    dropped : mapping of str to str
        Dropped feature to reason, in the order of the stages (missingness,
        variance, duplicates).
    median, scale : float64 [A, K]
        Shift and divisor. A breakout has its training share p and
        sqrt(p (1 - p) + floor), a rank 0 and 1, a feature without any training
        observation of that asset 0 and 1.
    guarded : bool [A, K]
        Set to 0: nearly constant, or never observed in training.
    winsor_low, winsor_high : float64 [K]
        Bounds of raw values; infinite for breakouts and ranks.
    train_intervals : int64 [n, 2]
        Half-open intervals of the rows that the statistics come from.
    spec : PreprocessingSpec
    """

    feature_names: tuple[str, ...]
    kept: tuple[str, ...]
    kept_index: IntArray
    kinds: tuple[Kind, ...]
    dropped: Mapping[str, str]
    median: FloatArray
    scale: FloatArray
    guarded: BoolArray
    winsor_low: FloatArray
    winsor_high: FloatArray
    train_intervals: IntArray
    spec: PreprocessingSpec

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropped", MappingProxyType(dict(self.dropped)))
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value = np.ascontiguousarray(value)
                value.flags.writeable = False
                object.__setattr__(self, field.name, value)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of :meth:`transform`: kept features, then ``<feature>__missing`` channels."""
        if not self.spec.append_mask_as_features:
            return self.kept
        return (*self.kept, *(f"{name}__missing" for name in self.kept))

    def transform(self, X: ArrayLike, mask: ArrayLike | None = None) -> FloatArray:
        """Scale any block of rows, exactly as it would be scaled inside the whole panel.

        Parameters
        ----------
        X : array-like [T, A, F]
            Same assets and features as in the fit; any rows.
        mask : bool array-like [T, A, F], optional
            True = missing, like NaN.

        Returns
        -------
        float64 [T, A, K], or [T, A, 2 K] with mask channels
            Missing entries are 0 with ``impute_missing_to_zero``, else NaN.

        Raises
        ------
        ShapeError
            Other assets or features than in the fit.

        Notes
        -----
        One pass over X; cost O(T A K). Nothing is learned from X.
        """
        cube = Cube.check(X, mask)
        expected = (self.median.shape[0], len(self.feature_names))
        if cube.values.shape[1:] != expected:
            raise ShapeError(
                f"X has shape {cube.values.shape}, but the state was fitted on {expected[0]} "
                f"assets and {expected[1]} features"
            )
        continuous = np.array([kind == "continuous" for kind in self.kinds])
        return _core.robust_transform(
            cube.values,
            cube.mask,
            kept=self.kept_index,
            centre=self.median,
            scale=np.where(self.guarded, np.inf, self.scale),
            bounds=(self.winsor_low, self.winsor_high),
            clip=(
                np.where(continuous, self.spec.clip_min, -np.inf),
                np.where(continuous, self.spec.clip_max, np.inf),
            ),
            fill=0.0 if self.spec.impute_missing_to_zero else np.nan,
            channels=self.spec.append_mask_as_features,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON; infinite winsor bounds become None."""
        values: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            values[field.name] = value.tolist() if isinstance(value, np.ndarray) else value
        for name in ("winsor_low", "winsor_high"):
            values[name] = [v if np.isfinite(v) else None for v in values[name]]
        return {
            **values,
            "feature_names": list(self.feature_names),
            "kept": list(self.kept),
            "kinds": list(self.kinds),
            "dropped": dict(self.dropped),
            "spec": self.spec.model_dump(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PreprocessState:
        """Read what :meth:`to_dict` wrote; unknown or missing keys are a ParameterError."""
        if wrong := sorted({field.name for field in fields(cls)} ^ set(data)):
            raise ParameterError(f"PreprocessState.from_dict: unknown or missing keys {wrong}")
        shape = (-1, len(data["kept"]))

        def bound(name: str, missing: float) -> FloatArray:
            return np.array([missing if v is None else v for v in data[name]], dtype=np.float64)

        return cls(
            feature_names=tuple(data["feature_names"]),
            kept=tuple(data["kept"]),
            kept_index=np.array(data["kept_index"], dtype=np.int64),
            kinds=tuple(data["kinds"]),
            dropped=data["dropped"],
            median=np.array(data["median"], dtype=np.float64).reshape(shape),
            scale=np.array(data["scale"], dtype=np.float64).reshape(shape),
            guarded=np.array(data["guarded"], dtype=bool).reshape(shape),
            winsor_low=bound("winsor_low", -np.inf),
            winsor_high=bound("winsor_high", np.inf),
            train_intervals=np.array(data["train_intervals"], dtype=np.int64).reshape(-1, 2),
            spec=parse(PreprocessingSpec, data["spec"], source="PreprocessState"),
        )

    def __repr__(self) -> str:
        first, last = self.train_intervals[0, 0], self.train_intervals[-1, 1]
        return (
            f"PreprocessState({len(self.kept)} of {len(self.feature_names)} features, "
            f"{self.median.shape[0]} assets, training rows in [{first}, {last}))"
        )
