"""Configuration section ``diagnostics``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from fastpanel.config import StrictModel
from fastpanel.errors import ConfigError


class FanChartSpec(StrictModel):
    """``diagnostics.fan_charts``: which assets, bands and coverage levels are shown.

    Examples
    --------
    >>> FanChartSpec(assets=["SPY"]).select(["QQQ", "SPY"])
    ('SPY',)
    """

    enable: bool = Field(False, description="false: no diagnostics folder")
    assets: Literal["all"] | tuple[str, ...] = Field("all", description="all or a list")
    quantiles: tuple[float, ...] = Field(
        (0.05, 0.25, 0.5, 0.75, 0.95), min_length=1, description="bands and median, in (0, 1)"
    )
    coverage_levels: tuple[float, ...] = Field(
        (0.5, 0.9), min_length=1, description="central intervals, in (0, 1)"
    )

    @field_validator("quantiles", "coverage_levels")
    @classmethod
    def _inside(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        wrong = [x for x in values if not 0.0 < x < 1.0]
        if wrong:
            raise ValueError(f"must lie in (0, 1), got {wrong[0]}")
        if len(set(values)) < len(values):
            raise ValueError("holds a value twice")
        return tuple(sorted(values))

    def select(self, assets: Sequence[str]) -> tuple[str, ...]:
        """Assets to draw, in the order of the configuration; an unknown one is an error."""
        if self.assets == "all":
            return tuple(assets)
        unknown = [name for name in self.assets if name not in assets]
        if unknown:
            raise ConfigError(
                f"diagnostics.fan_charts.assets: no asset {', '.join(map(repr, unknown))}; "
                f"the forecasts have {', '.join(assets)}"
            )
        return self.assets


class DiagnosticsSpec(StrictModel):
    """``diagnostics``."""

    fan_charts: FanChartSpec = FanChartSpec()
