"""Strict configuration models: unknown keys are errors, all mistakes come at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from fastpanel.errors import ConfigError


class StrictModel(BaseModel):
    """Base of every configuration section: immutable, no unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True
    )


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
    if isinstance(item["input"], Mapping):  # a rule over several keys names their values itself
        return f"{path}: {message}" if path else message
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


class Key(NamedTuple):
    """One key of a configuration.

    ``path`` is dotted, with ``[]`` behind a list of sections; ``default`` is
    plain data, ``domain`` and ``meaning`` are for people.
    """

    path: str
    domain: str
    default: Any
    meaning: str


def keys(model: type[BaseModel]) -> list[Key]:
    """Every key of a configuration, sections opened up, in the order of the models.

    Examples
    --------
    >>> from pydantic import create_model
    >>> section = create_model("Section", depth=(int, 3))
    >>> keys(create_model("Whole", section=(section, section())))
    [Key(path='section.depth', domain='integer', default=3, meaning='')]
    """
    schema = model.model_json_schema(by_alias=False)
    return list(_walk(schema, schema.get("$defs", {}), ""))


def _walk(schema: Mapping[str, Any], sections: Mapping[str, Any], prefix: str) -> Iterator[Key]:
    for name, entry in schema["properties"].items():
        path, inner = f"{prefix}{name}", _section(entry, sections)
        if inner is not None:
            yield from _walk(inner, sections, f"{path}.")
            continue
        meaning = " ".join(entry.get("description", "").split())
        default = entry.get("default", {} if entry.get("type") == "object" else None)
        yield Key(path, " or ".join(_domains(entry)), default, meaning)
        inner = _section(entry.get("items", {}), sections)
        if inner is not None:
            yield from _walk(inner, sections, f"{path}[].")


def _section(entry: Mapping[str, Any], sections: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = sections.get(str(entry.get("$ref", "")).rpartition("/")[2])
    return found if found is not None and "properties" in found else None


def _domains(entry: Mapping[str, Any]) -> list[str]:
    """What a value may be, each alternative in words."""
    if "anyOf" in entry:
        return list(dict.fromkeys(d for choice in entry["anyOf"] for d in _domains(choice)))
    values = entry.get("enum", [entry["const"]] if "const" in entry else [])
    if values:
        return [f"`{value}`" for value in values]
    kind = str(entry.get("type", "anything"))
    if kind == "array":
        items: Mapping[str, Any] = entry.get("items") or next(
            iter(entry.get("prefixItems", [])), {}
        )
        return ["list" if "$ref" in items else f"list of {' or '.join(_domains(items))}"]
    words = {"object": "mapping", "boolean": "true or false", "string": "text"}
    limits = [f"{sign} {entry[word]:g}" for word, sign in _LIMITS.items() if word in entry]
    return [" ".join([words.get(kind, kind), ", ".join(limits)]).strip()]


_LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
