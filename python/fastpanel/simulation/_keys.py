"""Which parts of the configuration a stored result depends on."""

from __future__ import annotations

from typing import Any

from fastpanel._version import __version__
from fastpanel.simulation._config import SimulationConfig

_INNER = ("preprocessing", "model", "training", "scoring", "predictive")
_OUTER = (*_INNER, "cv", "allocation", "cost", "outer")


def inner_sections(config: SimulationConfig) -> dict[str, Any]:
    """What scores of candidates on inner splits depend on, beside the data and the splits."""
    plain = config.model_dump(mode="json")
    tuning = {key: plain["tuning"][key] for key in ("space", "num_samples", "seed")}
    return {**_sections(plain, _INNER), "tuning": tuning, "seed": config.cv.seed}


def outer_sections(config: SimulationConfig) -> dict[str, Any]:
    """What outer results depend on, beside the data, the fold and the candidate."""
    return _sections(config.model_dump(mode="json"), _OUTER)


def _sections(plain: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    switches = ("simulation_mode", "use_feature_names_for_scaling")
    flags = {key: plain["flags"][key] for key in switches}
    return {"version": __version__, "flags": flags, **{name: plain[name] for name in names}}
