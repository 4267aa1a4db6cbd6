"""The ``preprocessing`` section of a configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from fastpanel.config import StrictModel

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class PreprocessingSpec(StrictModel):
    """Keys and defaults of the ``preprocessing`` section.

    A negative ``guard_abs_eps`` and ``guard_rel_eps`` switch the guardrail off.
    """

    min_usable_ratio: Share = 0.8
    min_variance: NotNegative = 1e-12
    max_abs_corr: Share = 0.98
    corr_subsample: Annotated[int, Field(ge=2)] | None = None
    mad_eps: NotNegative = 1e-12
    breakout_var_floor: NotNegative = 1e-6
    winsor_low_q: Share = 0.005
    winsor_high_q: Share = 0.995
    scale_floor: NotNegative = 1e-6
    guard_abs_eps: Finite = 1e-8
    guard_rel_eps: Finite = 1e-4
    guard_rel_offset: NotNegative = 1e-6
    clip_min: float = -10.0
    clip_max: float = 10.0
    max_abs_fail: Positive = 1000.0
    impute_missing_to_zero: bool = True
    append_mask_as_features: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> PreprocessingSpec:
        for low, high in (("winsor_low_q", "winsor_high_q"), ("clip_min", "clip_max")):
            if not getattr(self, low) < getattr(self, high):
                raise ValueError(
                    f"{low} = {getattr(self, low)} must be below {high} = {getattr(self, high)}"
                )
        return self
