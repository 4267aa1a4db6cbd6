"""``fastpanel feature_engineering``."""

from __future__ import annotations

from typing import Annotated

import typer


def feature_engineering(
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group",
            help="momentum, mean_reversion, breakout, cross_sectional, volatility, seasonal, "
            "regime or all (the default); repeatable.",
        ),
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", help="Key within the groups; repeatable. Default: all."),
    ] = None,
    allow_ragged: Annotated[
        bool, typer.Option("--allow-ragged", help="Mask weeks outside an asset's life.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Compute features of the newest cleaned week.

    Writes FEATURE_STORE_SOURCE/YYYY-WW/GROUP, one folder per group.

    Example: fastpanel feature_engineering --group momentum --group volatility
    """
    from fastpanel.pipelines import engineer_features, open_log

    with open_log(quiet=quiet) as log:
        done = engineer_features(
            group or "all", feature or None, allow_ragged=allow_ragged, progress=log
        )
        for name, columns in done.columns.items():
            log.say(f"{name}: {len(columns)} columns")
    typer.echo(str(done.folder.resolve()))
