"""A fold computed again with absurd values where its future was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastpanel._audit._verdict import Check, Leak, differing, first
from fastpanel._files import read_json
from fastpanel.errors import FastPanelError
from fastpanel.preprocess import PreprocessState
from fastpanel.progress import Reporter
from fastpanel.simulation._dataset import Dataset
from fastpanel.simulation._hooks import Hooks, default_hooks
from fastpanel.simulation._inner import batch_limit
from fastpanel.simulation._outer import (
    OuterResult,
    evaluate_outer_walk_forward,
    fit_fold_preprocessing,
)
from fastpanel.simulation._payload import Payload, load_payload
from fastpanel.simulation._stored import StoredRun
from fastpanel.simulation._structure import OuterPlan
from fastpanel.simulation._units import Batch, Unit, plan_batches
from fastpanel.simulation._work import InnerWork
from fastpanel.typing import AnyArray, BoolArray, FloatArray, IntArray

QUESTION = "Does anything decided before a week change when that week and all later ones do?"
_PARTS = ("z_samples", "scale", "whitener", "es")


def check_future(
    run: StoredRun, groups: Sequence[int], hooks: Hooks | None, say: Reporter
) -> Check:
    """Plant absurd values after a fold's training end and after a week in its middle.

    What was decided before must stay as it is stored, bit for bit. Where this
    machine does not give the stored bits even without a plant, the two
    computations made here are compared with each other.
    """
    plans = [plan for plan in run.structure.outer if plan.group in groups]
    leaks: list[Leak] = []
    notes: list[str] = []
    with say.task("audit: folds computed again", 4 * len(plans)) as task:
        for plan in plans:
            probe = _Probe(run, plan, hooks)
            for part in (probe.inner, probe.splits, probe.start, probe.middle):
                try:
                    leaks += part()
                except FastPanelError as error:
                    return Check(
                        "future", QUESTION, "skipped",
                        f"test group {plan.group} cannot be computed again: {error}",
                    )  # fmt: skip
                task.advance()
            notes += probe.notes
    names = ", ".join(str(plan.group) for plan in plans)
    answer = (
        f"test group(s) {names}: inner forecasts of all {len(run.result.candidates)} candidates, "
        "scalers, outer forecasts and weights, computed again with absurd features and targets in "
        "the rows that were not known yet"
    )
    return Check.of("future", QUESTION, answer, leaks, notes)


def planted(dataset: Dataset, x_rows: BoolArray, y_rows: BoolArray, limit: float) -> Dataset:
    """``dataset`` with absurd features in ``x_rows`` and targets in ``y_rows`` (bool [T]).

    Values are mirrored in their column's range, and those of columns that are
    no flags or ranks also tripled, at most to ``limit``. What is missing stays
    missing.
    """
    X, y = np.array(dataset.X), np.array(dataset.y)
    with np.errstate(invalid="ignore"):
        low, high = np.nanmin(X, axis=(0, 1)), np.nanmax(X, axis=(0, 1))
        mirrored = high + low - X[x_rows]
        wild = np.clip(3.0 * mirrored + (high - low), -limit, limit)
    X[x_rows] = np.where((low >= 0.0) & (high <= 1.0), mirrored, wild)
    y[y_rows] = -3.0 * y[y_rows] - 2.0 * np.nanstd(y)
    return replace(dataset, X=X, y=y)


class _Probe:
    """One outer fold under audit."""

    def __init__(self, run: StoredRun, plan: OuterPlan, hooks: Hooks | None) -> None:
        self.run, self.plan, self.given = run, plan, hooks
        self.hooks = hooks or default_hooks(run.config)
        self.config, self.dataset = run.config, run.result.dataset
        self.pick = run.result.picks[plan.group]
        self.where = f"test group {plan.group}"
        self.stored = next(fold for fold in run.result.outer if fold.group == plan.group)
        self.notes: list[str] = []

    def inner(self) -> Iterator[Leak]:
        """Every inner forecast, with everything absurd that is not known at the fold's start."""
        records = self.run.result.records[self.plan.group]
        wanted = {name: v for name, v in self.run.result.candidates.items() if name in records}
        limit = batch_limit(self.config, self.plan, self.dataset.X.shape[1])
        batches = plan_batches(wanted, range(len(self.plan.inner)), limit, "audit")
        other = self._after(self.plan.start)
        folder = self.run.folder / "inner" / f"outer_{self.plan.group}"
        for batch in batches:
            new = self._payloads(batch, other)
            old: dict[Unit, Payload] = {}
            for name, own in records.items():
                for record in own:
                    unit = Unit(name, record.split)
                    if record.file is not None and unit in batch.units:
                        old[unit] = load_payload(folder / record.file)
            if not _all_same(old, new):
                old = self._payloads(batch, self.dataset)
                self._unlike("inner forecasts", _all_same(old, new))
            yield from self._compare(old, new)

    def splits(self) -> Iterator[Leak]:
        """The pick on two splits, with all rows absurd that it neither trains on nor has seen."""
        for k in sorted({0, len(self.plan.inner) - 1}):
            fold = self.plan.inner[k]
            position = len(fold.test) // 2
            row = int(fold.test[position])
            rows = np.arange(len(self.dataset.y))
            free = ~np.isin(rows, fold.train)
            other = planted(self.dataset, free & (rows > row), free, self._limit)
            batch = Batch.of("audit", [Unit(self.pick, k)], self.run.result.candidates)
            old, new = self._payloads(batch, self.dataset), self._payloads(batch, other)
            unit = batch.units[0]
            if unit not in old or unit not in new:
                continue
            where = f"{self.where}, inner split {k}, row {row}, candidate {self.pick}"
            a, b = old[unit], new[unit]
            yield from _changed(
                "inner forecast", where, a.z_samples[:, position], b.z_samples[:, position]
            )
            yield from _changed("scoring scale", where, a.scale, b.scale)
            yield from _changed("whitener", where, a.whitener, b.whitener)

    def start(self) -> Iterator[Leak]:
        """The frozen scaler and the first outer forecast."""
        other = self._after(self.plan.start)
        name = f"preprocessing/outer_{self.plan.group}.json"
        stored = PreprocessState.from_dict(read_json(self.run.folder / name))
        if fit_fold_preprocessing(other, self.plan, self.config).to_dict() != stored.to_dict():
            yield Leak("feature scaler", f"{self.where}, {name}", "it changes with later rows")
        yield from self._walk(self.plan.start)

    def middle(self) -> Iterator[Leak]:
        """All outer forecasts up to a week in the middle."""
        yield from self._walk((self.plan.start + self.plan.stop) // 2)

    def _walk(self, row: int) -> Iterator[Leak]:
        count = row - self.plan.start + 1
        new = self._outer(self._after(row))
        old = self.stored
        if not _same(old.samples[:, :count], new.samples[:, :count]):
            old = self._outer(self.dataset)
            self._unlike("outer forecasts", _same(old.samples[:, :count], new.samples[:, :count]))
        later = (old.samples[:, count:], new.samples[:, count:])
        if later[0].size and _same(*later):
            self.notes.append(
                f"{self.where}: forecasts after row {row} do not react to the planted values, so "
                "the comparison has no power there."
            )
        for i in range(count):
            where = f"{self.where}, row {self.plan.start + i}, values planted after row {row}"
            yield from _changed("outer forecast", where, old.samples[:, i], new.samples[:, i])
            yield from _changed("weights", where, old.weights[i], new.weights[i])

    def _outer(self, dataset: Dataset) -> OuterResult:
        return evaluate_outer_walk_forward(
            dataset,
            self.plan,
            self.pick,
            self.run.result.candidates[self.pick],
            self.config,
            self.hooks,
            prebuilt=self.run.prebuilt,
        )

    def _payloads(self, batch: Batch, dataset: Dataset) -> dict[Unit, Payload]:
        work = InnerWork(
            self.config, self.plan, self.run.prebuilt, hooks=self.given, dataset=dataset
        )
        run: Callable[[Batch], Any] = work.open(dataset)
        return {done.unit: done.payload for done in run(batch) if done.payload is not None}

    def _compare(self, old: dict[Unit, Payload], new: dict[Unit, Payload]) -> Iterator[Leak]:
        for unit in sorted(old.keys() | new.keys()):
            where = f"{self.where}, inner split {unit.split}, candidate {unit.candidate}"
            if unit not in old or unit not in new:
                yield Leak("inner forecast", where, "it fails, or not, depending on later rows")
                continue
            for part in _PARTS:
                yield from _changed(
                    f"inner {part}", where, getattr(old[unit], part), getattr(new[unit], part)
                )

    def _after(self, row: int) -> Dataset:
        """Absurd features after ``row``, and targets that are not known at its end."""
        rows: IntArray = np.arange(len(self.dataset.y))
        shift = self.config.data.dataset_params.target_shift
        return planted(self.dataset, rows > row, rows > row - shift, self._limit)

    def _unlike(self, what: str, explained: bool) -> None:
        note = (
            f"{self.where}: this machine does not give the stored bits of the {what} again; two "
            "computations made here were compared instead."
        )
        if explained and note not in self.notes:
            self.notes.append(note)

    @property
    def _limit(self) -> float:
        return 0.9 * float(self.config.preprocessing.max_abs_fail)


def _all_same(old: dict[Unit, Payload], new: dict[Unit, Payload]) -> bool:
    return old.keys() == new.keys() and all(
        _same(getattr(old[unit], part), getattr(new[unit], part)) for unit in old for part in _PARTS
    )


def _same(a: AnyArray, b: AnyArray) -> bool:
    return a.shape == b.shape and not differing(a, b).any()


def _changed(what: str, where: str, old: FloatArray, new: FloatArray) -> Iterator[Leak]:
    if _same(old, new):
        return
    if old.shape != new.shape:
        yield Leak(what, where, f"shape {old.shape} becomes {new.shape}")
        return
    differ = differing(old, new)
    place = first(differ)
    yield Leak(
        what,
        where,
        f"{int(differ.sum())} of {differ.size} values change with rows that were not known, the "
        f"first at {list(place)}: {float(old[place])!r} becomes {float(new[place])!r}",
    )
