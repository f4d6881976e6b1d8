"""Shows what `ingest schema diff` finds."""

from __future__ import annotations

from pathlib import Path

import typer

from ingest.cli._reading import opened, print_json
from ingest.cli._tables import table
from ingest.errors import ExitCode, InputError
from ingest.flows.schema_diff import SchemaDiff, compare, planned_tables


def diff(terraform_plan: Path | None, *, as_json: bool) -> ExitCode:
    """Print the differences; see `ingest.flows.schema_diff`."""
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
        typer.echo("CI fields that no model reads: not known, run `dbt build` first")
        return
    typer.echo(f"CI fields that no model reads: {len(found.unread)}")
    if found.unread:
        shown = [(f.path, f.example_type, str(f.occurrence_count)) for f in found.unread]
        typer.echo(table(("PATH", "TYPE", "COUNT"), shown))
