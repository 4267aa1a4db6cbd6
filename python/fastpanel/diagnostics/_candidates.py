"""Table of the candidates of a selection."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from fastpanel.diagnostics._page import Cell, Table
from fastpanel.typing import AnyArray, FloatArray


class SelectionLike(Protocol):
    """What is read of a selection (``fastpanel.selection.Selection`` has it)."""

    @property
    def es_model(self) -> FloatArray: ...
    @property
    def se_es(self) -> FloatArray: ...
    @property
    def crps_model(self) -> FloatArray: ...
    @property
    def ql_model(self) -> FloatArray: ...
    @property
    def secondary_score(self) -> FloatArray: ...
    @property
    def complexity(self) -> FloatArray: ...
    @property
    def survivors(self) -> tuple[int, ...]: ...
    @property
    def pick(self) -> int: ...
    @property
    def threshold(self) -> float: ...


def ranking(selection: SelectionLike) -> list[int]:
    """Order candidates: pick, other survivors, the rest by energy score, failures last."""
    es = np.where(np.isnan(selection.es_model), np.inf, selection.es_model)
    survivors = set(selection.survivors)
    score = np.nan_to_num(selection.secondary_score, nan=0.0)

    def key(m: int) -> tuple[bool, bool, float, float, int]:
        return (m != selection.pick, m not in survivors, float(score[m]), float(es[m]), m)

    return sorted(range(len(es)), key=key)


def candidate_columns(
    selection: SelectionLike, params: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, AnyArray]:
    """Columns of the CSV file, best candidate first; one column per parameter path."""
    order = ranking(selection)
    survivors = set(selection.survivors)
    columns: dict[str, AnyArray] = {
        "candidate": np.array(order),
        "role": np.array([_role(m, selection.pick, survivors) for m in order]),
        "es": selection.es_model[order],
        "es_se": selection.se_es[order],
        "crps": selection.crps_model[order],
        "ql": selection.ql_model[order],
        "rank_sum": selection.secondary_score[order],
        "complexity": selection.complexity[order],
    }
    chosen = params or {}
    paths = dict.fromkeys(path for values in chosen.values() for path in values)
    for path in paths:
        values = [chosen.get(str(m), {}).get(path) for m in order]
        columns[path] = np.array([_plain(value) for value in values], dtype=object)
    return columns


def candidate_table(
    selection: SelectionLike,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    limit: int = 25,
) -> Table:
    """Table of the best ``limit`` candidates for the report; the pick is highlighted.

    Columns without any value are left out.

    Parameters
    ----------
    selection : Selection
    params : mapping, optional
        Candidate id (``"0"``, ``"1"``, ...) to ``{path: value}``.
    limit : int
        Rows at most.

    Returns
    -------
    Table
        For a :class:`Section` of a report.

    Examples
    --------
    >>> from fastpanel.selection import select
    >>> selection = select([[[1.0, 1.1]], [[2.0, 2.1]]], [[0, 1]])
    >>> len(candidate_table(selection).rows)
    2
    """
    columns = candidate_columns(selection, params)
    shown = {name: values for name, values in columns.items() if not _empty(values)}
    total = len(selection.es_model)
    rows = [tuple(_cell(values[i]) for values in shown.values()) for i in range(min(limit, total))]
    more = f"The best {limit} of {total} candidates. " if total > limit else ""
    return Table(
        columns=tuple(name.replace("_", " ") if "." not in name else name for name in shown),
        rows=tuple(rows),
        caption=f"{more}Lower is better in every score; – = not computed or failed.",
        highlight=(0,),
    )


def _role(candidate: int, pick: int, survivors: set[int]) -> str:
    if candidate == pick:
        return "pick"
    return "survivor" if candidate in survivors else ""


def _empty(values: AnyArray) -> bool:
    return values.dtype.kind == "f" and bool(np.isnan(values).all())


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _cell(value: Any) -> Cell:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and math.isnan(plain):
        return None
    return plain  # type: ignore[no-any-return]
