"""From raw timings to a small report, and from a report to ratios, verdicts and floors."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPORTS = HERE / "reports"
TARGETS = HERE / "targets.toml"
LEVELS = ("avx512", "avx2", "neon", "baseline")
OURS = "fastpanel"
DISTRIBUTIONS = {"talib": "TA-Lib", "sklearn": "scikit-learn", "pyro": "pyro-ppl"}


@dataclass(frozen=True)
class Row:
    """One library at one kernel and size.

    Attributes
    ----------
    seconds : float
        The fastest of ``rounds`` calls.
    peak_bytes : int or None
        Memory at the peak of a call beyond the inputs and what was there before.
    """

    family: str
    kernel: str
    size: str
    shape: tuple[int, ...]
    library: str
    threads: int
    seconds: float
    rounds: int
    peak_bytes: int | None
    note: str = ""

    @property
    def name(self) -> str:
        """Family and kernel."""
        return f"{self.family}.{self.kernel}"


@dataclass(frozen=True)
class Pair:
    """Fastpanel against one rival, on as many threads."""

    ours: Row
    rival: Row

    @property
    def ratio(self) -> float:
        """How many times longer the rival takes."""
        return self.rival.seconds / self.ours.seconds

    @property
    def name(self) -> str:
        """Kernel and rival, as in the table of floors."""
        return f"{self.ours.name} / {self.rival.library}"


def slim(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Reduce the JSON of pytest-benchmark to one flat record per test of a family.

    Benches that compare no libraries keep their own numbers and are left out.
    """
    records = []
    for bench in raw["benchmarks"]:
        info = dict(bench["extra_info"])
        if "family" not in info:
            continue
        stats, part = bench["stats"], info.pop("stands_for")
        record = {**info, "seconds": _digits(stats["min"] * part), "rounds": stats["rounds"]}
        if part != 1:
            record["note"] = f"one part of {part} timed"
        records.append({key: value for key, value in record.items() if value != ""})
    return records


def _digits(x: float) -> float:
    return float(f"{x:.4g}")


def rows(records: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of the records of a report."""
    return [Row(**{**record, "shape": tuple(record["shape"])}) for record in records]


def pairs(table: Sequence[Row]) -> list[Pair]:
    """Every rival beside fastpanel at the same kernel, size and number of threads."""
    ours = {(r.name, r.size, r.threads): r for r in table if r.library == OURS}
    return [
        Pair(ours[row.name, row.size, row.threads], row)
        for row in table
        if row.library != OURS and (row.name, row.size, row.threads) in ours
    ]


def load_targets() -> dict[str, Any]:
    """What has to be reached, and what a smoke run must not fall below."""
    return tomllib.loads(TARGETS.read_text(encoding="utf-8"))


def target_of(pair: Pair, targets: Mapping[str, Any], simd: str) -> float | None:
    """The ratio that this pair has to reach on a machine of this SIMD level."""
    for target in targets["target"]:
        if (
            pair.ours.name in target["kernels"]
            and pair.rival.library in target["rivals"]
            and any(fnmatch(pair.ours.size, pattern) for pattern in target.get("sizes", ["*"]))
        ):
            share = 1.0 if simd == "avx512" else targets["share_without_avx512"]
            return float(target["at_least"]) * share
    return None


def floors_of(targets: Mapping[str, Any], simd: str) -> dict[str, float]:
    """The ratios that a smoke run must not fall below on a machine of this SIMD level."""
    share = 1.0 if simd == "avx512" else targets["share_without_avx512"]
    return {name: share * floor for name, floor in targets["floors"].items()}


def below_floor(table: Sequence[Row], floors: Mapping[str, float]) -> dict[str, str]:
    """What is wrong with each pair of a smoke run that is too slow, has no floor, or is gone."""
    found = {pair.name: pair for pair in pairs(table)}
    wrong = {name: f"{name}: has a floor, but was not run" for name in floors if name not in found}
    for name, pair in found.items():
        if name not in floors:
            wrong[name] = f"{name}: has no floor in {TARGETS.name}"
        elif pair.ratio < floors[name]:
            wrong[name] = (
                f"{name}: {pair.ratio:.2f} times faster, at least {floors[name]:.3g} expected "
                f"({1e3 * pair.ours.seconds:.3g} ms against {1e3 * pair.rival.seconds:.3g} ms)"
            )
    return wrong


def still_below(
    slow: Mapping[str, str],
    floors: Mapping[str, float],
    again: Callable[[list[str]], Sequence[Row]],
) -> dict[str, str]:
    """What is left of ``below_floor`` when its families are measured again."""
    if not slow:
        return {}
    table = again(sorted({family_of(name) for name in slow}))
    found = below_floor(table, {name: floor for name, floor in floors.items() if name in slow})
    return {name: found[name] for name in slow if name in found}


def family_of(name: str) -> str:
    """Family of a kernel or pair by its name."""
    return name.split(".", maxsplit=1)[0]


def not_run(table: Sequence[Row], targets: Mapping[str, Any]) -> list[str]:
    """Kernel and size of every limit and thread target that a whole run did not meet."""
    seen = {f"{row.name} {row.size}" for row in table}
    judged = [f"{limit['kernel']} {limit['size']}" for limit in targets["limit"]]
    return [name for name in [*judged, *targets["threads"]["kernels"]] if name not in seen]


def versions(table: Sequence[Row]) -> dict[str, str]:
    """Version of every library in the table."""
    names = sorted({row.library.replace(",", "").split()[0] for row in table} | {"numpy", "numba"})
    return {name: metadata.version(DISTRIBUTIONS.get(name, name)) for name in names}


def write_report(records: Sequence[Mapping[str, Any]], machine: Mapping[str, Any]) -> None:
    """Save the report of this SIMD level, one record a line."""
    lines = ",\n".join("  " + json.dumps(record) for record in records)
    head = json.dumps(
        {"machine": machine, "versions": versions(rows(records))}, indent=1, ensure_ascii=False
    )
    REPORTS.mkdir(exist_ok=True)
    path = REPORTS / f"{machine['simd']}.json"
    path.write_text(f'{head[:-2]},\n "records": [\n{lines}\n ]\n}}\n', encoding="utf-8")


def load_reports() -> list[dict[str, Any]]:
    """Read the saved reports, that of the widest vectors first."""
    found = {path.stem: path for path in REPORTS.glob("*.json")}
    order = [level for level in LEVELS if level in found]
    return [dict(json.loads(found[level].read_text(encoding="utf-8"))) for level in order]
