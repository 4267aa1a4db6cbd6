"""``fastpanel historical``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def historical(
    tickers: Annotated[
        Path, typer.Option("--tickers", help="YAML file: tickers, duration, bar_size, ...")
    ] = Path("config/tickers.yml"),
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Fetch complete months again.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Download historical bars.

    Writes DATA_SOURCE/ASSET/YYYY/hist_data_YYYY-MM.csv, one file per asset and month.
    Exits with 1 if a request failed; what came is kept, and coverage.json says what is missing.

    Example: fastpanel historical --tickers config/tickers.yml
    """
    from fastpanel.pipelines import download_history, open_log

    with open_log(quiet=quiet) as log:
        report = download_history(tickers, refresh=refresh, progress=log)
        for asset, record in report.coverage["assets"].items():
            span = f"{record['first']} .. {record['last']}" if record["bars"] else "no bars"
            months = len(record["months_without_bars"])
            days = sum(record["weekdays_without_bars"].values())
            log.say(f"{asset}: {span}, {months} months and {days} weekdays without bars")
        report.raise_if_failed()
    typer.echo(str(report.folder.resolve()))
