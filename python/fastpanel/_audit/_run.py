"""All checks on one finished run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from fastpanel._audit._fits import check_fits
from fastpanel._audit._future import check_future
from fastpanel._audit._inputs import check_features
from fastpanel._audit._picks import check_picks
from fastpanel._audit._plan import check_plan
from fastpanel._audit._verdict import RunAudit
from fastpanel.errors import ParameterError
from fastpanel.progress import Reporter, reporter
from fastpanel.simulation import Hooks
from fastpanel.simulation._stored import StoredRun, load_run
from fastpanel.typing import ArrayLike

Folds = Literal["last", "all"] | Sequence[int]


def audit_run(
    folder: Path,
    *,
    folds: Folds = "last",
    bars: Any = None,
    label_end: ArrayLike | None = None,
    hooks: Hooks | None = None,
    cuts: int = 3,
    progress: bool | Reporter = False,
) -> RunAudit:
    """Audit a finished run; see ``fp.audit``."""
    run = load_run(folder)
    groups = _groups(run, folds)
    say = reporter(progress)
    checks = (
        check_plan(run, label_end),
        check_fits(run),
        check_picks(run),
        check_future(run, groups, hooks, say),
        check_features(run, bars, cuts),
    )
    return RunAudit(str(folder), checks)


def _groups(run: StoredRun, folds: Folds) -> tuple[int, ...]:
    there = tuple(plan.group for plan in run.structure.outer)
    if folds == "all":
        return there
    if folds == "last":
        return there[-1:]
    wanted = tuple(int(group) for group in folds)
    unknown = sorted(set(wanted) - set(there))
    if unknown or not wanted:
        raise ParameterError(
            f"folds: no test group {unknown[0] if unknown else wanted}; the run has {list(there)}"
        )
    return wanted
