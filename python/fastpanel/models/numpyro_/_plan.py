"""What is static about a compiled program, and what it takes as input.

Every float among ``model.params`` and ``model.guide_params`` is an input, so
candidates that differ in prior scales share one program. Everything else
(counts, names, switches) is part of the program's identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastpanel.models._config import FitConfig
from fastpanel.models._registries import (
    build_guide,
    build_model,
    default_guide_registry,
    default_model_registry,
)


@dataclass(frozen=True)
class Plan:
    """Static identity of a program; array shapes come on top."""

    model_name: str
    guide_name: str
    model_factory: Callable[..., Any]
    guide_factory: Callable[..., Any]
    model_params: Any
    guide_params: Any
    particles: int
    vectorized: bool
    loss: str
    clipped: bool
    schedule: str
    annealed: bool
    sampler: bool
    per_site: bool
    independent_rows: bool
    inert_zero_features: bool
    window_len: int | None = None
    losses_len: int = 0
    complete: bool = False

    def build(self, model_floats: Sequence[Any], guide_floats: Sequence[Any]) -> tuple[Any, Any]:
        """Model and guide with these (possibly traced) floats put back."""
        model = build_model(
            self.model_factory, self.model_name, thaw(self.model_params, model_floats)
        )
        params = thaw(self.guide_params, guide_floats)
        return model, build_guide(self.guide_factory, self.guide_name, params, model)

    def for_prediction(self) -> Plan:
        """Return the same model and guide without what only training reads."""
        return replace(
            self,
            particles=1,
            vectorized=True,
            loss="",
            clipped=False,
            schedule="",
            annealed=False,
            window_len=None,
            losses_len=0,
            complete=False,
        )


@dataclass(frozen=True)
class Floats:
    """The float parameters of one job, in the order in which they were frozen."""

    model: tuple[float, ...]
    guide: tuple[float, ...]


def make_plan(config: FitConfig, *, traced_floats: bool = True) -> tuple[Plan, Floats]:
    """Plan and floats of one job; builds model and guide once to check the parameters."""
    section, svi = config.model, config.training.svi
    model_factory = default_model_registry("numpyro")[section.model_name]
    guide_factory = default_guide_registry("numpyro")[section.guide_name]
    normalise = getattr(model_factory, "normalise", dict)
    model_params = normalise(section.params)
    model = build_model(model_factory, section.model_name, model_params)
    guide = build_guide(guide_factory, section.guide_name, section.guide_params, model)
    per_site = getattr(guide, "per_site", True)
    loss = svi.loss
    if loss == "auto":
        loss = "TraceMeanField_ELBO" if getattr(guide, "mean_field", False) else "Trace_ELBO"
    model_floats: list[float] = []
    guide_floats: list[float] = []
    plan = Plan(
        model_name=section.model_name,
        guide_name=section.guide_name,
        model_factory=model_factory,
        guide_factory=guide_factory,
        model_params=freeze(model_params, model_floats if traced_floats else None),
        guide_params=freeze(section.guide_params, guide_floats if traced_floats else None),
        particles=svi.num_elbo_particles,
        vectorized=svi.vectorize_particles is not False,
        loss=loss,
        clipped=svi.optimizer == "ClippedAdam",
        schedule=svi.lr_schedule,
        annealed=svi.kl_annealing is not None,
        sampler=getattr(guide, "sampler", False),
        per_site=per_site,
        independent_rows=getattr(model, "independent_rows", False),
        # a guide over one long vector of all values has no place for padding in between
        inert_zero_features=per_site and getattr(model, "inert_zero_features", False),
    )
    return plan, Floats(tuple(model_floats), tuple(guide_floats))


def freeze(value: Any, floats: list[float] | None) -> Any:
    """Hashable form of nested parameters; floats move to ``floats`` unless it is None."""
    if isinstance(value, Mapping):
        return ("mapping", tuple((key, freeze(item, floats)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return ("list", tuple(freeze(item, floats) for item in value))
    if isinstance(value, float) and floats is not None:
        floats.append(value)
        return ("float", len(floats) - 1)
    return ("value", value)


def thaw(frozen: Any, floats: Sequence[Any]) -> Any:
    """Inverse of :func:`freeze`."""
    kind, content = frozen
    if kind == "mapping":
        return {key: thaw(item, floats) for key, item in content}
    if kind == "list":
        return [thaw(item, floats) for item in content]
    return floats[content] if kind == "float" else content
