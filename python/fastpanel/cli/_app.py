"""Commands, and how errors reach the terminal."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from fastpanel._environment import dotenv
from fastpanel._version import __version__
from fastpanel.cli._audit import audit
from fastpanel.cli._backtest import backtest
from fastpanel.cli._data_cleaning import data_cleaning
from fastpanel.cli._data_processing import data_processing
from fastpanel.cli._feature_engineering import feature_engineering
from fastpanel.cli._historical import historical
from fastpanel.cli._modeling import modeling
from fastpanel.cli._simulation import simulation
from fastpanel.cli._wizard import wizard
from fastpanel.errors import FastPanelError

app = typer.Typer(
    name="fastpanel",
    help="Leakage-safe probabilistic panel forecasting on a compiled core.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    wizard,
    historical,
    data_cleaning,
    data_processing,
    feature_engineering,
    modeling,
    simulation,
    backtest,
):
    app.command(command.__name__)(command)  # typer would turn the underscores into dashes
app.add_typer(audit, name="audit")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 (failure), 2 (usage), 130 (Ctrl-C).

    Variables that the process does not have are taken from ``.env`` in the working directory.
    """
    warnings.showwarning = _print_warning
    try:
        with dotenv():
            app(args=arguments, standalone_mode=False)
    except FastPanelError as error:
        typer.echo(f"fastpanel: error: {error}", err=True)
        return 1
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("fastpanel: stopped", err=True)
        return 130
    except Exception as error:
        if not hasattr(error, "format_message"):  # not a usage error: let the traceback show
            raise
        typer.echo(f"fastpanel: usage error: {error.format_message()}", err=True)
        return 2
    return 0


def _print_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    del category, filename, lineno, file, line
    print(f"fastpanel: warning: {message}", file=sys.stderr)  # noqa: T201
