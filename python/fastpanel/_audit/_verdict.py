"""What an audit of a run says: one verdict made of checks, each with what it found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fastpanel._files import write_json
from fastpanel._version import __version__
from fastpanel.errors import LeakageError
from fastpanel.typing import AnyArray, BoolArray

Status = Literal["passed", "failed", "skipped"]
MOST_SHOWN = 50


@dataclass(frozen=True)
class Leak:
    """One thing that knows what it must not know.

    Attributes
    ----------
    what : str
        The object: a feature, a scaler, a fold, a forecast.
    where : str
        Fold, split, asset, row and label, as far as they are known.
    amount : str
        By how much it differs, or which row reaches where.
    """

    what: str
    where: str
    amount: str

    def __str__(self) -> str:
        return f"{self.what} ({self.where}): {self.amount}"


@dataclass(frozen=True)
class Check:
    """One line of the verdict.

    Attributes
    ----------
    name : str
        Short name: ``features``, ``plan``, ``fits``, ``selection``, ``future``.
    question : str
        What was asked, in words.
    status : ``"passed"``, ``"failed"`` or ``"skipped"``
    answer : str
        What was compared, or why nothing could be.
    leaks : tuple of Leak
    notes : tuple of str
        Worth knowing, no error.
    """

    name: str
    question: str
    status: Status
    answer: str
    leaks: tuple[Leak, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, name: str, question: str, answer: str, leaks: list[Leak], notes: list[str]
    ) -> Check:
        """Failed if anything leaks, passed otherwise."""
        status: Status = "failed" if leaks else "passed"
        return cls(name, question, status, answer, tuple(leaks), tuple(notes))


@dataclass(frozen=True)
class RunAudit:
    """Verdict on a run.

    Attributes
    ----------
    run : str
        Its folder.
    checks : tuple of Check
    """

    run: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed. A skipped one proves nothing: see ``complete``."""
        return all(check.status != "failed" for check in self.checks)

    @property
    def complete(self) -> bool:
        """Whether every check could be made."""
        return all(check.status != "skipped" for check in self.checks)

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """All of them."""
        return tuple(leak for check in self.checks for leak in check.leaks)

    def __getitem__(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)

    def raise_if_leaking(self) -> None:
        """Raise :class:`~fastpanel.errors.LeakageError` naming the first leak of each check."""
        failed = [check for check in self.checks if check.status == "failed"]
        if failed:
            lines = "; ".join(f"{check.name}: {check.leaks[0]}" for check in failed)
            raise LeakageError(f"{self.run} leaks: {lines}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready record."""
        return {
            "run": self.run,
            "version": __version__,
            "ok": self.ok,
            "complete": self.complete,
            "checks": [asdict(check) for check in self.checks],
        }

    def write(self, folder: str | Path) -> Path:
        """Write ``audit.json`` and ``audit.html`` into ``folder``; returns the latter."""
        from fastpanel._audit._page import write_page

        root = Path(folder)
        write_json(root / "audit.json", self.to_dict())
        return write_page(root / "audit.html", self)

    def __str__(self) -> str:
        lines = [f"{self.run}: {verdict(self)}"]
        for check in self.checks:
            lines.append(f"  {check.status:8}{check.name}: {check.answer}")
            lines += [f"            {leak}" for leak in check.leaks[:MOST_SHOWN]]
        return "\n".join(lines)


def differing(a: AnyArray, b: AnyArray) -> BoolArray:
    """Where two arrays of one shape differ; NaN equals NaN."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return np.asarray(~((x == y) | (np.isnan(x) & np.isnan(y))))


def first(differ: BoolArray) -> tuple[int, ...]:
    """Position of the first difference."""
    return tuple(int(i) for i in np.argwhere(differ)[0])


def verdict(audit: RunAudit) -> str:
    """One sentence."""
    if not audit.ok:
        return f"the future gets in: {len(audit.leaks)} finding(s)"
    if audit.complete:
        return "nothing knows the future"
    missing = ", ".join(check.name for check in audit.checks if check.status == "skipped")
    return f"nothing found, but not everything could be checked: {missing}"
