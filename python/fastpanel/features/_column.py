"""What is known about a feature before it is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal

from fastpanel.typing import FloatArray

if TYPE_CHECKING:
    import polars as pl

    from fastpanel.features._inputs import Inputs

Compute = Callable[["Inputs"], FloatArray]


@dataclass(frozen=True)
class FeatureColumn:
    """One column of a feature panel.

    Attributes
    ----------
    group : str
        The group it belongs to, such as ``"momentum"``.
    key : str
        Name under which it is selected; a key may give several columns.
    name : str
        Column name.
    horizon : int
        Weeks in its name; a week is five daily rows.
    lookback : int
        First weekly row (0-based) with a value on a panel without gaps that
        starts on a Monday: so many rows before are missing.
    frequency : ``"weekly"`` or ``"daily"``
        Which bars it is computed from; a daily one is sampled at each week's
        last daily bar.
    inputs : tuple of str
        Prices or columns that it reads.
    unit : str
    formula : str
    """

    group: str
    key: str
    name: str
    horizon: int
    lookback: int
    frequency: Literal["weekly", "daily"]
    inputs: tuple[str, ...]
    unit: str
    formula: str
    compute: Compute = field(repr=False, compare=False)


class Catalog(tuple[FeatureColumn, ...]):
    """Feature columns in panel order."""

    __slots__ = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Column names."""
        return tuple(column.name for column in self)

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups, in order."""
        return tuple(dict.fromkeys(column.group for column in self))

    def keys_of(self, group: str) -> tuple[str, ...]:
        """Keys of one group, in order."""
        return tuple(dict.fromkeys(column.key for column in self if column.group == group))

    def to_frame(self) -> pl.DataFrame:
        """Polars table with one row per column."""
        import polars as pl

        names = [item.name for item in fields(FeatureColumn) if item.name != "compute"]
        return pl.DataFrame({name: [getattr(column, name) for column in self] for name in names})

    def __repr__(self) -> str:
        return f"Catalog({len(self)} columns in {len(self.groups)} groups)"
