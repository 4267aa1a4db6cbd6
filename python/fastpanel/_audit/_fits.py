"""Every stored fitted object, made again from the training rows of the plan and compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastpanel import scoring
from fastpanel._audit._verdict import Check, Leak, differing, first
from fastpanel._files import read_json
from fastpanel.preprocess import PanelPreprocessor, PreprocessState
from fastpanel.simulation._outer import training_rows
from fastpanel.simulation._payload import Payload, load_payload
from fastpanel.simulation._stored import StoredRun
from fastpanel.simulation._structure import OuterPlan
from fastpanel.typing import AnyArray, IntArray

QUESTION = "Has every fitted scaler and whitener seen its training rows and nothing else?"
_STATISTICS = ("median", "scale", "guarded", "winsor_low", "winsor_high")


def check_fits(run: StoredRun) -> Check:
    """Compare stored scalers and whiteners with fits on the rows that the plan allows."""
    leaks: list[Leak] = []
    whiteners = 0
    for plan in run.structure.outer:
        leaks += _frozen(run, plan)
        folder = run.folder / "inner" / f"outer_{plan.group}"
        for candidate, records in run.result.records[plan.group].items():
            for record in records:
                if record.file is None:
                    continue
                whiteners += 1
                where = (
                    f"test group {plan.group}, inner split {record.split}, candidate {candidate}"
                )
                leaks += _whitener(
                    run, plan, record.split, load_payload(folder / record.file), where
                )
    answer = (
        f"{len(run.structure.outer)} frozen feature scalers and the {whiteners} scoring spaces of "
        "the inner forecasts, made again from the training rows of the plan"
    )
    return Check.of("fits", QUESTION, answer, leaks, [])


def _frozen(run: StoredRun, plan: OuterPlan) -> Iterator[Leak]:
    """The feature scaler of one outer fold."""
    name = f"preprocessing/outer_{plan.group}.json"
    where = f"test group {plan.group}, {name}"
    state = PreprocessState.from_dict(read_json(run.folder / name))
    rows = training_rows(plan, plan.start, run.config)
    saw = _rows(state.train_intervals)
    foreign = np.setdiff1d(saw, rows)
    if foreign.size:
        yield Leak(
            "feature scaler",
            where,
            f"it was fitted on {foreign.size} row(s) that are not for training, the first is row "
            f"{foreign[0]}",
        )
    dataset, config = run.result.dataset, run.config
    again = PanelPreprocessor(
        **config.preprocessing.model_dump(),
        use_feature_names_for_scaling=config.flags.use_feature_names_for_scaling,
    ).fit(
        dataset.X[: plan.start],
        dataset.features,
        mask=dataset.mask[: plan.start],
        rows=rows,
        asset_names=list(dataset.assets),
        absent=dataset.absent[: plan.start],
    )
    if again.kept != state.kept:
        changed = sorted(set(again.kept) ^ set(state.kept))
        yield Leak(
            "feature list", where, f"a fit on the training rows keeps others: {', '.join(changed)}"
        )
        return
    for name in _STATISTICS:
        yield from _difference(
            f"{name} of the feature scaler", where, getattr(state, name), getattr(again, name)
        )


def _whitener(
    run: StoredRun, plan: OuterPlan, split: int, payload: Payload, where: str
) -> Iterator[Leak]:
    """The scoring space of one inner forecast, and the weeks it was scored on."""
    fold = plan.inner[split]
    if not np.array_equal(payload.test_idx, fold.test):
        foreign = np.setdiff1d(payload.test_idx, fold.test)
        first = f", the first is row {foreign[0]}" if foreign.size else ""
        yield Leak("scored weeks", where, f"{foreign.size} are not test weeks of the split{first}")
        return
    spec = run.config.scoring.spec
    y = run.result.dataset.y[fold.train][:, payload.assets]
    again = scoring.Whitener.fit(y, mad_eps=spec.mad_eps, eps=spec.eps, var_floor=spec.var_floor)
    yield from _difference("scoring scale", where, payload.scale[payload.assets], again.scale)
    yield from _difference("whitener", where, payload.whitener, again.matrix)


def _difference(what: str, where: str, stored: AnyArray, again: AnyArray) -> Iterator[Leak]:
    differ = differing(stored, again)
    if not differ.any():
        return
    place = first(differ)
    have, want = stored[place].item(), again[place].item()
    yield Leak(
        what,
        where,
        f"{int(differ.sum())} of {differ.size} values differ from a fit on the training rows; the "
        f"first, at {list(place)}, is {have!r} and should be {want!r}",
    )


def _rows(intervals: IntArray) -> IntArray:
    pieces = [np.arange(start, stop) for start, stop in intervals]
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)
