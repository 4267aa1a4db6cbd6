"""Every key of the simulation configuration, its default and its domain."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from fastpanel import models
from fastpanel.config import StrictModel, parse
from fastpanel.data import simulated_market
from fastpanel.diagnostics import DiagnosticsSpec
from fastpanel.errors import ConfigError
from fastpanel.portfolio import OUTER_METRICS, AllocationSpec, CostSpec
from fastpanel.preprocess import PreprocessingSpec
from fastpanel.selection import SelectionSpec
from fastpanel.simulation.tracking._config import TrackingConfig
from fastpanel.tuning import TuningConfig, database_url

Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]

SIMULATED = "simulated"
"""Value of ``bars`` that stands for the embedded simulated market."""


class DatasetParams(StrictModel):
    """Where bars come from and how they become features and targets."""

    bars: str | None = None
    """Path or glob of bar files, or ``simulated``; null: inputs come from the stores."""
    feature_store: str | None = None
    """Folder of feature groups by week; null: ``FEATURE_STORE_SOURCE``."""
    data_lake: str | None = None
    """Folder of cleaned data by week; null: ``DATA_LAKE_SOURCE``."""
    simulated: dict[str, Any] = Field(default_factory=dict)
    """Arguments of ``fp.data.simulated_market`` when ``bars`` is ``simulated``."""
    assets: tuple[str, ...] | None = None
    """Assets to keep; null: all."""
    start: str | None = None
    """First month, day or time of bars to use; null: from the beginning."""
    end: str | None = None
    """Last one; null: to the end."""
    calendar: str | None = None
    """Exchange whose sessions the days of ``bars`` are, such as ``XNYS``; null: days of UTC."""
    return_type: Literal["simple", "log"] = "simple"
    """Kind of weekly return that is predicted."""
    groups: Literal["all"] | tuple[str, ...] = "all"
    """Feature groups, or all."""
    features: tuple[str, ...] | None = None
    """Keys of single features; null: all of the groups."""
    allow_ragged: bool = False
    """Let assets start late, end early and pause; they are masked meanwhile."""
    target_shift: Positive = 1
    """y[t] is the return of week t + this."""
    target_scale: Positive = 1_000_000
    """y is the return times this."""
    prefix_feature_names: bool = True
    """Name columns <group>__<feature>."""

    @field_validator("simulated")
    @classmethod
    def _arguments(cls, given: dict[str, Any]) -> dict[str, Any]:
        known = set(signature(simulated_market).parameters)
        if unknown := sorted(set(given) - known):
            raise ValueError(f"no argument {unknown[0]!r}; there are {', '.join(sorted(known))}")
        return given


class DataConfig(StrictModel):
    """Inputs and output folder."""

    simulation_output_path: str | None = None
    """Label of the run below ``SIMULATION_SOURCE``; null: the ISO week of the newest row."""
    loader: Literal["feature_store_panel"] = "feature_store_panel"
    """Fixed; from Python, ``run(loader=...)`` takes a registered one."""
    dataset_params: DatasetParams = DatasetParams()


class CVConfig(StrictModel):
    """Outer walk-forward and inner CPCV, in rows (weeks)."""

    warmup_len: NonNegative = 52
    """First weeks, never tested on."""
    group_len: Positive = 52
    """Weeks per group."""
    horizon: Positive = 1
    """Weeks until a label is known; at least target_shift."""
    embargo_len: NonNegative = 4
    """Weeks after a test block that leave training, beside the purged ones."""
    q: Positive = 2
    """Test groups per inner split."""
    max_inner_combos: Positive | None = None
    """Most inner splits per fold, chosen in balance; null: all combinations."""
    seed: NonNegative = 123
    """Of every fit and every draw."""
    exclude_warmup: bool = False
    """Keep the warm-up out of training too."""


class PrebuildConfig(StrictModel):
    """Data-driven defaults, computed once before tuning."""

    enabled: bool = False
    """Run a hook once before tuning."""
    name: str | None = None
    """A registered prebuild hook."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Passed to the hook."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.enabled and self.name is None:
            raise ValueError("prebuild.name is required when prebuild.enabled is true")
        return self


class ModelSection(models.ModelConfig):
    """Registered model and guide, and their prebuild hook."""

    prebuild: PrebuildConfig = PrebuildConfig()  # type: ignore[assignment]


class ScoreSpec(StrictModel):
    """The inner metric and its settings."""

    metric_name: str = "neg_mse"
    """A registered inner metric; higher is better."""
    mad_eps: Annotated[float, Field(ge=0.0)] = 1e-12
    """Added to the MAD by which targets are scaled for scoring."""
    eps: Annotated[float, Field(ge=0.0)] = 1e-5
    """Jitter on the diagonal of the whitening covariance."""
    var_floor: Annotated[float, Field(ge=0.0)] = 0.0
    """Added to that diagonal before the jitter."""
    estimator: Literal["nrg", "fair"] = "nrg"
    """Energy score and CRPS over all pairs of draws (nrg) or over distinct ones (fair)."""


class ScoringConfig(StrictModel):
    """Inner scoring."""

    spec: ScoreSpec = ScoreSpec()


class PredictiveConfig(StrictModel):
    """Draws of the predictive distribution."""

    num_samples: Annotated[int, Field(ge=2)] = 256
    """Draws per forecast."""


