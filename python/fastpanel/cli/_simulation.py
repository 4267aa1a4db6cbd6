"""``fastpanel simulation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulation(
    simulation_config: Annotated[
        Path, typer.Option("--simulation-config", help="YAML file with the whole configuration.")
    ] = Path("config/simulation.yml"),
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Run the nested-CV simulation.

    Writes its artefacts and report.html below SIMULATION_SOURCE.

    Inputs are the newest feature groups and returns of the stores, or what the configuration says.

    Example: fastpanel simulation --simulation-config examples/weekly_nested_cv/demo.yml
    """
    from fastpanel.pipelines import open_log
    from fastpanel.simulation import run

    with open_log(quiet=quiet) as log:
        result = run(simulation_config, progress=log)
    typer.echo(str((result.report or result.folder).resolve()))
