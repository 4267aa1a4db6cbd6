"""Named registries: a mapping from a public name to what it builds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from fastpanel.errors import DuplicateNameError, ParameterError, UnknownNameError

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Names to objects; a duplicate or an unknown name is an error.

    Examples
    --------
    >>> colours = Registry[str]("colour")
    >>> _ = colours.add("sky", "blue")
    >>> colours["sky"]
    'blue'
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> T:
        """Register ``item`` under ``name`` and return it."""
        if name in self._items:
            raise DuplicateNameError(f"Duplicate registration for name '{name}'. ({self.kind})")
        self._items[name] = item
        return item

    def register(self, name: str) -> Callable[[Any], Any]:
        """Decorator form of :meth:`add`."""
        return lambda item: self.add(name, item)

    def build(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call the object registered under ``name``."""
        factory: Any = self[name]
        return factory(*args, **kwargs)

    def __getitem__(self, name: str) -> T:
        try:
            return self._items[name]
        except KeyError:
            raise UnknownNameError(
                f"Unknown registry key '{name}'. Available: {sorted(self._items)} ({self.kind})"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


def one_of(value: str, domain: tuple[str, ...], what: str) -> str:
    """``value`` if it is in ``domain``; ``what`` names it in the error."""
    if value not in domain:
        raise ParameterError(f"{what} is {value!r}; choose one of {', '.join(map(repr, domain))}")
    return value
