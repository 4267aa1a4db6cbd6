"""``fastpanel data_processing``."""

from __future__ import annotations

from typing import Annotated

import typer


def data_processing(
    preprocessor: Annotated[
        str, typer.Option("--preprocessor", help="identity, zscore, pca, or a registered one.")
    ] = "identity",
    preprocessor_arg: Annotated[
        list[str] | None,
        typer.Option("--preprocessor-arg", metavar="KEY=VALUE", help="Argument; repeatable."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Preprocess the newest weekly returns.

    Writes FEATURE_STORE_SOURCE/PREPROCESSOR/PIPELINE/YYYY-WW.

    Example: fastpanel data_processing --preprocessor pca --preprocessor-arg k=5
    """
    from fastpanel.pipelines import open_log, process_data

    with open_log(quiet=quiet) as log:
        done = process_data(preprocessor, _arguments(preprocessor_arg or []), progress=log)
    typer.echo(str(done.folder.resolve()))


def _arguments(texts: list[str]) -> dict[str, str]:
    from fastpanel.errors import ParameterError

    arguments: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ParameterError(f"--preprocessor-arg must be key=value, got {text!r}")
        if key.strip() in arguments:
            raise ParameterError(f"--preprocessor-arg {key.strip()} is given twice")
        arguments[key.strip()] = value.strip()
    return arguments
