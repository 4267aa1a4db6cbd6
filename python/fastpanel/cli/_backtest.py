"""``fastpanel backtest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def backtest(
    run: Annotated[Path, typer.Argument(help="Folder of a finished simulation.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", help="YAML file with the sections allocation and cost."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting; repeatable."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Folder below RUN/backtests; default: a hash.")
    ] = None,
) -> None:
    """Replay a finished simulation with other weights or costs.

    Fits nothing and changes no file of the run. What is not named stays as in the run.

    Example: fastpanel backtest runs/demo --set allocation.method=equal --set cost.bps=10
    """
    from fastpanel.simulation import backtest as replay
    from fastpanel.simulation import read_settings

    sections: dict[str, dict[str, Any]] = {"allocation": {}, "cost": {}}
    if config is not None:
        sections = read_settings(config).model_dump()
    for text in settings or ():
        section, key, value = _setting(text)
        sections[section][key] = value
    done = replay(run, allocation=sections["allocation"], cost=sections["cost"], name=name)
    low, high = done.sharpe.hac_interval_annual
    typer.echo(
        f"Sharpe ratio a year {done.sharpe.sharpe_annual:.2f} ({low:.2f} to {high:.2f}) over "
        f"{done.sharpe.n} weeks"
    )
    typer.echo(str(done.report.resolve()))


def _setting(text: str) -> tuple[str, str, Any]:
    import yaml

    path, equals, value = text.partition("=")
    section, dot, key = path.partition(".")
    if not equals or not dot or section not in {"allocation", "cost"}:
        raise typer.BadParameter(
            f"'{text}' is no setting; write allocation.KEY=VALUE or cost.KEY=VALUE",
            param_hint="--set",
        )
    try:
        return section, key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise typer.BadParameter(f"'{text}': {error}", param_hint="--set") from None
