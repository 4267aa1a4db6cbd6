"""The audit of features: nothing may change when the future does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel import features as feature_module
from fastpanel._runtime import checked_seed
from fastpanel.data import CleanBars, Panel, WeeklyReturns, clean_bars
from fastpanel.errors import LeakageError, ParameterError

if TYPE_CHECKING:
    import polars as pl

_PRICES = ["open", "high", "low", "close"]


@dataclass(frozen=True)
class Finding:
    """One feature that changed in a row it must not have changed in.

    Attributes
    ----------
    feature, asset : str
        Where; the first row and asset of this feature, cut and probe.
    row : int
        Weekly row whose value changed.
    time : str
        Its label.
    cut : int
        Last weekly row that was left as it was.
    probe : ``"truncate"`` or ``"perturb"``
        Whether later bars were removed or replaced by absurd ones.
    before, after : float
        The value with the true future and without it.
    cells : int
        How many values of this feature changed.
    """

    feature: str
    asset: str
    row: int
    time: str
    cut: int
    probe: str
    before: float
    after: float
    cells: int

    def __str__(self) -> str:
        return (
            f"feature '{self.feature}' of asset '{self.asset}' in row {self.row} ({self.time}) "
            f"changes from {self.before!r} to {self.after!r} when bars after row {self.cut} are "
            f"{'removed' if self.probe == 'truncate' else 'replaced'} ({self.cells} values)"
        )


@dataclass(frozen=True)
class AuditReport:
    """Verdict on features.

    Attributes
    ----------
    subject : str
        What was audited.
    checked : tuple of str
        Feature columns.
    cuts : tuple of int
        Weekly rows at which the future was taken away.
    findings : tuple of Finding
        Empty if nothing leaks.
    """

    subject: str
    checked: tuple[str, ...]
    cuts: tuple[int, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def raise_if_leaking(self) -> None:
        """Raise :class:`~fastpanel.errors.LeakageError` naming feature, row and cut."""
        if self.findings:
            leaking = list(dict.fromkeys(finding.feature for finding in self.findings))
            raise LeakageError(f"{self.findings[0]}; leaking features: {', '.join(leaking)}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready record."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        head = f"{self.subject}: {len(self.checked)} features at {len(self.cuts)} cuts: "
        if self.ok:
            return head + "nothing depends on later bars"
        return "\n".join([f"{head}{len(self.findings)} findings", *map(str, self.findings)])


def audit_features(
    subject: Any,
    groups: str | Sequence[str],
    features: str | Sequence[str] | None,
    cuts: int | Sequence[int],
    allow_ragged: bool,
    seed: int,
) -> AuditReport:
    """Recompute features without the future and compare bit for bit; see ``fp.audit``."""
    cut_out: Callable[[np.datetime64, bool], CleanBars]
    if isinstance(subject, CleanBars):
        name, clean = "cleaned bars", subject
        cut_out = _CutClean(clean)
    else:
        name, source = "bars", _CutBars(subject)
        clean, cut_out = source.whole, source

    def compute(part: CleanBars) -> Panel:
        return feature_module.compute(part, groups, features, allow_ragged=allow_ragged)

    whole = compute(clean)
    rows = _cut_rows(cuts, len(whole), seed)
    findings: list[Finding] = []
    for row in rows:
        for probe in ("truncate", "perturb"):
            part = compute(cut_out(whole.times[row], probe == "perturb"))
            findings.extend(_differences(whole, part, row, probe))
    return AuditReport(name, whole.features, rows, tuple(findings))


def _cut_rows(cuts: int | Sequence[int], n_rows: int, seed: int) -> tuple[int, ...]:
    if n_rows < 2:
        raise ParameterError(f"{n_rows} weekly rows leave no row to cut after; give more bars")
    if isinstance(cuts, int):
        if cuts < 1:
            raise ParameterError(f"cuts is {cuts}; it has to be at least 1")
        edges = np.linspace(0, n_rows - 1, min(cuts, n_rows - 1) + 1).astype(int)
        draw = np.random.default_rng(checked_seed(seed))
        return tuple(int(draw.integers(a, b)) for a, b in pairwise(edges))
    for row in cuts:
        if not 0 <= row < n_rows - 1:
            raise ParameterError(f"cut {row} is outside the rows [0, {n_rows - 2}]")
    return tuple(sorted(set(map(int, cuts))))


def _differences(whole: Panel, part: Panel, cut: int, probe: str) -> Iterator[Finding]:
    """First change of each feature in the rows up to ``cut`` that both panels have."""
    # a bar cut can lose the last week (no bar on its Friday) and assets that list later
    rows = min(cut + 1, len(part))
    if not np.array_equal(part.times[:rows], whole.times[:rows]):
        raise LeakageError(f"week labels up to row {cut} change with bars after it")
    kept = whole[:rows].sel(assets=part.assets)
    same = _bits(part.values[:rows]) == _bits(kept.values)
    same &= part.mask[:rows] == kept.mask
    for position in np.flatnonzero(~same.all(axis=(0, 1))):
        changed = np.argwhere(~same[:, :, position])
        row, asset = (int(index) for index in changed[0])
        yield Finding(
            feature=whole.features[position],
            asset=kept.assets[asset],
            row=row,
            time=str(np.datetime_as_string(whole.times[row], unit="m")),
            cut=cut,
            probe=probe,
            before=float(kept.values[row, asset, position]),
            after=float(part.values[row, asset, position]),
            cells=len(changed),
        )


def _bits(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Bit patterns, with one for every NaN."""
    return np.where(np.isnan(values), np.nan, values).view(np.int64)


