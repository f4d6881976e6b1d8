"""`ingest bq …`: BigQuery, read only unless told otherwise."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import Annotated, Any

import typer

from ingest.cli._console import safe, terminal_width, wrapped
from ingest.cli._console import table as text_table
from ingest.cli._context import say
from ingest.cli._options import AsJson
from ingest.cli._output import Format, opened, print_json, print_records, print_rows
from ingest.errors import ExitCode, InputError
from ingest.flows import schema as flow
from ingest.settings import Settings

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

    show_tables(as_json=as_json)


@app.command()
def schema(table: Table, as_json: AsJson = False) -> None:
    """Show columns, partition and clustering of a table.

    Example: ingest bq schema pipeline_events
    """

    show_schema(table, as_json=as_json)


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

    show_head(table, limit, max_bytes, format_.value)


@app.command()
def count(table: Table, as_json: AsJson = False) -> None:
    """Count the rows of a table.

    Example: ingest bq count pipeline_events
    """

    show_count(table, as_json=as_json)


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

    show_query(sql, param or [], limit, max_bytes, may_write=write, format_name=format_.value)


@app.command()
def diff(table: Table, as_json: AsJson = False) -> None:
    """Compare a raw table's live columns with their declaration; exits with 1 where they differ.

    Example: ingest bq diff pipeline_events
    """

    raise typer.Exit(int(show_diff(table, as_json=as_json)))


_TYPES: Mapping[str, Callable[[str], Any]] = {
    "STRING": str,
    "INT64": int,
    "FLOAT64": float,
    "BOOL": lambda text: {"true": True, "false": False}[text.lower()],
    "DATE": dt.date.fromisoformat,
    "TIMESTAMP": dt.datetime.fromisoformat,
}


@dataclass(frozen=True)
class CountedTable:
    """What `bq count --json` prints."""

    dataset: str
    name: str
    row_count: int


def show_tables(*, as_json: bool) -> None:
    """Print all tables and views."""
    settings, warehouse = opened()
    found = flow.list_tables(warehouse, _datasets(settings))
    print_records(found, flow.ListedTable, as_json=as_json)


def show_schema(name: str, *, as_json: bool) -> None:
    """Print a table's columns."""
    settings, warehouse = opened()
    table = flow.find_table(warehouse, name, _datasets(settings))
    if as_json:
        print_json(table)
        return
    facts = [f"{table.dataset}.{table.name}"]
    if table.partitioned_by:
        must = ", filter required" if table.requires_partition_filter else ""
        facts.append(f"partitioned by {table.partitioned_by}{must}")
    if table.clustered_by:
        facts.append(f"clustered by {', '.join(table.clustered_by)}")
    rows = [(item.name, item.type, item.mode, item.description) for item in table.columns]
    typer.echo("\n".join(wrapped(safe("; ".join(facts)), terminal_width())))
    typer.echo(text_table(("COLUMN", "TYPE", "MODE", "DESCRIPTION"), rows))


def show_head(name: str, limit: int, max_bytes: int, format_name: str) -> None:
    """Print some rows of a table."""
    settings, warehouse = opened()
    table = flow.find_table(warehouse, name, _datasets(settings))
    sql = flow.head_sql(warehouse, table, limit)
    flow.checked(warehouse, sql, {}, max_bytes=max_bytes)
    found = flow.run_checked(warehouse, sql, {}, max_bytes=max_bytes, max_rows=limit)
    print_rows([column.name for column in found.columns], found.rows, Format(format_name))


def show_count(name: str, *, as_json: bool) -> None:
    """Print how many rows a table has."""
    settings, warehouse = opened()
    table = flow.find_table(warehouse, name, _datasets(settings))
    rows = warehouse.query(flow.count_sql(warehouse, table)).rows
    row_count = rows[0]["row_count"]
    if as_json:
        print_json(CountedTable(table.dataset, table.name, row_count))
    else:
        typer.echo(row_count)


def show_query(
    sql: str,
    given: Sequence[str],
    limit: int,
    max_bytes: int,
    *,
    may_write: bool,
    format_name: str,
) -> None:
    """Print a statement's rows."""
    parameters = dict(parameter(text) for text in given)
    text = sys.stdin.read() if sql == "-" else sql
    if not text.strip():
        raise InputError("there is no statement", "write one, or - to read it from stdin")
    settings, warehouse = opened()
    estimate = flow.checked(warehouse, text, parameters, max_bytes=max_bytes, may_write=may_write)
    if settings.bigquery_endpoint is None:
        say(f"reads {estimate.processed_bytes:,} bytes")
    else:
        say("reads an unknown number of bytes: the emulator doesn't estimate")
    found = flow.run_checked(warehouse, text, parameters, max_bytes=max_bytes, max_rows=limit)
    print_rows([column.name for column in found.columns], found.rows, Format(format_name))
    if found.total_count > len(found.rows):
        say(f"{len(found.rows):,} of {found.total_count:,} rows: raise --limit for more")


def show_diff(name: str, *, as_json: bool) -> ExitCode:
    """Print where a raw table differs from its declaration."""
    settings, warehouse = opened()
    table = flow.find_table(warehouse, name, [settings.raw_dataset])
    file = resources.files("ingest.schemas").joinpath(f"{table.name}.json")
    if table.dataset != settings.raw_dataset or not file.is_file():
        raise InputError(
            f"{table.dataset}.{table.name} is not declared in ingest/schemas",
            "only raw tables are; the columns of marts are held by dbt's contracts",
        )
    declared = json.loads(file.read_text(encoding="utf-8"))
    changes = flow.schema_changes(declared, table.columns)
    if as_json:
        print_json(changes)
    elif changes:
        rows = [(item.name, item.declared or "-", item.live or "-") for item in changes]
        typer.echo(text_table(("COLUMN", "DECLARED", "LIVE"), rows))
    else:
        typer.echo(f"{table.dataset}.{table.name} is as declared")
    return ExitCode.SOME_FAILED if changes else ExitCode.OK


def parameter(text: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE or NAME:TYPE=VALUE; raise InputError otherwise."""
    before, equals, value = text.partition("=")
    name, _, type_name = before.partition(":")
    decode = _TYPES.get((type_name or "STRING").upper())
    if not equals or not name.isidentifier() or decode is None:
        raise InputError(
            f"{text!r} is not a parameter",
            f"write NAME=VALUE or NAME:TYPE=VALUE; types: {', '.join(_TYPES)}",
        )
    try:
        return name, decode(value)
    except (ValueError, KeyError) as error:
        raise InputError(f"{value!r} is no {type_name.upper()}", f"mend --param {name}") from error


def _datasets(settings: Settings) -> list[str]:
    return [
        settings.raw_dataset,
        settings.marts_dataset,
        f"{settings.marts_dataset}_staging",
    ]
