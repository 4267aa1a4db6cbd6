"""Write what is generated into pages and files: ``python docs/tables.py``.

The tables of features come from the catalogue; the tables of configuration keys, the JSON schema
and the full example come from the models. A table stands between ``<!-- name: begin -->`` and
``<!-- name: end -->``; a test compares it with what this file makes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from fastpanel.config import Key, keys
from fastpanel.features import FeatureColumn, catalog
from fastpanel.preprocess._kinds import kinds_of
from fastpanel.simulation import SimulationConfig

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


def configuration() -> str:
    """One table per section: key, values, default, meaning."""
    sections: dict[str, list[Key]] = {}
    for key in keys(SimulationConfig):
        sections.setdefault(key.path.partition(".")[0].removesuffix("[]"), []).append(key)
    head = ["key", "values", "default", "meaning"]
    return "\n\n".join(
        f"### {name}\n\n{_table(head, (_key_cells(key) for key in own))}"
        for name, own in sections.items()
    )


def schema() -> str:
    """JSON schema of the simulation's configuration."""
    return json.dumps(SimulationConfig.model_json_schema(), indent=1) + "\n"


_EXAMPLE: dict[str, Any] = {
    "data.simulation_output_path": "full_example",
    "data.dataset_params.bars": "simulated",
    "data.dataset_params.simulated": {"n_assets": 6, "years": 6, "seed": 7},
    "data.dataset_params.groups": ["momentum", "volatility"],
    "training.svi.num_steps": 300,
    "training.svi.learning_rate": 0.02,
    "tuning.num_samples": 4,
    "tuning.space": [
        {"path": "model.params.num_factors", "type": "categorical", "values": [1, 3]},
        {
            "path": "model.params.coefficients.scale",
            "type": "float",
            "bounds": [0.003, 0.3],
            "transform": "log",
        },
    ],
    "scoring.spec.metric_name": "energy_score",
    "model_selection.enable": True,
    "diagnostics.fan_charts.enable": True,
    "outer.test_groups": "last",
}


def example() -> str:
    """A configuration with every key; defaults where the example needs nothing else."""
    lines = [
        "# Every key of a simulation, with its meaning. The values are the defaults, except for",
        *(f"#   {path}" for path in _EXAMPLE),
    ]
    opened: list[str] = []
    for key in keys(SimulationConfig):
        if "[]" in key.path:
            continue
        *parents, name = key.path.split(".")
        for depth, parent in enumerate(parents):
            if opened[: depth + 1] != parents[: depth + 1]:
                opened = parents[: depth + 1]
                lines.append(f"{'  ' * depth}{parent}:")
        value = _EXAMPLE.get(key.path, key.default)
        indent = "  " * len(parents)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(f"{indent}{name}:  # {key.meaning}")
            lines += [f"{indent}  - {_inline(item)}" for item in value]
        else:
            lines.append(f"{indent}{name}: {_inline(value)}  # {key.meaning}")
        opened = parents
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _key_cells(key: Key) -> list[str]:
    domain = key.domain.replace("|", "\\|")
    meaning = key.meaning.replace("``", "`").replace("|", "\\|").replace("<", "&lt;")
    if key.path.endswith(("[].path", "[].type")):
        return [f"`{key.path}`", domain, "required", meaning]
    return [f"`{key.path}`", domain, f"`{_inline(key.default)}`", meaning]


FILES: dict[str, Callable[[], str]] = {
    "docs/simulation.schema.json": schema,
    "examples/weekly_nested_cv/config/simulation.yml": example,
}


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "features": ("features.md", features),
    "normalisation": ("preprocessing.md", normalisation),
    "configuration": ("configuration.md", configuration),
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
    for file, make_file in FILES.items():
        (DOCS.parent / file).write_text(make_file(), encoding="utf-8")
