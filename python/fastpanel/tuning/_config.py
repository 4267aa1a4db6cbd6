"""Section ``tuning``: which candidates are tried, and where."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from fastpanel.config import StrictModel
from fastpanel.tuning._space import ParameterSpec, parse_space
from fastpanel.tuning.engines import engine_registry

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0)]


class ResourcesSpec(StrictModel):
    """What one task of a parallel engine asks for."""

    cpu: Share = 1.0
    """CPU cores per task."""
    gpu: Share = 0.0
    """GPUs per task; asked for only with ``flags.use_gpu``."""


class RaySpec(StrictModel):
    """Where Ray runs."""

    address: str | None = None
    """Null: a cluster of this machine, for this run; ``auto`` or ``ip:port``: a running one."""


class TuningConfig(StrictModel):
    """Which candidates are tried, and by which engine."""

    engine: str = "local"
    """Where the fits of the inner splits run; the results are the same in all of them."""
    space: tuple[ParameterSpec, ...] = ()
    """What varies between candidates; empty: the configuration as it is."""
    num_samples: Positive = 1
    """Candidates over all strata: a power of two for each."""
    seed: Annotated[int, Field(ge=0)] = 123
    """Of the Sobol points."""
    aggregate: Literal["mean", "median"] = "mean"
    """Of a candidate's scores over splits, used when selection is off."""
    batch_units: Positive = 64
    """Most (candidate, split) fits that run and are recorded together."""
    resources: ResourcesSpec = ResourcesSpec()
    ray: RaySpec = RaySpec()

    @field_validator("engine")
    @classmethod
    def _engine_exists(cls, engine: str) -> str:
        known = sorted(engine_registry())
        if engine not in known:
            raise ValueError(f"there is no such engine; choose one of {', '.join(known)}")
        return engine

    @field_validator("space")
    @classmethod
    def _tunable(cls, space: tuple[ParameterSpec, ...]) -> tuple[ParameterSpec, ...]:
        for spec in space:
            root = spec.path.partition(".")[0]
            if root not in {"model", "training"}:
                raise ValueError(f"{spec.path}: only model.* and training.* can be tuned")
        return parse_space(space)
