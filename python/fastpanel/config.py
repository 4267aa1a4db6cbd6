"""Strict configuration models: unknown keys are errors, all mistakes come at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from fastpanel.errors import ConfigError


class StrictModel(BaseModel):
    """Base of every configuration section: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


M = TypeVar("M", bound=StrictModel)


def parse(model: type[M], values: Mapping[str, Any], *, source: str = "config") -> M:
    """Validate ``values`` against ``model``.

    Raises
    ------
    ConfigError
        Lists every mistake with its key path; an unknown key comes with the
        nearest known one.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_line(model, item) for item in error.errors(include_url=False)]
        count = f"{len(lines)} mistake{'s' if len(lines) > 1 else ''}"
        raise ConfigError("\n".join([f"{source}: {count}", *(f"  - {x}" for x in lines)])) from None


def _line(model: type[BaseModel], item: Any) -> str:
    location = [part for part in item["loc"] if not _is_union_tag(part)]
    path = ".".join(str(part) for part in location)
    if item["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(sorted(known))}"
        return f"{path}: unknown key; {hint}"
    if item["type"] == "missing":
        return f"{path}: required, but not given"
    message = item["msg"].removeprefix("Value error, ")
    return f"{path}: {message} (got {item['input']!r})"


def _is_union_tag(part: Any) -> bool:
    return isinstance(part, str) and ("[" in part or part.startswith("function-"))


def _keys_at(model: type[BaseModel], location: list[Any]) -> list[str]:
    current: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part) if hasattr(current, "model_fields") else None
        if field is None:
            return []
        current = _model_in(field.annotation)
        if current is None:
            return []
    return list(current.model_fields)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
