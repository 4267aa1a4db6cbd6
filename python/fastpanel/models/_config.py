"""Configuration sections that a fit reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fastpanel.config import StrictModel, parse

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class SVIConfig(StrictModel):
    """``training.svi``: how the posterior approximation is trained.

    ``lr_decay`` is the factor that the learning rate reaches at the last step
    (per step ``lr_decay ** (1 / num_steps)``); only ``ClippedAdam`` decays.
    ``loss: auto`` takes the analytic-KL estimator where the guide declares
    ``mean_field = True``, else the plain one.
    """

    num_steps: int = Field(default=1000, ge=0)
    learning_rate: Positive = 1e-3
    tbptt_window_len: int | None = Field(default=None, ge=1)
    tbptt_burn_in_len: int = Field(default=0, ge=0)
    overlap_burn_in: bool = False
    grad_accum_steps: int = Field(default=1, ge=1)
    num_elbo_particles: int = Field(default=1, ge=1)
    log_every: int | None = Field(default=None, ge=1)
    optimizer: Literal["Adam", "ClippedAdam"] = "ClippedAdam"
    betas: tuple[Decay, Decay] = (0.95, 0.999)
    clip_norm: Positive = 10.0
    lr_decay: float = Field(default=1.0, gt=0, le=1)
    loss: Literal["auto", "Trace_ELBO", "TraceMeanField_ELBO"] = "auto"

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
    standardize_targets: bool = True


class ModelConfig(StrictModel):
    """``model``. ``prebuild`` is read by the caller that runs the hook."""

    backend: Literal["auto", "pyro", "numpyro"] = "auto"
    model_name: str = "factor_model_v1"
    guide_name: str = "factor_guide_v1"
    params: dict[str, Any] = Field(default_factory=dict)
    guide_params: dict[str, Any] = Field(default_factory=dict)
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
    """Read the sections of a fit; other top-level sections belong to others."""
    own = {key: config[key] for key in FitConfig.model_fields if key in config}
    return parse(FitConfig, own, source="model config")
