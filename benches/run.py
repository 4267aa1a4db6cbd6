"""Run the benches and keep what came out.

    python -m benches.run                     every family of the report, one thread and all
                                              cores; writes benches/reports/<level>.json
    python -m benches.run rolling scoring     these families alone; prints ratios, writes nothing
    python -m benches.run --smoke             small sizes, one thread; fails when a ratio is
                                              below its floor three times in a row

Each number of threads runs in a process of its own, because most libraries read theirs once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benches.report import (
    HERE,
    Row,
    below_floor,
    family_of,
    floors_of,
    load_targets,
    not_run,
    pairs,
    rows,
    slim,
    still_below,
    target_of,
    versions,
    write_report,
)

ROOT = HERE.parent
# Keep numbers of their own, which the report does not hold: run them by name.
APART = {"devices", "nested_cv"}
REPEATS = 2  # of a smoke run, for the families that seem slow: these machines are not quiet


def environment(threads: int, smoke: bool) -> dict[str, str]:
    """Variables that hold every library to so many threads."""
    names = ("FASTPANEL", "NUMBA", "OMP", "OPENBLAS", "MKL")
    settings = {f"{name}_NUM_THREADS": str(threads) for name in names}
    settings["POLARS_MAX_THREADS"] = str(threads)
    if threads == 1:
        settings["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return {**os.environ, **settings, "FASTPANEL_BENCH": "smoke" if smoke else "full"}


def measure(families: list[str], threads: int, smoke: bool) -> list[dict[str, Any]]:
    """One pytest process; its records."""
    found = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    chosen = families or [family for family in found if smoke or family not in APART]
    files = [str(HERE / f"bench_{family}.py") for family in chosen]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.json"
        options = ["-q", "--benchmark-only", "--benchmark-disable-gc", "--timeout=0"]
        options += ["--benchmark-columns=min,rounds", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *files, *options, f"--benchmark-json={raw}"],
            env=environment(threads, smoke),
            cwd=ROOT,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.returncode)
        return slim(json.loads(raw.read_text(encoding="utf-8")))


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    from fastpanel import show_versions

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].split(":")[1].strip() if models else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "simd": show_versions()["simd"],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def show(table: list[Row], simd: str) -> None:
    """Print the versions, then one line per rival."""
    targets = load_targets()
    print(*(f"{library} {version}" for library, version in versions(table).items()), sep=", ")
    for pair in pairs(table):
        target = target_of(pair, targets, simd)
        verdict = "" if target is None else f"  target {target:g}" + "!" * (pair.ratio < target)
        print(
            f"{pair.ours.size:14} {pair.ours.threads}t {pair.name:44} "
            f"{1e3 * pair.ours.seconds:10.3f} ms {pair.ratio:9.2f}x{verdict}"
        )


def smoke(families: list[str], simd: str) -> None:
    """Small sizes against the floors; fails on what is below its floor time after time."""

    def again(chosen: list[str]) -> list[Row]:
        return rows(measure(chosen, 1, smoke=True))

    table = again(families)
    show(table, simd)
    floors = floors_of(load_targets(), simd)
    if families:
        seen = {row.family for row in table}
        floors = {name: floor for name, floor in floors.items() if family_of(name) in seen}
    slow = below_floor(table, floors)
    for _ in range(REPEATS):
        slow = still_below(slow, floors, again)
    if slow:
        raise SystemExit("\n".join(["benches below their floor:", *slow.values()]))


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("families", nargs="*", help="bench_<family>.py, all by default")
    parser.add_argument("--smoke", action="store_true", help="small sizes against the floors")
    chosen = parser.parse_args()
    about = machine()
    if chosen.smoke:
        smoke(chosen.families, about["simd"])
        return
    records = [
        record
        for threads in dict.fromkeys((1, os.cpu_count() or 1))
        for record in measure(chosen.families, threads, smoke=False)
    ]
    if chosen.families:
        show(rows(records), about["simd"])
    else:
        write_report(records, about)
        if gone := not_run(rows(records), load_targets()):
            raise SystemExit(f"targets.toml names what no bench ran: {', '.join(gone)}")


if __name__ == "__main__":
    main()
