"""The data-quality report: findings, flagged weeks and a line per asset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastpanel.typing import AnyArray, TimeArray

if TYPE_CHECKING:
    import polars as pl

REASONS: dict[str, str] = {
    "no bars": "a week inside the asset's life without a bar",
    "days missing": "weekdays without a bar on which most assets have one",
    "few bars": "under 70% of the bars per day that are usual half a year around",
    "coarse price": "the smallest price step of the year is a quarter of a typical day's move, "
    "or more (years with at least 60 days)",
    "extreme move": "a daily log return beyond 12 robust standard deviations: real or wrong",
    "zero volume": "bars with volume 0",
    "no range": "days whose high equals their low",
    "hours change": "bars per day differ between years by a quarter or more",
    "no weekends": "no Saturday bars, though at least half of the assets have them",
    "starts late": "weeks before the asset's first bar",
    "ends early": "weeks after the asset's last bar",
}
"""What is looked for, the gravest first; a week's colour in the picture is that of the first."""

WHOLE_LIFE = ("hours change", "no weekends")
"""Reasons that concern an asset as a whole and colour no week."""


@dataclass(frozen=True, eq=False)
class Quality:
    """What :func:`quality` has found.

    Attributes
    ----------
    findings : polars.DataFrame
        One row per asset and reason: ``asset, reason, weeks`` (how many),
        ``first_week, last_week`` (``YYYY-WW``), ``detail``; gravest reason
        first.
    weeks : polars.DataFrame
        One row per asset, flagged week and reason: ``asset, iso_week, reason,
        amount`` (days missing, bars per day, days, bars, the move, ...).
    assets : polars.DataFrame
        One row per asset: ``asset, first, last, weeks, weeks_without_bars,
        days_missing, bars_per_day, saturday_share, zero_volume_share,
        price_step`` (relative to the price), ``day_move`` (median absolute
        daily log return), ``largest_move``.
    flags : int8 array ``[T, A]``
        0 = nothing found, else 1 + the position of the gravest reason in
        ``REASONS``.
    times : datetime64[ns] array ``[T]``
        Week labels.
    names : tuple of str
        Assets, in the order of ``flags``.
    partial_weeks : tuple of str
        First or last weeks that the data cut, as far as they were dropped.
    """

    findings: pl.DataFrame
    weeks: pl.DataFrame
    assets: pl.DataFrame
    flags: AnyArray
    times: TimeArray
    names: tuple[str, ...]
    partial_weeks: tuple[str, ...]

    def tables(self) -> dict[str, pl.DataFrame]:
        """All three tables by file stem: ``quality_findings``, ``_weeks``, ``_assets``."""
        parts = {"findings": self.findings, "weeks": self.weeks, "assets": self.assets}
        return {f"quality_{name}": table for name, table in parts.items()}

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return self.findings.is_empty()

    def __repr__(self) -> str:
        touched = self.findings.get_column("asset").n_unique()
        return (
            f"Quality({len(self.names)} assets, {len(self.times)} weeks: "
            f"{self.findings.height} findings on {touched} assets)"
        )

    def __str__(self) -> str:
        """Table for a person: asset, reason, weeks, from, to, detail."""
        return "\n".join(self.lines())

    def lines(self, most: int | None = None) -> list[str]:
        """Lines of the table; ``most`` keeps the gravest findings."""
        lines = [repr(self).removeprefix("Quality(").removesuffix(")")]
        if self.partial_weeks:
            lines.append(f"dropped because the data cut them: {', '.join(self.partial_weeks)}")
        if self.ok:
            return [*lines, "nothing found"]
        shown = self.findings.rows()[:most]
        rows = [["asset", "reason", "weeks", "from", "to", "detail"]]
        rows += [[str(cell) for cell in row] for row in shown]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += [
            "  ".join(
                f"{cell:>{width}}" if position == 2 else f"{cell:<{width}}"
                for position, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        left = self.findings.height - len(shown)
        return [*lines, f"and {left} more findings"] if left else lines
