"""``fastpanel modeling``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def modeling(
    model: Annotated[str, typer.Option("--model", help="Registered model.")] = "factor_model_v1",
    guide: Annotated[str, typer.Option("--guide", help="Registered guide.")] = "factor_guide_v1",
    pipeline: Annotated[
        str, typer.Option("--pipeline", help="Pipeline name of the prepared data.")
    ] = "debug",
    source: Annotated[
        Path | None,
        typer.Option("--input", help="Prepared folder or table instead of the newest."),
    ] = None,
    backend: Annotated[str, typer.Option("--backend", help="auto, pyro or numpyro.")] = "auto",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Fit one model to the newest prepared weekly data.

    Writes MODEL_STORE_SOURCE/MODEL/GUIDE/PIPELINE/YYYY-WW.

    Example: fastpanel modeling --model factor_regime --pipeline debug
    """
    from fastpanel.pipelines import fit_prepared, open_log

    config = {
        "model": {"backend": backend},
        "training": {"svi": {"num_steps": steps}},
        "seed": seed,
    }
    with open_log(quiet=quiet) as log:
        done = fit_prepared(model, guide, pipeline, source, config=config, progress=log)
    typer.echo(str(done.folder.resolve()))
