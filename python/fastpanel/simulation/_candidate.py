"""From the base configuration and a candidate's values to what a fit reads."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from fastpanel.config import parse
from fastpanel.errors import ConfigError
from fastpanel.models import TrainingConfig
from fastpanel.simulation._config import ModelSection, SimulationConfig

FitConfig = dict[str, Any]


def fit_config(
    config: SimulationConfig, values: Mapping[str, Any], prebuilt: Mapping[str, Any] | None = None
) -> FitConfig:
    """Sections ``model`` and ``training`` of a candidate, as plain containers.

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
    }


def check_space(config: SimulationConfig, candidates: Mapping[str, Mapping[str, Any]]) -> None:
    """Every candidate gives a valid configuration, or one error before any work."""
    for candidate, values in candidates.items():
        try:
            fit_config(config, values)
        except ConfigError as error:
            raise ConfigError(f"tuning.space: candidate {candidate}: {error}") from None


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
