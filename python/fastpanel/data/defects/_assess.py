"""Look at bars the way a careful person would, asset by asset and week by week."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel.data._bars import read_bars
from fastpanel.data._clean import clean_bars
from fastpanel.data._clean_bars import CleanBars
from fastpanel.data.defects._facts import Facts
from fastpanel.data.defects._report import REASONS, WHOLE_LIFE, Quality
from fastpanel.typing import BoolArray, FloatArray

if TYPE_CHECKING:
    import polars as pl

FEW, USUAL_BARS = 0.7, 4
COARSE = 0.25
HOURS = 1.25
_MOST = 0.5


def quality(bars: Any, clean: CleanBars | None = None) -> Quality:
    """Find what is missing, thin, coarse or odd in bars.

    Parameters
    ----------
    bars : whatever :func:`read_bars` takes
    clean : CleanBars, optional
        What :func:`clean_bars` made of them; its weeks and assets are looked
        at. By default ``clean_bars(bars)``.

    Returns
    -------
    Quality
        ``print`` it, or take ``.findings``, ``.weeks``, ``.assets``;
        ``fp.diagnostics.draw_quality`` makes a picture of it.

    Notes
    -----
    A description of a whole file, for people: it looks at all weeks at once,
    the later ones included. No feature and no model reads it. A holiday is no
    defect: a weekday counts as missing only where at least half of the assets
    alive on that day have a bar. ``fp.data.REASONS`` says what each reason
    means.

    Examples
    --------
    >>> from fastpanel.data import quality, simulated_market
    >>> report = quality(simulated_market(n_assets=4, years=2, gap_rate=0.0, seed=1))
    >>> report.findings.select("asset", "reason", "weeks", "first_week").rows()
    [('SIM03', 'starts late', 26, '2016-01')]
    """
    table = read_bars(bars)
    clean = clean_bars(table) if clean is None else clean
    facts = Facts(table, clean)
    amounts = {reason: _AMOUNTS[reason](facts) for reason in _AMOUNTS}
    flags = np.zeros(facts.alive.shape, np.int8)
    for position, reason in reversed(list(enumerate(REASONS))):
        if reason not in WHOLE_LIFE:
            flags[np.isfinite(amounts[reason])] = 1 + position
    return Quality(
        findings=_findings(facts, amounts),
        weeks=_weeks(facts, amounts),
        assets=facts.assets(),
        flags=flags,
        times=clean.times,
        names=clean.assets,
        partial_weeks=tuple(clean.meta["weekly"].get("partial_weeks_dropped", ())),
    )


# amounts: one array [T, A] per reason, NaN where the week has nothing to report


def _where(condition: BoolArray, amount: Any) -> FloatArray:
    found: FloatArray = np.where(condition, amount, np.nan)
    return found


def _no_bars(x: Facts) -> FloatArray:
    return _where(x.alive & ~x.has_week, 1.0)


def _days_missing(x: Facts) -> FloatArray:
    return _where((x.days_missing > 0) & x.has_week, x.days_missing)


def _few_bars(x: Facts) -> FloatArray:
    usual = x.usual_bars_per_day
    few = (x.bars_per_day < FEW * usual) & (usual >= USUAL_BARS)
    return _where(few, x.bars_per_day)


def _coarse_price(x: Facts) -> FloatArray:
    return _where(x.has_week & (x.step_in_moves >= COARSE), x.step_in_moves)


def _extreme_move(x: Facts) -> FloatArray:
    return x.extreme_move


def _no_range(x: Facts) -> FloatArray:
    return _where(x.flat_days > 0, x.flat_days)


def _zero_volume(x: Facts) -> FloatArray:
    return _where(x.zero_volume > 0, x.zero_volume)


def _starts_late(x: Facts) -> FloatArray:
    return _where(x.before, 1.0)


def _ends_early(x: Facts) -> FloatArray:
    return _where(x.after, 1.0)


def _hours_change(x: Facts) -> FloatArray:
    changes = np.array([len(part) > 1 for part in x.hours(HOURS)])
    return _where(x.has_week & changes, x.bars_per_day)


def _no_weekends(x: Facts) -> FloatArray:
    share = x.saturday_share
    odd = (share < 0.05) & (np.mean(share >= _MOST) >= _MOST)
    return _where(x.has_week & odd, 0.0)


_AMOUNTS: dict[str, Callable[[Facts], FloatArray]] = {
    "no bars": _no_bars,
    "days missing": _days_missing,
    "few bars": _few_bars,
    "coarse price": _coarse_price,
    "extreme move": _extreme_move,
    "no range": _no_range,
    "zero volume": _zero_volume,
    "hours change": _hours_change,
    "no weekends": _no_weekends,
    "starts late": _starts_late,
    "ends early": _ends_early,
}


# words


def _findings(facts: Facts, amounts: dict[str, FloatArray]) -> pl.DataFrame:
    import polars as pl

    rows = []
    for reason in REASONS:
        found = np.isfinite(amounts[reason])
        for asset in np.flatnonzero(found.any(axis=0)):
            at = np.flatnonzero(found[:, asset])
            detail = _detail(reason, facts, int(asset), amounts[reason][at, asset])
            weeks = facts.iso_weeks
            rows.append((facts.names[asset], reason, len(at), weeks[at[0]], weeks[at[-1]], detail))
    schema = {
        "asset": pl.String,
        "reason": pl.String,
        "weeks": pl.Int64,
        "first_week": pl.String,
        "last_week": pl.String,
        "detail": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _detail(reason: str, facts: Facts, asset: int, amounts: FloatArray) -> str:
    if reason == "days missing":
        return _count(amounts, "weekday")
    if reason == "few bars":
        return f"as few as {amounts.min():.1f} a day"
    if reason == "coarse price":
        return f"a step is up to {amounts.max():.2f} of a typical day's move"
    if reason == "extreme move":
        return facts.largest_moves(asset)
    if reason == "no range":
        return _count(amounts, "day")
    if reason == "zero volume":
        return f"{_count(amounts, 'bar')}, {facts.zero_volume_share[asset]:.1%} of all"
    if reason == "hours change":
        return "bars a day: " + ", ".join(facts.hours(HOURS)[asset])
    if reason == "no weekends":
        return "others trade on Saturdays"
    if reason == "starts late":
        return f"first bar {facts.first_day[asset]}"
    if reason == "ends early":
        return f"last bar {facts.last_day[asset]}"
    return ""


def _count(amounts: FloatArray, noun: str) -> str:
    number = int(amounts.sum())
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _weeks(facts: Facts, amounts: dict[str, FloatArray]) -> pl.DataFrame:
    import polars as pl

    parts = []
    for reason in REASONS:
        if reason in WHOLE_LIFE:
            continue
        asset, row = np.nonzero(np.isfinite(amounts[reason]).T)
        parts.append(
            pl.DataFrame(
                {
                    "asset": pl.Series(facts.names, dtype=pl.String).gather(asset),
                    "iso_week": pl.Series(facts.iso_weeks, dtype=pl.String).gather(row),
                    "reason": pl.repeat(reason, len(row), dtype=pl.String, eager=True),
                    "amount": amounts[reason][row, asset],
                }
            )
        )
    order = pl.Enum(list(facts.names))
    return pl.concat(parts).sort(pl.col("asset").cast(order), "iso_week", maintain_order=True)
