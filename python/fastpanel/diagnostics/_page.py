"""Parts of a report: frozen, small, without behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from fastpanel.errors import ShapeError

Cell: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True)
class Text:
    """A paragraph; ``warning`` stands out. Blank lines separate paragraphs."""

    body: str
    kind: Literal["plain", "note", "warning"] = "plain"


@dataclass(frozen=True)
class Facts:
    """Labels and values, shown as tiles."""

    items: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True)
class Table:
    """Rows under column names; ``highlight`` marks row positions."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    highlight: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for position, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ShapeError(
                    f"row {position} has {len(row)} cells, the table {len(self.columns)} columns"
                )


@dataclass(frozen=True)
class Picture:
    """A PNG file, what it shows (for readers who cannot see it) and how to read it."""

    path: Path
    title: str
    caption: str = ""


@dataclass(frozen=True)
class Folded:
    """Items behind a line that opens them; for what few readers need."""

    title: str
    items: tuple[Text | Facts | Table | Picture, ...]


Item: TypeAlias = Text | Facts | Table | Picture | Folded


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Report:
    """One page: title, line below it, summary tiles, warnings, sections."""

    title: str
    subtitle: str = ""
    facts: tuple[tuple[str, Cell], ...] = ()
    warnings: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
