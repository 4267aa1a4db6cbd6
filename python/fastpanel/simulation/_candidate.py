"""From the base configuration and a candidate's values to what a fit reads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastpanel.config import parse
from fastpanel.errors import ConfigError, UnknownNameError
from fastpanel.models import (
    TrainingConfig,
    default_guide_registry,
    default_model_registry,
    default_prebuild_registry,
    metric_registry,
    resolve_backend,
)
from fastpanel.simulation._config import ModelSection, SimulationConfig

FitConfig = dict[str, Any]


def fit_config(
    config: SimulationConfig, values: Mapping[str, Any], prebuilt: Mapping[str, Any] | None = None
) -> FitConfig:
    """Sections ``model`` and ``training`` of a candidate, and ``use_gpu``, as plain containers.

    Precedence: base configuration, then ``prebuilt`` (``params`` and
    ``guide_params`` of the prebuild hook), then the candidate's ``values``;
    mappings are merged, not replaced.

    Raises
    ------
    ConfigError
        A candidate's path does not exist, or its value is out of domain.
    """
    sections: FitConfig = {
        "model": config.model.model_dump(mode="json"),
        "training": config.training.model_dump(mode="json"),
    }
    if prebuilt:
        sections["model"] = _merged(sections["model"], prebuilt)
    for path, value in values.items():
        _place(sections, path, value)
    return {
        "model": parse(ModelSection, sections["model"], source="candidate").model_dump(mode="json"),
        "training": parse(TrainingConfig, sections["training"], source="candidate").model_dump(
            mode="json"
        ),
        "use_gpu": config.flags.use_gpu,
    }


def check_space(config: SimulationConfig, candidates: Mapping[str, Mapping[str, Any]]) -> None:
    """Every candidate gives a valid configuration, or one error before any work."""
    for candidate, values in candidates.items():
        try:
            fit_config(config, values)
        except ConfigError as error:
            raise ConfigError(f"tuning.space: candidate {candidate}: {error}") from None


def check_names(config: SimulationConfig, *, fits_models: bool) -> None:
    """Every registered name that the run will look up exists, or one error before any work.

    Models and guides are looked up only where ``fits_models``: stub mode and
    hooks of one's own need none.
    """
    section = config.model
    lookups: list[tuple[str, Callable[[], Any]]] = [
        ("scoring.spec.metric_name", lambda: metric_registry()[config.scoring.spec.metric_name])
    ]
    outer = metric_registry("outer")
    lookups += [("outer.metrics", partial(outer.__getitem__, m)) for m in config.outer.metrics]
    name = section.prebuild.name
    if section.prebuild.enabled and name is not None:
        lookups.append(("model.prebuild.name", lambda: default_prebuild_registry()[name]))
    if fits_models:
        for model in sorted(names_used(config, "model_name")):
            for guide in sorted(names_used(config, "guide_name")):
                backend = resolve_backend(section.backend, model, guide)
                models, guides = default_model_registry(backend), default_guide_registry(backend)
                lookups.append(("model.model_name", partial(models.__getitem__, model)))
                lookups.append(("model.guide_name", partial(guides.__getitem__, guide)))
    mistakes: dict[str, None] = {}
    for key, look_up in lookups:
        try:
            look_up()
        except UnknownNameError as error:
            mistakes[f"  - {key}: {error}"] = None
    if mistakes:
        raise ConfigError("\n".join([f"config: {len(mistakes)} unknown names", *mistakes]))


def names_used(config: SimulationConfig, key: str) -> set[str]:
    """Values of ``model.model_name`` or ``model.guide_name`` over all candidates."""
    tuned = [spec for spec in config.tuning.space if spec.path == f"model.{key}"]
    return {getattr(config.model, key), *(str(value) for s in tuned for value in s.choices)}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    out = copy.deepcopy(dict(base))
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(out.get(key), Mapping):
            out[key] = _merged(out[key], value)
        else:
            out[key] = copy.deepcopy(value)
    return out


def _place(sections: FitConfig, path: str, value: Any) -> None:
    *parents, leaf = path.split(".")
    node: Any = sections
    inside_params = False
    for part in parents:
        inside_params = inside_params or part in {"params", "guide_params"}
        if part not in node:
            if not inside_params:
                raise ConfigError(f"tuning.space: '{path}' does not exist in the configuration")
            node[part] = {}
        node = node[part]
    if leaf not in node and not inside_params:
        raise ConfigError(f"tuning.space: '{path}' does not exist in the configuration")
    node[leaf] = value
