"""``fastpanel data_cleaning``."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import typer

_LINES = 20
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class ReturnType(StrEnum):
    """Values of ``--return-type``."""

    simple = "simple"
    log = "log"


class ReturnBasis(StrEnum):
    """Values of ``--return-basis``."""

    within_week = "within_week"
    close_to_close = "close_to_close"


def _month(value: str | None) -> str | None:
    if value is not None and not _MONTH.fullmatch(value):
        raise typer.BadParameter(f"must be a month YYYY-MM, got {value!r}")
    return value


def data_cleaning(
    start: Annotated[
        str, typer.Option("--start", metavar="YYYY-MM", help="First month.", callback=_month)
    ],
    end: Annotated[
        str | None,
        typer.Option(
            "--end",
            metavar="YYYY-MM",
            help="Last month; default: the newest on disk.",
            callback=_month,
        ),
    ] = None,
    return_type: Annotated[
        ReturnType, typer.Option("--return-type", help="P_t / P_0 - 1, or log P_t - log P_0.")
    ] = ReturnType.simple,
    assets: Annotated[
        str | None,
        typer.Option("--assets", metavar="A,B", help="Assets, comma-separated; default: all."),
    ] = None,
    return_basis: Annotated[
        ReturnBasis,
        typer.Option("--return-basis", help="P_0: the week's first close, or the last one before."),
    ] = ReturnBasis.within_week,
    keep_partial: Annotated[
        bool, typer.Option("--keep-partial", help="Keep a first or last week that is cut.")
    ] = False,
    time_zone: Annotated[
        str, typer.Option("--time-zone", help="IANA zone in which days and weeks begin.")
    ] = "UTC",
    calendar: Annotated[
        str | None,
        typer.Option(
            "--calendar",
            metavar="XNYS",
            help="Exchange whose sessions are the days; default: none.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Clean bars to weekly returns and OHLC.

    Reads DATA_SOURCE and writes DATA_LAKE_SOURCE/YYYY-WW.

    Example: fastpanel data_cleaning --start 2020-01 --end 2024-12 --assets EUR.USD,IBUS30
    """
    from fastpanel.errors import ParameterError
    from fastpanel.pipelines import clean_data, open_log

    names = None if assets is None else [name.strip() for name in assets.split(",")]
    with open_log(quiet=quiet) as log:
        if names is not None and not all(names):
            raise ParameterError(f"--assets: an empty name in {assets!r}")
        done = clean_data(
            start,
            end,
            return_type=return_type.value,
            assets=names,
            return_basis=return_basis.value,
            keep_partial=keep_partial,
            time_zone=time_zone,
            calendar=calendar,
            progress=log,
        )
        log.say(repr(done.clean))
        for line in done.quality.lines(most=_LINES):
            log.say(line)
    typer.echo(str(done.folder.resolve()))
