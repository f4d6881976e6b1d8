"""`ingest schema …`: tables as declared, planned and live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._console import table
from ingest.cli._options import AsJson
from ingest.cli._output import opened, print_json
from ingest.errors import ExitCode, InputError
from ingest.flows.schema import SchemaDiff, compare, planned_tables

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
    """Compare raw tables with ingest/schemas, and list Insights fields that no model reads.

    Exits with 1 when a table differs; unread fields alone are no fault.

    Example: ingest schema diff --json
    """

    raise typer.Exit(int(show_diff(terraform_plan, as_json=as_json)))


def show_diff(terraform_plan: Path | None, *, as_json: bool) -> ExitCode:
    """Print the differences; see `ingest.flows.schema`."""
    _, warehouse = opened()
    found = compare(warehouse, planned_tables(_text(terraform_plan)) if terraform_plan else None)
    if as_json:
        print_json(found)
    else:
        _print(found)
    return ExitCode.OK if found.is_clean else ExitCode.SOME_FAILED


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read", "name a readable JSON file") from error


def _print(found: SchemaDiff) -> None:
    rows = [
        (item.where, item.table, fault, "", "") for item in found.tables for fault in item.faults
    ]
    rows += [
        (item.where, item.table, column.name, column.declared or "-", column.live or "-")
        for item in found.tables
        for column in item.columns
    ]
    if rows:
        typer.echo(table(("WHERE", "TABLE", "WHAT", "DECLARED", "FOUND"), rows))
    else:
        typer.echo("raw tables are as declared in ingest/schemas")
    if found.unread is None:
        typer.echo("Insights fields that no model reads: not known, run `dbt build` first")
        return
    typer.echo(f"Insights fields that no model reads: {len(found.unread)}")
    if found.unread:
        shown = [(f.path, f.example_type, str(f.occurrence_count)) for f in found.unread]
        typer.echo(table(("PATH", "TYPE", "COUNT"), shown))
