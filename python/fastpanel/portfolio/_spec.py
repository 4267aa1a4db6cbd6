"""Configuration sections ``allocation`` and ``cost``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from fastpanel.config import StrictModel, parse
from fastpanel.errors import ParameterError
from fastpanel.portfolio._registry import allocators


class AllocationSpec(StrictModel):
    """``allocation``: how predictive samples become weights.

    Weights are shares of the capital. Every method obeys ``sum(|w|) <= gross``,
    ``|w_a| <= max_weight`` and, with ``long_only``, ``w_a >= 0``; ``net`` is
    the wanted ``sum(w)``, and the nearest reachable value is taken where the
    limits or absent assets do not allow it.

    Examples
    --------
    >>> AllocationSpec(method="top_k", k=2, long_only=True).gross
    1.0
    """

    method: str = Field(
        "mean_over_vol",
        description="mean_over_vol, equal, top_k, min_cvar or a registered allocator",
    )
    gross: float = Field(1.0, gt=0.0, allow_inf_nan=False, description="limit of sum(|w|)")
    net: float | None = Field(None, allow_inf_nan=False, description="wanted sum(w); null = free")
    long_only: bool = Field(False, description="no negative weight")
    max_weight: float | None = Field(
        None, gt=0.0, allow_inf_nan=False, description="limit of |w| of one asset"
    )
    k: int = Field(5, ge=1, description="names per side of top_k")
    cvar_level: float = Field(0.05, gt=0.0, lt=1.0, description="tail mass of min_cvar")
    params: dict[str, Any] = Field(
        default_factory=dict, description="settings of a registered allocator"
    )
    execution: Literal["next_bar", "same_bar"] = Field(
        "next_bar",
        description="same_bar earns the bar that the decision has seen: for comparison only",
    )

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        if method not in allocators():
            near = difflib.get_close_matches(method, allocators(), n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {sorted(allocators())}"
            raise ValueError(f"no allocator of this name; {hint}")
        return method

    @model_validator(mode="after")
    def _reachable(self) -> AllocationSpec:
        if self.net is None:
            return self
        if abs(self.net) > self.gross:
            raise ValueError(f"|net| = {abs(self.net)} exceeds gross = {self.gross}")
        if self.long_only and self.net < 0:
            raise ValueError(f"long_only allows no negative net, got {self.net}")
        if self.method == "min_cvar" and self.net == 0:
            raise ValueError("min_cvar with net = 0 would hold nothing; give a net or null")
        return self


class CostSpec(StrictModel):
    """``cost``: what trading costs, as shares of the capital.

    Examples
    --------
    >>> CostSpec(bps=5).slippage_bps
    0.0
    """

    bps: float = Field(0.0, ge=0.0, allow_inf_nan=False, description="fee per traded value, 1e-4")
    min_fee: float = Field(
        0.0, ge=0.0, allow_inf_nan=False, description="least fee per traded asset (capital share)"
    )
    slippage_bps: float = Field(
        0.0, ge=0.0, allow_inf_nan=False, description="price impact per traded value, 1e-4"
    )
    missing_return: float | None = Field(
        0.0,
        ge=-1.0,
        allow_inf_nan=False,
        description="return of a held asset whose return is NaN; null = an error",
    )
    liquidation_bps: float = Field(
        0.0,
        ge=0.0,
        allow_inf_nan=False,
        description="cost of closing a position that has no price any more, 1e-4 of its value",
    )


S = TypeVar("S", AllocationSpec, CostSpec)


def as_spec(model: type[S], value: S | Mapping[str, Any] | None, name: str) -> S:
    """Accept a spec, a plain mapping (validated) or None (the defaults)."""
    if isinstance(value, model):
        return value
    if value is None:
        return model()
    if isinstance(value, Mapping):
        return parse(model, value, source=name)
    raise ParameterError(f"{name} must be {model.__name__}, a mapping or None, got {value!r}")
