"""``fastpanel audit``."""

from __future__ import annotations

from typing import Annotated

import typer


def audit(
    bars: Annotated[str, typer.Argument(help="Path or glob of bar files, or 'simulated'.")],
    group: Annotated[
        str, typer.Option("--group", help="Feature groups, comma-separated, or 'all'.")
    ] = "all",
    allow_ragged: Annotated[
        bool, typer.Option("--allow-ragged", help="Mask weeks outside an asset's life.")
    ] = False,
) -> None:
    """Prove that no feature looks ahead.

    Recomputes on cut and on altered data and compares bits.
    Exits with 1 and names feature, row and cut if one does.

    Example: fastpanel audit bars.parquet --group momentum,volatility
    """
    from fastpanel._audit import audit as prove
    from fastpanel.data import clean_bars, read_bars, simulated_market

    frame = simulated_market() if bars == "simulated" else read_bars(bars)
    groups = "all" if group == "all" else group.split(",")
    report = prove(clean_bars(frame), groups=groups, allow_ragged=allow_ragged)
    typer.echo(str(report))
    report.raise_if_leaking()
