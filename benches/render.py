"""Write a page and a chart for each saved report: ``python -m benches.render``.

docs/performance.md is that of the widest SIMD level, docs/performance-<level>.md that of another.
A page is a function of the reports and of the targets alone; a test holds the committed pages to
it. Nobody types a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benches.devices import load_devices
from benches.report import (
    HERE,
    OURS,
    Pair,
    Row,
    load_reports,
    load_targets,
    pairs,
    rows,
    target_of,
)

DOCS = HERE.parent / "docs"
LEVEL_NAMES = {"avx512": "AVX-512", "avx2": "AVX2", "neon": "NEON", "baseline": "SSE2"}

HEAD = """# {title}

Every number on this page was measured by the benches, in one run of `make bench`, and written here
by `make performance`; none is typed. **Ratio** is the rival's time over fastpanel's: above 1,
fastpanel is faster. Times are the fastest of several calls. Each rival gets its data in the layout
that it likes best, made ready beforehand; at a small size its result is checked against
fastpanel's. **Memory** is the peak of a call beyond its inputs, fastpanel's against the rival's.
**Target** is what was set before anything was built (`benches/targets.toml`), for AVX-512; machines
without it have to reach {share:.0%} of these ratios.

{others}![Ratio of every rival on one thread](images/{name}.png)
"""


def pages(
    reports: Sequence[Mapping[str, Any]], targets: Mapping[str, Any]
) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Render all pages: text and report by file name without ending."""
    levels = [report["machine"]["simd"] for report in reports]
    names = {
        level: f"performance-{level}" if level != levels[0] else "performance" for level in levels
    }
    out = {}
    for level, report in zip(levels, reports, strict=True):
        title = "Performance" if level == levels[0] else f"Performance with {LEVEL_NAMES[level]}"
        links = [f"[{LEVEL_NAMES[x]}]({names[x]}.md)" for x in levels if x != level]
        others = f"The same on machines with {' or '.join(links)}.\n\n" if links else ""
        head = HEAD.format(
            title=title, others=others, name=names[level], share=targets["share_without_avx512"]
        )
        text = head + "\n" + page(report, targets)
        if level == levels[0]:
            text += "\n" + _devices(load_devices())
        out[names[level]] = (text, report)
    return out


def page(report: Mapping[str, Any], targets: Mapping[str, Any]) -> str:
    """Render what one report says."""
    table = rows(report["records"])
    machine = report["machine"]
    against = pairs(table)
    simd, many = machine["simd"], max(row.threads for row in table)
    parts = [_machine(machine, report["versions"]), _summary(against, targets, simd)]
    for family in dict.fromkeys(row.family for row in table):
        mine = [row for row in table if row.family == family]
        parts += [f"## {family}\n", _sizes(mine), _one_thread(mine, targets, simd)]
        if many > 1:
            parts.append(_all_cores(mine, targets, many))
        parts.append(_notes(mine))
    return "\n".join(part for part in parts if part)


def _devices(kept: Mapping[str, Any]) -> str:
    """The same work on a GPU, measured on another machine."""
    cpu, gpu = kept["devices"]["cpu"], kept["devices"]["cuda"]
    versions = ", ".join(f"{name} {version}" for name, version in kept["versions"].items())
    lines = [
        [what, _time(at["cpu"]), _time(at["cuda"]), _ratio(at["cpu"] / at["cuda"])]
        for what, at in kept["seconds"].items()
    ]
    head = f"## On a GPU\n\nOn another machine: {gpu} against {cpu} of it ({versions}).\n\n"
    return head + _table(["work", "CPU", "GPU", "CPU time / GPU time"], lines)


def _machine(machine: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"Measured on {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"SIMD level {machine['simd']}, {machine['system']}, Python {machine['python']}.\n"
        f"Versions: {libraries}.\n"
    )


def _summary(against: Sequence[Pair], targets: Mapping[str, Any], simd: str) -> str:
    judged = [
        (pair, target)
        for pair in against
        if pair.ours.threads == 1 and (target := target_of(pair, targets, simd)) is not None
    ]
    missed = [(pair, target) for pair, target in judged if pair.ratio < target]
    lines = [f"Of {len(judged)} ratios with a target, {len(judged) - len(missed)} reach it."]
    if missed:
        lines.append("These do not:\n")
        lines += [
            f"- {pair.ours.name}, {pair.ours.size}, against {pair.rival.library}: "
            f"{_ratio(pair.ratio)} of {_ratio(target)}"
            for pair, target in missed
        ]
    return "\n".join(lines) + "\n"


def _sizes(mine: Sequence[Row]) -> str:
    shapes = {row.size: " x ".join(f"{n:,}" for n in row.shape) for row in mine if row.shape}
    return "".join(f"`{size}` is {shape}. " for size, shape in shapes.items()).strip() + "\n"


