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
    """Drop features observed in a smaller share of the training entries."""
    min_variance: NotNegative = 1e-12
    """Drop features with a smaller training variance."""
    max_abs_corr: Share = 0.98
    """Of two features correlated beyond this, drop the less usable one."""
    corr_subsample: Annotated[int, Field(ge=2)] | None = None
    """Training rows used for that correlation; null: all."""
    mad_eps: NotNegative = 1e-12
    """Added to the robust scale."""
    breakout_var_floor: NotNegative = 1e-6
    """Added to the variance of breakout features."""
    winsor_low_q: Share = 0.005
    """Lower quantile, pooled over assets, at which training values are cut."""
    winsor_high_q: Share = 0.995
    """Upper quantile of the same."""
    scale_floor: NotNegative = 1e-6
    """Least robust scale."""
    guard_abs_eps: Finite = 1e-8
    """A scale at or below this counts as constant: the feature becomes 0."""
    guard_rel_eps: Finite = 1e-4
    """The same, relative to the size of the median."""
    guard_rel_offset: NotNegative = 1e-6
    """Added to the size of the median in that comparison."""
    clip_min: float = -10.0
    """Scaled values are clipped from below here."""
    clip_max: float = 10.0
    """And from above here."""
    max_abs_fail: Positive = 1000.0
    """A scaled training value beyond this is an error."""
    impute_missing_to_zero: bool = True
    """Missing scaled values become 0."""
    append_mask_as_features: bool = False
    """Append one 0/1 column per feature that says what was missing."""

    @model_validator(mode="after")
    def _ordered(self) -> PreprocessingSpec:
        for low, high in (("winsor_low_q", "winsor_high_q"), ("clip_min", "clip_max")):
            if not getattr(self, low) < getattr(self, high):
                raise ValueError(
                    f"{low} = {getattr(self, low)} must be below {high} = {getattr(self, high)}"
                )
        return self
