"""Which rule a feature follows, told by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Kind = Literal["continuous", "breakout", "rank"]


def base_name(name: str) -> str:
    """``<group>__<feature>`` without its group.

    Examples
    --------
    >>> base_name("momentum__brk_up_4w")
    'brk_up_4w'
    """
    return name.split("__", 1)[-1]


def kinds_of(names: Sequence[str], by_name: bool) -> tuple[Kind, ...]:
    """Return the rule of every feature; without ``by_name`` all are continuous."""
    return tuple(_kind(base_name(name)) if by_name else "continuous" for name in names)


def _kind(name: str) -> Kind:
    if name.startswith("brk_"):
        return "breakout"
    return "rank" if name.startswith("cs_rank_") else "continuous"
