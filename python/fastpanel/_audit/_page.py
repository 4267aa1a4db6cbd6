"""The verdict as a page for people."""

from __future__ import annotations

from pathlib import Path

from fastpanel import diagnostics
from fastpanel._audit._verdict import MOST_SHOWN, Check, RunAudit, verdict
from fastpanel.diagnostics import Report, Section, Table, Text


def write_page(path: Path, audit: RunAudit) -> Path:
    """Write the verdict as one self-contained HTML file."""
    summary = Table(
        ("check", "verdict", "what was asked"),
        tuple((check.name, check.status, check.question) for check in audit.checks),
    )
    report = Report(
        title=f"Leak audit: {Path(audit.run).name}",
        subtitle=verdict(audit)[0].upper() + verdict(audit)[1:] + ".",
        warnings=tuple(f"{leak}" for check in audit.checks for leak in check.leaks[:3]),
        sections=(
            Section("Verdict", (summary, Text(_MEANING))),
            *(_section(check) for check in audit.checks),
        ),
    )
    return diagnostics.write_report(path, report)


_MEANING = (
    "Passed: what was compared is the same to the last bit. Failed: something differs that must "
    "not, and the lines below say what, where and by how much. Skipped: it could not be checked, "
    "which proves nothing."
)


def _section(check: Check) -> Section:
    items: list[Text | Table] = [Text(check.answer)]
    if check.leaks:
        rows = tuple((leak.what, leak.where, leak.amount) for leak in check.leaks[:MOST_SHOWN])
        more = len(check.leaks) - len(rows)
        items.append(
            Table(("what", "where", "by how much"), rows, caption=f"{more} more" if more else "")
        )
    items += [Text(note) for note in check.notes]
    return Section(f"{check.name}: {check.status}", tuple(items))