class _CutClean:
    """Cleaned bars with their future taken away."""

    def __init__(self, clean: CleanBars) -> None:
        self.clean = clean

    def __call__(self, label: np.datetime64, perturb: bool) -> CleanBars:
        weekly, daily, returns = self.clean.weekly, self.clean.daily, self.clean.returns
        change = _absurd if perturb else _without
        if not perturb:
            rows = int(np.searchsorted(returns.times, label, side="right"))
            returns = WeeklyReturns(
                returns.values[:rows],
                returns.times[:rows],
                returns.assets,
                returns.kind,
                returns.basis,
            )
        days = None if daily is None else change(daily, label)
        return CleanBars(change(weekly, label), days, returns, self.clean.meta)


class _CutBars:
    """Bars with their future taken away, cleaned afterwards."""

    def __init__(self, source: Any) -> None:
        from fastpanel.data import read_bars

        self.bars = read_bars(source)
        self.whole = clean_bars(self.bars)

    def __call__(self, label: np.datetime64, perturb: bool) -> CleanBars:
        part = clean_bars((_absurd if perturb else _without)(self.bars, label))
        return _with_assets(part, self.whole.assets)


def _with_assets(part: CleanBars, assets: tuple[str, ...]) -> CleanBars:
    """Cleaned bars with a place for every asset, also for those that list after the cut.

    Sums over all assets are then taken in the same order, to the last bit.
    """
    if part.assets == assets:
        return part
    known = part.returns
    values = np.full((len(known.times), len(assets)), np.nan)
    values[:, [assets.index(name) for name in known.assets]] = known.values
    returns = WeeklyReturns(values, known.times, assets, known.kind, known.basis)
    return CleanBars(part.weekly, part.daily, returns, part.meta)


def _later(label: np.datetime64) -> pl.Expr:
    import polars as pl

    return pl.col("timestamp") > pl.lit(label).dt.replace_time_zone("UTC")


def _without(frame: pl.DataFrame, label: np.datetime64) -> pl.DataFrame:
    return frame.filter(~_later(label))


def _absurd(frame: pl.DataFrame, label: np.datetime64) -> pl.DataFrame:
    """Later prices a million times up on even days and down on odd ones."""
    import polars as pl

    even = pl.col("timestamp").dt.ordinal_day() % 2 == 0
    factor = pl.when(_later(label)).then(pl.when(even).then(1e6).otherwise(1e-6)).otherwise(1.0)
    return frame.with_columns(pl.col(_PRICES) * factor)
