"""`ingest rubric …`: the coaching rubric as code."""

from __future__ import annotations

import typer

from ingest.cli._console import safe
from ingest.errors import ExitCode
from ingest.flows.rubric import read_rubric_faults
from ingest.settings import load_declared_places

app = typer.Typer(no_args_is_help=True)


@app.callback()
def rubric() -> None:
    """Check the coaching rubric and its policies, row by row.

    Example: ingest rubric check
    """


@app.command()
def check() -> None:
    """Name each bad row of rubric and policies with its cure; exit with 1 where there is one.

    Example: ingest rubric check
    """

    faults = read_rubric_faults(*load_declared_places())
    for fault in faults:
        typer.echo(safe(f"{fault.file} row {fault.row}: {fault.message} ({fault.rule})"))
        typer.echo(safe(f"  {fault.cure}"))
    typer.echo(f"{len(faults)} bad rows or values")
    raise typer.Exit(int(ExitCode.SOME_FAILED if faults else ExitCode.OK))