def _one_thread(mine: Sequence[Row], targets: Mapping[str, Any], simd: str) -> str:
    limits = {(limit["kernel"], limit["size"]): limit for limit in targets["limit"]}
    lines = []
    against = {pair.rival: pair for pair in pairs(mine)}
    for row in mine:
        if row.threads != 1:
            continue
        limit = limits.get((row.name, row.size))
        if row.library == OURS and limit:
            lines.append(_limit_line(row, limit))
        elif row.library == OURS and not any(p.ours == row for p in against.values()):
            lines.append([row.kernel, row.size, _time(row.seconds), "", "", "", "", _bytes(row)])
        if row not in against:
            continue
        pair = against[row]
        target = target_of(pair, targets, simd)
        lines.append(
            [
                row.kernel,
                row.size,
                _time(pair.ours.seconds),
                row.library + (" *" if row.note else ""),
                _time(row.seconds),
                _ratio(pair.ratio),
                "" if target is None else f"{_ratio(target)} {_verdict(pair.ratio >= target)}",
                f"{_bytes(pair.ours)} / {_bytes(row)}",
            ]
        )
    if not lines:
        return ""
    head = ["kernel", "size", "fastpanel", "rival", "its time", "ratio", "target", "memory"]
    return "One thread:\n\n" + _table(head, lines)


def _limit_line(row: Row, limit: Mapping[str, Any]) -> list[str]:
    if "milliseconds" in limit:
        words, good = f"{limit['milliseconds']:g} ms", 1e3 * row.seconds <= limit["milliseconds"]
    else:
        words = f"{limit['megabytes']:g} MB"
        good = row.peak_bytes is not None and row.peak_bytes / 1e6 <= limit["megabytes"]
    cells = [row.kernel, row.size, _time(row.seconds), "", "", ""]
    return [*cells, f"at most {words} {_verdict(good)}", _bytes(row)]


def _all_cores(mine: Sequence[Row], targets: Mapping[str, Any], many: int) -> str:
    single = {(row.name, row.size): row for row in mine if row.threads == 1 and row.library == OURS}
    rivals: dict[Row, list[Pair]] = {}
    for pair in pairs(mine):
        rivals.setdefault(pair.ours, []).append(pair)
    lines = []
    for row in mine:
        if row.threads != many or row.library != OURS or (row.name, row.size) not in single:
            continue
        gain = single[row.name, row.size].seconds / row.seconds
        wanted = ""
        if many == 2 and f"{row.name} {row.size}" in targets["threads"]["kernels"]:
            least = targets["threads"]["at_least"]
            wanted = f"{_ratio(least)} {_verdict(gain >= least)}"
        best = min(rivals.get(row, []), key=lambda pair: pair.rival.seconds, default=None)
        lines.append(
            [
                row.kernel,
                row.size,
                _time(row.seconds),
                _ratio(gain),
                wanted,
                best.rival.library if best else "",
                _time(best.rival.seconds) if best else "",
                _ratio(best.ratio) if best else "",
            ]
        )
    if not lines:
        return ""
    head = ["kernel", "size", "fastpanel", "gain over one", "target", "fastest rival", "its time"]
    return f"{many} threads, beside the rivals that use them:\n\n" + _table([*head, "ratio"], lines)


def _notes(mine: Iterable[Row]) -> str:
    notes = dict.fromkeys((r.library, r.kernel, r.note) for r in mine if r.note)
    by_words: dict[tuple[str, str], list[str]] = {}
    for library, kernel, note in notes:
        by_words.setdefault((library, note), []).append(kernel)
    lines = [f"{lib} ({', '.join(kernels)}): {note}." for (lib, note), kernels in by_words.items()]
    return "\\* " + "\n".join(lines) + "\n" if lines else ""


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    both = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in both) + "\n"


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1.0 or unit == "us":
            return f"{seconds * scale:.3g} {unit}" if seconds < 100 else f"{seconds:.0f} s"
    raise AssertionError


def _ratio(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 100 else f"{ratio:.3g}x"


def _bytes(row: Row) -> str:
    return "?" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f} MB"


def _verdict(good: bool) -> str:
    return "reached" if good else "**missed**"


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Chart the ratios of all rivals on one thread, at the first size of each kernel."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    first: dict[str, list[Pair]] = {}
    for pair in pairs(rows(report["records"])):
        group = first.setdefault(pair.ours.name, [])
        outside = not pair.rival.library.startswith(OURS)
        if (
            outside
            and pair.ours.threads == 1
            and (not group or group[0].ours.size == pair.ours.size)
        ):
            group.append(pair)
    groups = {name: group for name, group in first.items() if group}
    libraries = sorted({pair.rival.library for group in groups.values() for pair in group})
    shades = plt.get_cmap("tab20")(range(len(libraries)))
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.27 * len(groups)), layout="constrained")
    for place, group in enumerate(reversed(groups.values())):
        for pair in group:
            shade = shades[libraries.index(pair.rival.library)]
            axes.plot(pair.ratio, place, "o", color=shade, label=pair.rival.library, alpha=0.9)
    names = [f"{name}  ({group[0].ours.size})" for name, group in groups.items()]
    axes.set_yticks(range(len(groups)), names[::-1], fontsize=8)
    axes.set_xscale("log")
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xlabel(
        "time of the rival / time of fastpanel on one thread; right of 1, fastpanel is faster"
    )
    axes.grid(axis="x", alpha=0.3)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), fontsize=7, loc="outside right upper")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    """Write pages and charts."""
    for name, (text, report) in pages(load_reports(), load_targets()).items():
        (DOCS / f"{name}.md").write_text(text, encoding="utf-8")
        draw(report, DOCS / "images" / f"{name}.png")


if __name__ == "__main__":
    main()
