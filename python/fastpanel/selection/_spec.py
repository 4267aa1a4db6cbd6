"""Configuration section ``model_selection``."""

from __future__ import annotations

from pydantic import Field, model_validator

from fastpanel.config import StrictModel


class BandSpec(StrictModel):
    """``model_selection.es_band``: who survives the energy-score band."""

    c: float = Field(1.0, ge=0.0, allow_inf_nan=False, description="width in standard errors")
    min_keep: int = Field(1, ge=1, description="kept when the band is empty")
    max_keep: int = Field(10, ge=1, description="at most this many survivors")

    @model_validator(mode="after")
    def _ordered(self) -> BandSpec:
        if self.min_keep > self.max_keep:
            raise ValueError(f"min_keep {self.min_keep} exceeds max_keep {self.max_keep}")
        return self


class BootstrapSpec(StrictModel):
    """``model_selection.bootstrap``."""

    num_samples: int = Field(1000, ge=2, description="bootstrap draws of groups")


class SelectionSpec(StrictModel):
    """``model_selection``: keys and defaults of the selection stage.

    Examples
    --------
    >>> SelectionSpec().es_band.max_keep
    10
    """

    enable: bool = Field(False, description="false: the best aggregate inner score wins")
    es_band: BandSpec = BandSpec()
    alpha_tail: float = Field(0.05, gt=0.0, lt=1.0, description="level of the tail quantile loss")
    bootstrap: BootstrapSpec = BootstrapSpec()
    seed: int = Field(123, ge=0, description="seed of the group bootstrap")
