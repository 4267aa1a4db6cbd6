"""Write the tables of features into the pages, from the catalogue: ``python docs/tables.py``.

A table stands between ``<!-- name: begin -->`` and ``<!-- name: end -->``; a test compares it with
what this file makes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from fastpanel.features import FeatureColumn, catalog
from fastpanel.preprocess._kinds import kinds_of

DOCS = Path(__file__).resolve().parent
_SCALING = {
    "continuous": "robust: winsorise, `(x - median) / scale`, clip",
    "breakout": "`(x - p) / sqrt(p (1 - p) + breakout_var_floor)`",
    "rank": "unchanged",
}
_NOTES = {
    "momentum": "of weekly closes",
    "mean_reversion": "of weekly bars",
    "breakout": "0 or 1; p = training share per asset; constant in training: 0",
    "cross_sectional": "in (0, 1); a missing one becomes 0, the lowest rank: append the mask",
    "volatility": "of daily returns, sampled at the week's last day",
    "seasonal": "of daily returns of 26 weeks; each weekday needs 13 of them",
    "regime": "one value for all assets; still scaled per asset",
}
_OWN_NOTES = {
    "donch_pos_4w": "in [0, 1] before scaling",
    "range_pos_1w": "in [-1, 1] before scaling",
    "rsi_centered_4w": "in [-50, 50] before scaling; a week without change counts as 0",
    "rev_1w": "the return of the week before; this week's close does not enter",
    "shock_4w": "the return of the week before; this week's close does not enter",
    "realized_skew_d_12w": "clipped to [-5, 5] before scaling",
    "down_up_vol_ratio_4w": "a side with fewer than two days takes `std(d, w4)`",
    "jump_freq_4w": "in [0, 1], steps of 0.05; often 0, so the guard may set it to 0",
    "glob_corr_mean_12w": "pairs with at least 30 common days",
    "glob_pc1_share_12w": "days on which all assets kept have a return",
}


def features() -> str:
    """One table per group: key, source, first valid row, unit, formula."""
    known = catalog()
    parts = []
    for group in known.groups:
        rows = (
            [f"`{c.name}`", f"`{c.key}`", c.frequency, str(c.lookback), c.unit, _formula(c)]
            for c in known
            if c.group == group
        )
        head = ["column", "key", "from", "first row", "unit", "formula"]
        parts.append(f"### {group}\n\n{_table(head, rows)}")
    return "\n\n".join(parts)


def normalisation() -> str:
    """One row per feature: formula, scaling, notes."""
    rows = (
        [
            column.group,
            f"`{column.name}`",
            _formula(column),
            _SCALING[kinds_of([column.name], by_name=True)[0]],
            _OWN_NOTES.get(column.name, _NOTES[column.group]),
        ]
        for column in catalog()
    )
    return _table(["group", "feature", "formula", "scaling", "notes"], rows)


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "features": ("features.md", features),
    "normalisation": ("preprocessing.md", normalisation),
}


def page_with(name: str) -> tuple[Path, str]:
    """Path of a table's page, and its text with the table as it should be."""
    file, make = TABLES[name]
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = (DOCS / file).read_text(encoding="utf-8")
    marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(marked.findall(text)) != 1:
        raise ValueError(f"{file} has to hold {begin} and {end} once")
    return DOCS / file, marked.sub(lambda _: f"{begin}\n\n{make()}\n\n{end}", text)


def _formula(column: FeatureColumn) -> str:
    return "`" + column.formula.replace("|", "\\|") + "`"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


if __name__ == "__main__":
    for table in TABLES:
        path, content = page_with(table)
        path.write_text(content, encoding="utf-8")
