"""The plan of a run: warm-up, groups, outer folds and, within each, inner CPCV splits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fastpanel._files import atomic_path, write_json
from fastpanel.errors import ConfigError, ParameterError
from fastpanel.simulation._config import SimulationConfig
from fastpanel.splits import Fold, build_equal_groups, make_cpcv_splits, make_outer_folds
from fastpanel.typing import IntArray, TimeArray


@dataclass(frozen=True)
class OuterPlan:
    """One outer fold: its test group, its causal training rows, its inner splits.

    ``earlier`` are the groups before the test group, cut at ``known``: one past
    the newest row whose label is known at the first test row.
    """

    group: int
    fold: Fold
    inner: tuple[Fold, ...]
    earlier: tuple[tuple[int, int], ...]
    known: int

    @property
    def start(self) -> int:
        """First test row."""
        return int(self.fold.test_intervals[0, 0])

    @property
    def stop(self) -> int:
        """One past the last test row."""
        return int(self.fold.test_intervals[-1, 1])

    def group_of(self, rows: IntArray) -> IntArray:
        """Group id of each of ``rows``, all of which lie in earlier groups."""
        starts = np.array([start for start, _ in self.earlier], dtype=np.int64)
        return np.searchsorted(starts, rows, side="right") - 1


@dataclass(frozen=True)
class CVStructure:
    """All folds of a run, fixed before anything is fitted."""

    n_samples: int
    warmup_len: int
    horizon: int
    groups: tuple[tuple[int, int], ...]
    outer: tuple[OuterPlan, ...]
    skipped: tuple[int, ...]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for ``cv_structure.json``."""
        return {
            "n_samples": self.n_samples,
            "warmup": [0, self.warmup_len],
            "horizon": self.horizon,
            "groups": [list(group) for group in self.groups],
            "outer_folds": [
                {
                    "group": plan.group,
                    "fold": plan.fold.to_dict(),
                    "earlier_groups": [list(group) for group in plan.earlier],
                    "known": plan.known,
                    "inner_splits": [split.to_dict() for split in plan.inner],
                }
                for plan in self.outer
            ],
            "skipped_groups": [
                {"group": group, "reason": "too few earlier groups for an inner CPCV split"}
                for group in self.skipped
            ],
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CVStructure:
        """Inverse of :meth:`to_dict`."""
        return cls(
            n_samples=values["n_samples"],
            warmup_len=values["warmup"][1],
            horizon=values["horizon"],
            groups=tuple((start, stop) for start, stop in values["groups"]),
            outer=tuple(
                OuterPlan(
                    group=item["group"],
                    fold=Fold.from_dict(item["fold"]),
                    inner=tuple(Fold.from_dict(split) for split in item["inner_splits"]),
                    earlier=tuple((start, stop) for start, stop in item["earlier_groups"]),
                    known=item["known"],
                )
                for item in values["outer_folds"]
            ),
            skipped=tuple(item["group"] for item in values["skipped_groups"]),
            seed=values["seed"],
        )


def build_structure(n_samples: int, config: SimulationConfig) -> CVStructure:
    """Groups, outer folds and inner splits of ``n_samples`` labelled weeks.

    Parameters
    ----------
    n_samples : int
        Weeks with a known target.
    config : SimulationConfig
        Its sections ``cv`` and ``outer``.

    Returns
    -------
    CVStructure
        Fixed before anything is fitted.

    Raises
    ------
    ConfigError
        Too few weeks for one outer fold, or an explicitly listed test group
        that has too few earlier groups.

    Examples
    --------
    >>> from fastpanel.simulation import load_config
    >>> plan = build_structure(260, load_config({"cv": {"q": 1}}))
    >>> [(fold.group, fold.start, fold.stop, len(fold.inner)) for fold in plan.outer]
    [(1, 104, 156, 1), (2, 156, 208, 2), (3, 208, 260, 3)]
    """
    cv = config.cv
    groups = build_equal_groups(n_samples, cv.warmup_len, cv.group_len)
    wanted = _wanted_groups(config, len(groups))
    try:
        folds = make_outer_folds(
            groups,
            warmup_len=cv.warmup_len,
            horizon=cv.horizon,
            exclude_warmup=cv.exclude_warmup,
            test_groups=wanted,
            q=cv.q,
        )
    except ParameterError as error:
        raise ConfigError(f"outer.test_groups: {error}") from None
    if not folds:
        raise ConfigError(
            f"cv: {n_samples} labelled weeks give {len(groups)} groups of {cv.group_len} after a "
            f"warm-up of {cv.warmup_len}; with q = {cv.q} none has enough earlier groups. "
            "Use more data, or a smaller group_len, warmup_len or q"
        )
    plans = tuple(_plan(fold, groups, config) for fold in folds)
    used = {plan.group for plan in plans}
    skipped = tuple(k for k in range(len(groups)) if k not in used) if wanted == "all" else ()
    return CVStructure(
        n_samples=n_samples,
        warmup_len=cv.warmup_len,
        horizon=cv.horizon,
        groups=tuple((int(start), int(stop)) for start, stop in groups),
        outer=plans,
        skipped=skipped,
        seed=cv.seed,
    )


def write_structure(structure: CVStructure, times: TimeArray, folder: Path) -> None:
    """``cv_structure.json`` and ``timestamps_cv.csv``."""
    write_json(folder / "cv_structure.json", structure.to_dict())
    group_of = [-1] * structure.n_samples
    for index, (start, stop) in enumerate(structure.groups):
        group_of[start:stop] = [index] * (stop - start)
    roles = [
        "group" if group >= 0 else "warmup" if row < structure.warmup_len else "remainder"
        for row, group in enumerate(group_of)
    ]
    frame = pl.DataFrame(
        {
            "row": range(structure.n_samples),
            "timestamp": pl.Series(times).dt.replace_time_zone("UTC"),
            "iso_week": pl.Series(times).dt.strftime("%G-%V"),
            "group": group_of,
            "role": roles,
        }
    )
    with atomic_path(folder / "timestamps_cv.csv") as temporary:
        frame.write_csv(temporary)


def _wanted_groups(config: SimulationConfig, n_groups: int) -> Any:
    wanted = config.outer.test_groups
    if wanted == "all":
        return "all"
    chosen = [n_groups - 1] if wanted == "last" else sorted(set(wanted))
    outside = [group for group in chosen if not 0 <= group < n_groups]
    if outside:
        raise ConfigError(
            f"outer.test_groups: {outside} out of range; the data give groups 0 to {n_groups - 1}"
        )
    return chosen


def _plan(fold: Fold, groups: list[tuple[int, int]], config: SimulationConfig) -> OuterPlan:
    cv = config.cv
    (group,) = fold.test_groups
    # The newest label that is known at the first test row belongs to row start - horizon.
    known = groups[group][0] - cv.horizon + 1
    earlier = [(start, min(stop, known)) for start, stop in groups[:group]]
    inner = make_cpcv_splits(
        earlier,
        q=cv.q,
        horizon=cv.horizon,
        embargo_len=cv.embargo_len,
        n_samples=known,
        warmup_len=cv.warmup_len,
        exclude_warmup=cv.exclude_warmup,
        max_inner_combos=cv.max_inner_combos,
    )
    return OuterPlan(
        group=group,
        fold=fold,
        inner=tuple(inner),
        earlier=tuple((int(start), int(stop)) for start, stop in earlier),
        known=int(known),
    )
