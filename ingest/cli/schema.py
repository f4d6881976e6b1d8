"""`ingest schema …`: tables as declared, planned and live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._reading_options import AsJson

app = typer.Typer(
    no_args_is_help=True,
    help="Compare schemas: declared, planned, live.\n\nExample: ingest schema diff",
)


@app.callback()
def group() -> None:
    """Compare schemas: declared, planned, live.

    Example: ingest schema diff
    """


@app.command()
def diff(
    terraform_plan: Annotated[
        Path | None,
        typer.Option(help="Compare this plan too: the output of `terraform show -json`."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare raw tables with ingest/schemas, and list CI fields that no model reads.

    Exits with 1 when a table differs; unread fields alone are no fault.

    Example: ingest schema diff --json
    """
    from ingest.cli import _schema_view

    raise typer.Exit(int(_schema_view.diff(terraform_plan, as_json=as_json)))
