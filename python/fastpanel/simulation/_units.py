"""Units of work and the batches they run in, both fixed by the plan alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from fastpanel.simulation._keys import content_key

T = TypeVar("T")


class Unit(NamedTuple):
    """Candidate ``candidate`` on inner split ``split`` of one outer fold."""

    candidate: str
    split: int


@dataclass(frozen=True)
class Batch:
    """Units that are fitted together and recorded together.

    A compiled program over several fits may round a fit in another way when
    its neighbours differ. So the batch, not only the unit, is fixed: it is the
    same for every engine and every rerun, and part of each unit's key.

    Attributes
    ----------
    key : str
        Over the fold, the units and the values of their candidates.
    units : tuple of Unit
        Split by split; within a split, candidates in plan order.
    values : mapping
        Candidate id to ``{path: value}``.
    """

    key: str
    units: tuple[Unit, ...]
    values: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(
        cls, fold_key: str, units: Sequence[Unit], values: Mapping[str, Mapping[str, Any]]
    ) -> Batch:
        """Build the batch of ``units`` in the fold that ``fold_key`` stands for."""
        own = {unit.candidate: dict(values[unit.candidate]) for unit in units}
        key = content_key(
            {"fold": fold_key, "units": [list(unit) for unit in units], "values": own}
        )
        return cls(key, tuple(units), own)

    def key_of(self, unit: Unit) -> str:
        """Content key of one unit of this batch."""
        return content_key({"batch": self.key, "unit": list(unit)})


def plan_batches(
    candidates: Mapping[str, Mapping[str, Any]],
    splits: Sequence[int],
    limit: int,
    fold_key: str,
) -> list[Batch]:
    """All batches of a fold: every candidate on all ``splits``, at most ``limit`` units each.

    Candidates of one static shape (equal in everything but floats) share a
    batch, because one compiled program fits them all. A batch holds many
    candidates on few splits rather than the reverse: candidates on one split
    share its data.

    Examples
    --------
    >>> plan = {"0": {"model.params.num_factors": 1}, "1": {"model.params.num_factors": 2}}
    >>> [batch.units for batch in plan_batches(plan, range(3), 2, "fold")][:2]
    [(Unit(candidate='0', split=0), Unit(candidate='0', split=1)), (Unit(candidate='0', split=2),)]
    """
    shapes: dict[str, list[str]] = {}
    for candidate, values in candidates.items():
        shapes.setdefault(_static_shape(values), []).append(candidate)
    return [
        Batch.of(fold_key, [Unit(name, split) for split in part for name in names], candidates)
        for same in shapes.values()
        for names in _chunks(same, limit)
        for part in _chunks(splits, max(1, limit // len(names)))
    ]


def _static_shape(values: Mapping[str, Any]) -> str:
    """What a compiled program cannot take as an input; the number of steps it can."""
    free = {"training.svi.num_steps"}
    fixed = {k: v for k, v in values.items() if not isinstance(v, float) and k not in free}
    return repr(sorted(fixed.items()))


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
