"""One entry of ``tuning.space``: what may vary, between which bounds, on which scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from fastpanel.config import StrictModel, parse

Scalar = bool | int | float | str | None


class ParameterSpec(StrictModel):
    """A parameter that the tuner varies."""

    path: str
    """Dot-separated target in the configuration, such as ``training.svi.learning_rate``."""
    type: Literal["float", "int", "categorical", "bool"]
    """Categorical and bool parameters define strata."""
    bounds: tuple[float, float] | None = None
    """Low and high, inclusive; for float and int."""
    values: tuple[Scalar, ...] | None = None
    """For categorical; bool takes both truth values when left out."""
    transform: Literal["linear", "log", "log10", "none"] = "linear"
    """Scale of even spread; log and log10 give the same points, none equals linear."""
    when: Mapping[str, Any] | None = None
    """Other categorical paths and the value (or values) at which this one is active."""

    @field_validator("path")
    @classmethod
    def _path_has_parts(cls, path: str) -> str:
        if not path or any(not part for part in path.split(".")):
            raise ValueError("path must be dot-separated names")
        return path

    @model_validator(mode="after")
    def _domain(self) -> Self:
        if self.is_discrete:
            if self.bounds is not None:
                raise ValueError(f"{self.path}: a {self.type} parameter takes values, not bounds")
            if self.type == "categorical" and not self.values:
                raise ValueError(f"{self.path}: a categorical parameter needs values")
            if self.values is not None and len(set(map(repr, self.values))) != len(self.values):
                raise ValueError(f"{self.path}: values repeat")
            return self
        if self.bounds is None or self.values is not None:
            raise ValueError(f"{self.path}: a {self.type} parameter needs bounds and no values")
        low, high = self.bounds
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"{self.path}: bounds must be finite with low < high")
        if self.transform in {"log", "log10"} and low <= 0:
            raise ValueError(f"{self.path}: a {self.transform} transform needs bounds above 0")
        if self.type == "int" and (low != int(low) or high != int(high)):
            raise ValueError(f"{self.path}: int bounds must be whole numbers")
        return self

    @property
    def is_discrete(self) -> bool:
        """Whether the parameter defines strata."""
        return self.type in {"categorical", "bool"}

    @property
    def choices(self) -> tuple[Scalar, ...]:
        """Values of a discrete parameter."""
        return self.values if self.values is not None else (False, True)

    def at(self, u: float) -> float | int:
        """The value at position ``u`` in [0, 1) of a continuous or integer parameter."""
        assert self.bounds is not None
        low, high = self.bounds
        if self.type == "int":
            high += 1
        if self.transform in {"log", "log10"}:
            value = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        else:
            value = low + u * (high - low)
        if self.type == "int":
            return min(math.floor(value), int(high) - 1)
        return min(max(value, low), high)

    def active(self, chosen: Mapping[str, Any]) -> bool:
        """Whether ``when`` holds among the discrete values ``chosen``."""
        for path, wanted in (self.when or {}).items():
            allowed = wanted if isinstance(wanted, list | tuple) else (wanted,)
            if path not in chosen or chosen[path] not in allowed:
                return False
        return True


class _Space(StrictModel):
    space: tuple[ParameterSpec, ...]

    @model_validator(mode="after")
    def _paths(self) -> Self:
        paths = [spec.path for spec in self.space]
        for path in paths:
            if paths.count(path) > 1:
                raise ValueError(f"{path} appears twice")
        discrete = {spec.path for spec in self.space if spec.is_discrete}
        for spec in self.space:
            for path in spec.when or {}:
                if path not in discrete or path == spec.path:
                    raise ValueError(
                        f"{spec.path}: when names '{path}', which is not another "
                        "categorical or bool parameter of the space"
                    )
        return self


def parse_space(
    space: Iterable[Mapping[str, Any] | ParameterSpec],
) -> tuple[ParameterSpec, ...]:
    """Validate a search space.

    Parameters
    ----------
    space : iterable of mapping or ParameterSpec
        The list of ``tuning.space``.

    Returns
    -------
    tuple of ParameterSpec

    Raises
    ------
    ConfigError
        Names every wrong entry by its position and field.

    Examples
    --------
    >>> parse_space([{"path": "model.params.num_factors", "type": "int", "bounds": [1, 4]}])[0].path
    'model.params.num_factors'
    """
    entries = [spec.model_dump() if isinstance(spec, ParameterSpec) else spec for spec in space]
    return parse(_Space, {"space": entries}, source="tuning.space").space