class OuterConfig(StrictModel):
    """Outer walk-forward."""

    test_groups: Literal["all", "last"] | tuple[NonNegative, ...] = "all"
    """Groups to forecast: all that have enough history, the last, or a list."""
    warm_start: bool = True
    """Start a week's fit from the week before."""
    refit_every: Positive = 1
    """Weeks between model refits; the scaler is refitted every week."""
    update_steps: NonNegative | None = None
    """SVI steps of a warm-started refit; null: ``training.svi.num_steps``."""
    metrics: tuple[str, ...] = OUTER_METRICS
    """Registered outer metrics of the summary, per fold and over all."""


class FlagsConfig(StrictModel):
    """Run mode and switches."""

    use_feature_names_for_scaling: bool = True
    """Treat brk_* and cs_rank_* features by their kind."""
    use_gpu: bool = False
    """Use a GPU where there is one."""
    simulation_mode: Literal["full", "stub", "dry_run"] = "full"
    """Real models, a stand-in that needs none, or inputs and plan only."""
    stop_after: Literal["inputs", "cv", "inner", "outer", "results"] | None = None
    """End the run after this stage; null: run to the end."""


class SimulationConfig(StrictModel):
    """The whole configuration of one nested-CV run."""

    data: DataConfig = DataConfig()
    cv: CVConfig = CVConfig()
    preprocessing: PreprocessingSpec = PreprocessingSpec()
    model: ModelSection = ModelSection()
    training: models.TrainingConfig = models.TrainingConfig()
    tuning: TuningConfig = TuningConfig()
    scoring: ScoringConfig = ScoringConfig()
    predictive: PredictiveConfig = PredictiveConfig()
    allocation: AllocationSpec = AllocationSpec()
    cost: CostSpec = CostSpec()
    outer: OuterConfig = OuterConfig()
    model_selection: SelectionSpec = SelectionSpec()
    diagnostics: DiagnosticsSpec = DiagnosticsSpec()
    tracking: TrackingConfig = TrackingConfig()
    flags: FlagsConfig = FlagsConfig()
    extensions: tuple[str, ...] = ()
    """Modules to import first: those that register your models, guides, hooks or metrics."""

    @model_validator(mode="before")
    @classmethod
    def _extensions_first(cls, values: Any) -> Any:
        """Import what registers names before the names are checked."""
        if isinstance(values, Mapping):
            for name in values.get("extensions") or ():
                with suppress(ImportError):  # the field itself says so
                    import_module(str(name))
        return values

    @model_validator(mode="before")
    @classmethod
    def _mode_at_top_level(cls, values: Any) -> Any:
        """Accept ``simulation_mode`` and ``stop_after`` at the top level too."""
        if not isinstance(values, Mapping):
            return values
        moved = {key: values[key] for key in ("simulation_mode", "stop_after") if key in values}
        if not moved:
            return values
        rest = {key: value for key, value in values.items() if key not in moved}
        flags = {**(rest.get("flags") or {}), **moved}
        return {**rest, "flags": flags}

    @model_validator(mode="after")
    def _label_is_known(self) -> Self:
        shift = self.data.dataset_params.target_shift
        if self.cv.horizon < shift:
            raise ValueError(
                f"cv.horizon ({self.cv.horizon}) must be at least "
                f"data.dataset_params.target_shift ({shift}), or the purge would be too short"
            )
        return self

    @model_validator(mode="after")
    def _a_database_each(self) -> Self:
        """Optuna's and MLflow's schemas both keep their version in table ``alembic_version``."""
        study, runs = self.tuning.optuna.storage, self.tracking.mlflow.uri
        if study and runs and database_url(study) == database_url(runs):
            raise ValueError(
                "tuning.optuna.storage and tracking.mlflow.uri name the same database, which "
                "Optuna and MLflow cannot share; give each a database of its own"
            )
        return self

    @field_validator("extensions")
    @classmethod
    def _importable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                import_module(name)
            except ImportError as error:
                raise ValueError(f"cannot import '{name}': {error}") from error
        return names


def load_config(source: str | Path | Mapping[str, Any] | SimulationConfig) -> SimulationConfig:
    """Read and validate a simulation configuration.

    Parameters
    ----------
    source : path, mapping or SimulationConfig
        A YAML file, or its content as a mapping.

    Returns
    -------
    SimulationConfig
        Immutable; every key has its value, given or default.

    Raises
    ------
    ConfigError
        The file is missing or no YAML mapping, or it has mistakes; all of them
        are listed with their key paths and, for an unknown key, the nearest
        known one.

    Examples
    --------
    >>> import fastpanel as fp
    >>> fp.simulation.load_config({"cv": {"q": 1}}).cv.group_len
    52
    """
    if isinstance(source, SimulationConfig):
        return source
    if isinstance(source, Mapping):
        return parse(SimulationConfig, source, source="simulation config")
    if not isinstance(source, str | PathLike):
        raise ConfigError(
            f"the configuration is a {type(source).__name__}; give a path or a mapping"
        )
    path = Path(source)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path} must hold a mapping of sections, not {type(values).__name__}")
    return parse(SimulationConfig, values, source=str(path))
