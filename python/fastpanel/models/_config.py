"""Configuration sections that a fit reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fastpanel.config import StrictModel, parse
from fastpanel.errors import ConfigError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class KLAnnealing(StrictModel):
    """``training.svi.kl_annealing``: weight of the KL terms, linear over the first steps."""

    start: float = Field(default=0.0, ge=0, le=1)
    """Weight at step 0."""
    end: float = Field(default=1.0, ge=0, le=1)
    """Weight from ``steps`` on."""
    steps: int = Field(ge=1)
    """Steps until the end weight is reached."""

    def weight(self, step: int) -> float:
        """Weight at a step, counted from 0."""
        return self.start + (self.end - self.start) * min(step / self.steps, 1.0)


class RequireConfig(StrictModel):
    """``training.require``: what a fit must reach; a candidate that misses it fails.

    R-hat, effective sample size and divergences exist for guide ``nuts`` only, the
    change of the loss (between the last two tenths of the steps) for the others.
    """

    max_rhat: float | None = Field(default=None, gt=1)
    """Largest split R-hat over all latent values."""
    min_ess: Positive | None = None
    """Smallest effective sample size over all latent values."""
    max_divergences: int | None = Field(default=None, ge=0)
    """Most divergent transitions after warm-up."""
    max_loss_change: Positive | None = None
    """Largest change of the loss per observed entry."""


class SVIConfig(StrictModel):
    """``training.svi``: how the posterior approximation is trained.

    ``lr_decay`` is the factor that the learning rate reaches at the last step
    (per step ``lr_decay ** (1 / num_steps)``); only ``ClippedAdam`` decays.
    ``loss: auto`` takes the analytic-KL estimator where the guide declares
    ``mean_field = True``, else the plain one.
    """

    num_steps: int = Field(default=1000, ge=0)
    """Optimiser steps."""
    learning_rate: Positive = 1e-3
    """Step size of the optimiser."""
    tbptt_window_len: int | None = Field(default=None, ge=1)
    """Weeks per window of truncated back-propagation; null: the whole stretch."""
    tbptt_burn_in_len: int = Field(default=0, ge=0)
    """First weeks of a window that give context but no loss."""
    overlap_burn_in: bool = False
    """Windows overlap by the burn-in, so that no week is lost to it."""
    grad_accum_steps: int = Field(default=1, ge=1)
    """Windows whose gradients make one optimiser step."""
    num_elbo_particles: int = Field(default=1, ge=1)
    """Draws per estimate of the loss."""
    log_every: int | None = Field(default=None, ge=1)
    """Log the loss every so many steps; null: never."""
    optimizer: Literal["Adam", "ClippedAdam"] = "ClippedAdam"
    """ClippedAdam clips gradients and can decay the step size."""
    betas: tuple[Decay, Decay] = (0.95, 0.999)
    """Decay rates of Adam's moments."""
    clip_norm: Positive = 10.0
    """Gradients of ClippedAdam are clipped at this value."""
    lr_decay: float = Field(default=1.0, gt=0, le=1)
    """Factor that the step size has reached at the last step (ClippedAdam)."""
    lr_schedule: Literal["exponential", "cosine", "linear"] = "exponential"
    """Way of the step size from 1 to lr_decay times its start (ClippedAdam)."""
    learning_rates: dict[str, Positive] = Field(default_factory=dict)
    """Step sizes of single parameters, by name; the others take learning_rate."""
    loss: Literal[
        "auto", "Trace_ELBO", "TraceGraph_ELBO", "TraceMeanField_ELBO", "TraceEnum_ELBO"
    ] = "auto"
    """ELBO estimator; auto: the analytic KL where the guide is mean-field."""
    vectorize_particles: bool | None = None
    """Draw all particles at once; null: in NumPyro yes, in Pyro no."""
    kl_annealing: KLAnnealing | None = None
    """Let the weight of prior and posterior terms grow during the first steps."""
    validate_sites: bool = False
    """Check supports and parameters of every distribution in every step (Pyro)."""

    @model_validator(mode="after")
    def _windows_longer_than_burn_in(self) -> SVIConfig:
        window, burn_in = self.tbptt_window_len, self.tbptt_burn_in_len
        if window is not None and burn_in >= window:
            raise ValueError(
                f"tbptt_burn_in_len {burn_in} leaves nothing of a window of {window} steps"
            )
        return self


class TrainingConfig(StrictModel):
    """``training``."""

    svi: SVIConfig = SVIConfig()
    program_mib: int | None = Field(default=None, ge=1)
    """Bound on the arrays of one compiled program in MiB, by which fits are gathered into
    programs; null: 256 on a CPU, 4096 on other devices. Free memory is never looked at, so that
    the same fits give the same bits."""
    require: RequireConfig = RequireConfig()
    """Limits on the fit's report."""
    standardize_targets: bool = True
    """Take off each asset's median and divide by its robust spread (1.4826 MAD), both of the
    training targets."""


class ModelConfig(StrictModel):
    """``model``. ``prebuild`` is read by the caller that runs the hook."""

    backend: Literal["auto", "pyro", "numpyro"] = "auto"
    """auto: NumPyro where it has both names, else Pyro."""
    model_name: str = "factor_model_v1"
    """A registered model."""
    guide_name: str = "factor_guide_v1"
    """A registered guide."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Passed to the model."""
    guide_params: dict[str, Any] = Field(default_factory=dict)
    """Passed to the guide."""
    prebuild: dict[str, Any] = Field(default_factory=dict)


class FitConfig(StrictModel):
    """The part of a run's configuration that concerns one fit.

    ``pad_to`` names the largest training rows and features that a study will
    ask for; the NumPyro back end then pads to few sizes up to it, so that few
    programs are compiled. Padding is masked: it shifts the random
    stream, not the law of the result.

    ``use_gpu`` lets the fit run on a CUDA device; ``TORCH_DEVICE`` in the
    environment names which. Without one it runs on the CPU, with a warning.
    """

    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    seed: int = Field(default=0, ge=0, lt=2**63)
    pad_to: tuple[int, int] | None = None
    use_gpu: bool = False


def parse_config(config: Mapping[str, Any]) -> FitConfig:
    """Read the sections of a fit; other top-level sections belong to others.

    A section that is nearly named as one of a fit is an error, as it would be
    passed over.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f"model config is {config!r:.60}; give a mapping of sections")
    fields = list(FitConfig.model_fields)
    for key in config:
        near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.8)
        if near and key not in fields:
            raise ConfigError(f"model config: {key}: unknown key; did you mean '{near[0]}'?")
    own = {key: config[key] for key in FitConfig.model_fields if key in config}
    return parse(FitConfig, own, source="model config")


def known_names(learning_rates: Mapping[str, float], names: Iterable[str]) -> None:
    """Refuse a step size for a parameter that the fit does not have."""
    if unknown := sorted(set(learning_rates) - set(names)):
        raise ConfigError(
            f"training.svi.learning_rates: no parameter {unknown}; there are {sorted(names)}"
        )
