"""Rows of any shape as a table for people, JSON or CSV."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import typer

from ingest.cli._reading import plain, print_json
from ingest.cli._terminal import aligned, moment_text

_MOST_CHARS = 60


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    format_: Format,
    most_chars: int = _MOST_CHARS,
) -> None:
    """Print rows; a table cuts cells beyond `most_chars`, JSON and CSV cut nothing."""
    if format_ is Format.JSON:
        print_json([dict(row) for row in rows])
    elif format_ is Format.CSV:
        typer.echo(_csv(columns, rows), nl=False)
    else:
        numeric = "".join(
            "r" if rows and all(_is_number(row[name]) for row in rows) else " " for name in columns
        )
        cells = [[_cut(_cell(row[name]), most_chars) for name in columns] for row in rows]
        typer.echo(aligned([name.upper() for name in columns], cells, numeric))


def print_records(records: Sequence[Any], record_type: type, *, as_json: bool) -> None:
    """Print dataclasses of one type."""
    columns = [field.name for field in dataclasses.fields(record_type)]
    rows = [{name: getattr(record, name) for name in columns} for record in records]
    print_rows(columns, rows, Format.JSON if as_json else Format.TABLE, sys.maxsize)


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_csv_cell(row[name]) for name in columns] for row in rows)
    return out.getvalue()


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, (dict, list, bool)):
        return json.dumps(value, default=plain, ensure_ascii=False)
    return plain(value) if isinstance(value, (dt.date, dt.datetime)) else value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dt.datetime):
        return moment_text(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=plain, ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _cut(text: str, most_chars: int) -> str:
    return text if len(text) <= most_chars else f"{text[: most_chars - 1]}…"


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
