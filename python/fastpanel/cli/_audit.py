"""``fastpanel audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastpanel.cli._audit_run import RunByDefault, run

audit = typer.Typer(rich_markup_mode=None, cls=RunByDefault)
audit.command("run")(run)


@audit.callback()
def _audit() -> None:
    """Prove that nothing looks ahead.

    Example: fastpanel audit runs/demo
    """


@audit.command("features")
def features(
    bars: Annotated[str, typer.Argument(help="File, folder or glob of bars, or 'simulated'.")],
    group: Annotated[
        str, typer.Option("--group", help="Feature groups, comma-separated, or 'all'.")
    ] = "all",
    own: Annotated[
        list[Path] | None,
        typer.Option(
            "--own", metavar="FILE.py", help="Python file that registers features; repeatable."
        ),
    ] = None,
    cuts: Annotated[int, typer.Option("--cuts", min=1, help="Weeks to cut after.")] = 5,
    allow_ragged: Annotated[
        bool, typer.Option("--allow-ragged", help="Mask weeks outside an asset's life.")
    ] = False,
) -> None:
    """Prove that no feature looks ahead.

    Recomputes on cut and on altered data and compares bits.
    Exits with 1 and names feature, row and cut if one does.

    Example: fastpanel audit features bars.parquet --own my_features.py --group custom
    """
    from fastpanel._audit import audit as prove
    from fastpanel.cli._own import run_file
    from fastpanel.data import read_bars, simulated_market

    for file in own or ():
        run_file(file)
    frame = simulated_market() if bars == "simulated" else read_bars(bars)
    groups = "all" if group == "all" else [name.strip() for name in group.split(",")]
    report = prove(frame, groups=groups, cuts=cuts, allow_ragged=allow_ragged)
    typer.echo(str(report))
    report.raise_if_leaking()
