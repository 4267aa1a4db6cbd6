"""Section ``tuning``: which candidates are tried, and where."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

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


class OptunaSpec(StrictModel):
    """The study beside the run, and who proposes candidates."""

    sampler: Literal["plan", "tpe", "gp", "qmc", "random"] = "plan"
    """``plan``: the stratified Sobol plan. Else the named sampler proposes candidates on the
    inner splits of the earliest outer fold; the later folds judge the same candidates."""
    storage: str | None = None
    """Null: a journal file in the run's folder; or ``sqlite:///...``, ``postgresql://...``."""
    workers: Positive = 1
    """Processes that fit batches; the results do not depend on it."""
    generation: Positive = 8
    """Candidates that a sampler proposes before it hears how they did."""
    pruner: Literal["none", "median", "successive_halving"] = "none"
    """Gives up on a candidate of a sampler after some of its splits, in split order."""


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
    optuna: OptunaSpec = OptunaSpec()

    @field_validator("engine")
    @classmethod
    def _engine_exists(cls, engine: str) -> str:
        known = sorted(engine_registry())
        if engine not in known:
            raise ValueError(f"there is no such engine; choose one of {', '.join(known)}")
        return engine

    @model_validator(mode="after")
    def _sampler_has_a_study(self) -> Self:
        sampler = self.optuna.sampler
        if sampler != "plan" and self.engine != "optuna":
            raise ValueError(
                f"optuna.sampler '{sampler}' needs engine 'optuna'; the engine is '{self.engine}'"
            )
        if sampler != "plan" and not self.space:
            raise ValueError(f"optuna.sampler '{sampler}' has nothing to vary: space is empty")
        if sampler == "plan" and self.optuna.pruner != "none":
            raise ValueError(
                "optuna.pruner needs a sampler: every candidate of a plan is scored on all splits"
            )
        return self

    @field_validator("space")
    @classmethod
    def _tunable(cls, space: tuple[ParameterSpec, ...]) -> tuple[ParameterSpec, ...]:
        for spec in space:
            root = spec.path.partition(".")[0]
            if root not in {"model", "training"}:
                raise ValueError(f"{spec.path}: only model.* and training.* can be tuned")
        return parse_space(space)
