"""Content keys: everything that a stored result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fastpanel.simulation._code import code_version, user_code
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._hooks import Hooks
from fastpanel.simulation._structure import OuterPlan
from fastpanel.typing import FloatArray

_INNER = ("preprocessing", "model", "training", "scoring", "predictive")
_OUTER = (*_INNER, "cv", "allocation", "cost", "outer")


def content_key(parts: Mapping[str, Any]) -> str:
    """SHA-256 of ``parts`` as canonical JSON."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def inner_key(
    digest: str,
    plan: OuterPlan,
    config: SimulationConfig,
    prebuilt: Mapping[str, Any] | None,
    hooks: Hooks | None,
) -> str:
    """What scores on the inner splits of a fold depend on, candidates and batches aside."""
    return content_key(
        {
            "data": digest,
            "code": [code_version(), user_code(config, hooks, outer=False)],
            "group": plan.group,
            "splits": [split.to_dict() for split in plan.inner],
            "seed": config.cv.seed,
            "prebuilt": prebuilt,
            "config": _sections(config, _INNER),
        }
    )


def outer_key(
    digest: str,
    plan: OuterPlan,
    config: SimulationConfig,
    prebuilt: Mapping[str, Any] | None,
    hooks: Hooks | None,
    candidate: str,
    values: Mapping[str, Any],
    held: FloatArray | None,
) -> str:
    """What the outer result of a fold depends on; ``held`` are the weights it starts from."""
    return content_key(
        {
            "data": digest,
            "code": [code_version(), user_code(config, hooks, outer=True)],
            "fold": plan.fold.to_dict(),
            "candidate": candidate,
            "values": values,
            "held": None if held is None else held.tolist(),
            "prebuilt": prebuilt,
            "config": _sections(config, _OUTER),
        }
    )


def _sections(config: SimulationConfig, names: tuple[str, ...]) -> dict[str, Any]:
    plain = config.model_dump(mode="json")
    del plain["outer"]["metrics"]  # computed from stored results, not stored with them
    switches = ("simulation_mode", "use_feature_names_for_scaling")
    flags = {key: plain["flags"][key] for key in switches}
    return {"flags": flags, **{name: plain[name] for name in names}}
