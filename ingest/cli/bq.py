"""`ingest bq …`: BigQuery, read only unless told otherwise."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ingest.cli._reading_options import AsJson

app = typer.Typer(
    no_args_is_help=True,
    help="Look into BigQuery: tables, columns, rows, queries.\n\nExample: ingest bq tables",
)
_TEN_GB = 10 * 1000**3
Table = Annotated[str, typer.Argument(metavar="T", help="A table, or dataset.table.")]
MaxBytes = Annotated[int, typer.Option("--max-bytes", min=0, help="Refuse to read more than this.")]


class FormatName(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


RowFormat = Annotated[FormatName, typer.Option("--format", help="table, json or csv.")]


@app.command()
def tables(as_json: AsJson = False) -> None:
    """List tables and views of all datasets of the pipeline, with their row counts.

    Example: ingest bq tables
    """
    from ingest.cli import _bq_view

    _bq_view.tables(as_json=as_json)


@app.command()
def schema(table: Table, as_json: AsJson = False) -> None:
    """Show columns, partition and clustering of a table.

    Example: ingest bq schema pipeline_events
    """
    from ingest.cli import _bq_view

    _bq_view.schema(table, as_json=as_json)


@app.command()
def head(
    table: Table,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Rows.")] = 10,
    max_bytes: MaxBytes = _TEN_GB,
    format_: RowFormat = FormatName.TABLE,
) -> None:
    """Show some rows of a table. Raw tables and turns hold personal data.

    Example: ingest bq head pipeline_events -n 3
    """
    from ingest.cli import _bq_view

    _bq_view.head(table, limit, max_bytes, format_.value)


@app.command()
def count(table: Table, as_json: AsJson = False) -> None:
    """Count the rows of a table.

    Example: ingest bq count pipeline_events
    """
    from ingest.cli import _bq_view

    _bq_view.count(table, as_json=as_json)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="The statement; - reads it from stdin.")],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="NAME=VALUE or NAME:TYPE=VALUE; may be repeated."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1_000_000, help="Print at most this many rows.")
    ] = 1000,
    max_bytes: MaxBytes = _TEN_GB,
    write: Annotated[
        bool, typer.Option("--write", help="Let a statement run that changes data.")
    ] = False,
    format_: RowFormat = FormatName.TABLE,
) -> None:
    """Run one statement with named parameters; says first how many bytes it would read.

    Example: ingest bq query 'select @a as a' -p a:INT64=1
    """
    from ingest.cli import _bq_view

    _bq_view.query(sql, param or [], limit, max_bytes, may_write=write, format_name=format_.value)


@app.command()
def diff(table: Table, as_json: AsJson = False) -> None:
    """Compare a raw table's live columns with their declaration; exits with 1 where they differ.

    Example: ingest bq diff pipeline_events
    """
    from ingest.cli import _bq_view

    raise typer.Exit(int(_bq_view.diff(table, as_json=as_json)))
