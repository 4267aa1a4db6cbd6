"""``fastpanel audit RUN``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class RunByDefault(TyperGroup):
    """A group in which a first word that is no command is the folder of a run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put ``run`` in front of what is no command."""
        if args and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)


def run(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a simulation.")],
    fold: Annotated[
        str, typer.Option("--folds", help="Test groups to compute again: last, all, or 3,4.")
    ] = "last",
    bars: Annotated[
        str | None, typer.Option("--bars", help="Bars behind a panel that the run was given.")
    ] = None,
    own: Annotated[
        list[Path] | None,
        typer.Option("--own", metavar="FILE.py", help="Python file that registers what you added."),
    ] = None,
    cuts: Annotated[int, typer.Option("--cuts", min=1, help="Weeks to cut features after.")] = 3,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where audit.json and audit.html go; default: RUN.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Prove that a finished simulation does not know the future.

    Writes audit.json and audit.html. Exits with 1 if anything leaks, and names
    what, where and by how much.

    Example: fastpanel audit runs/demo
    """
    from fastpanel._audit._run import audit_run
    from fastpanel.cli._own import run_file

    for file in own or ():
        run_file(file)
    report = audit_run(folder, folds=_folds(fold), bars=bars, cuts=cuts, progress=not quiet)
    page = report.write(out or folder)
    typer.echo(str(report))
    typer.echo(str(page.resolve()))
    report.raise_if_leaking()


def _folds(text: str) -> Any:
    if text in {"last", "all"}:
        return text
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"'{text}' is neither last, all nor numbers such as 3,4", param_hint="--folds"
        ) from None
