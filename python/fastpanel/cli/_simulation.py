"""``fastpanel simulation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulation(
    simulation_config: Annotated[
        Path, typer.Option("--simulation-config", help="YAML file with the whole configuration.")
    ],
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Run the nested-CV simulation and write its report.

    Example: fastpanel simulation --simulation-config examples/weekly_nested_cv/demo.yml
    """
    from fastpanel.simulation import run

    result = run(simulation_config, progress=not quiet)
    typer.echo(str((result.report or result.folder).resolve()))
