"""The fold plan of a run, row by row, as it was written, without trusting how it was made."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastpanel import features, splits
from fastpanel._audit._verdict import Check, Leak
from fastpanel.errors import LeakageError
from fastpanel.simulation._dataset import base_name
from fastpanel.simulation._stored import StoredRun
from fastpanel.simulation._structure import OuterPlan, build_structure
from fastpanel.typing import ArrayLike, IntArray

QUESTION = "Does any training label reach into test rows, or an embargo, of its fold?"


def check_plan(run: StoredRun, label_end: ArrayLike | None) -> Check:
    """Audit outer folds and inner splits with the labels that the targets really have.

    ``label_end`` int [T] or [T, A]: last row of each label. Default: the
    horizon of the configuration, which is at least the shift of the target.
    """
    ends = None if label_end is None else np.asarray(label_end)
    leaks = [leak for plan in run.structure.outer for leak in _leaks(run, plan, ends)]
    rebuilt = build_structure(run.structure.n_samples, run.config)
    if rebuilt.to_dict() != run.structure.to_dict():
        leaks.append(
            Leak(
                "fold plan",
                "cv/cv_structure.json",
                "it is not the plan that the configuration describes; it was altered, or another "
                "version made it",
            )
        )
    inner = sum(len(plan.inner) for plan in run.structure.outer)
    answer = (
        f"{len(run.structure.outer)} outer folds and {inner} inner splits, labels of "
        f"{'the given ends' if ends is not None else f'{run.config.cv.horizon} row(s)'}, embargo "
        f"of {run.config.cv.embargo_len} row(s)"
    )
    return Check.of("plan", QUESTION, answer, leaks, _look_back_notes(run, ends))


def _leaks(run: StoredRun, plan: OuterPlan, ends: IntArray | None) -> Iterator[Leak]:
    cv = run.config.cv
    rules: dict[str, object] = {"horizon": cv.horizon} if ends is None else {"label_end": ends}
    try:
        splits.audit([plan.fold], **rules)  # type: ignore[arg-type]
    except LeakageError as error:
        yield Leak("outer fold", f"test group {plan.group}", str(error).partition(", ")[2])
    last = _reach(run, ends)
    for k, split in enumerate(plan.inner):
        where = f"test group {plan.group}, inner split {k}"
        try:
            splits.audit([split], embargo_len=cv.embargo_len, **rules)  # type: ignore[arg-type]
        except LeakageError as error:
            yield Leak("inner split", where, str(error).partition(", ")[2])
        rows = np.concatenate([split.train, split.test])
        late = rows[last[rows] > plan.start]
        if late.size:
            yield Leak(
                "inner split",
                where,
                f"row {late.min()}: its label ends in row {last[late.min()]}, but the outer test "
                f"starts at row {plan.start}",
            )


def _reach(run: StoredRun, ends: IntArray | None) -> IntArray:
    if ends is None:
        return np.arange(run.structure.n_samples) + run.config.cv.horizon
    return ends if ends.ndim == 1 else ends.max(axis=1)


def _look_back_notes(run: StoredRun, ends: IntArray | None) -> list[str]:
    """How far feature windows and labels overlap between training and test; no error."""
    look_back = {column.name: column.lookback for column in features.catalog()}
    names = [base_name(name) for name in run.result.dataset.features]
    known = [look_back[name] for name in names if name in look_back]
    if not known:
        return ["No feature of this panel is in the catalogue, so look-backs are unknown."]
    longest = max(known)
    reach = _reach(run, ends)
    train_hit = test_hit = train_all = test_all = 0
    for plan in run.structure.outer:
        for split in plan.inner:
            train, test = split.train, split.test
            train_hit += _overlaps(train, test, reach, longest)
            test_hit += _overlaps(test, train, reach, longest)
            train_all, test_all = train_all + len(train), test_all + len(test)
    notes = [
        f"Longest look-back: {longest} rows. In the inner splits {train_hit / train_all:.0%} of "
        f"the training rows have a feature window that reaches back over a test label, and "
        f"{test_hit / test_all:.0%} of the test rows one that reaches back over a training "
        "label. Neither is a leak, because a window holds only what was known at its own row; "
        "but rows that share returns are alike, and an embargo as long as the look-back would "
        "part them. The outer folds, which give the reported numbers, train on earlier rows only."
    ]
    if len(known) < len(names):
        notes.append(f"{len(names) - len(known)} feature(s) are not in the catalogue.")
    return notes


def _overlaps(rows: IntArray, others: IntArray, reach: IntArray, look_back: int) -> int:
    """Rows whose window ``(row - look_back, row]`` meets the label of an earlier other row."""
    before = np.searchsorted(np.sort(others), rows) - 1
    has = before >= 0
    newest = np.sort(others)[np.maximum(before, 0)]
    return int((has & (reach[newest] > rows - look_back)).sum())
