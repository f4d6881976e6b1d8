"""Rows of any shape as a table for people, JSON or CSV."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import typer

from ingest.cli._reading import plain, print_json
from ingest.cli._tables import table
from ingest.cli._terminal import aligned, is_terminal, moment_text, terminal_width, width_of

_LEAST_CHARS, _MOST_CHARS = 20, 60


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
    *,
    is_list: bool = False,
) -> None:
    """Print rows; in a terminal a table cuts cells beyond `most_chars`, elsewhere nothing is cut.

    Rows wider than the terminal are shown one under another; a list is made to fit it.
    """
    if format_ is Format.JSON:
        print_json([{name: _json_cell(value) for name, value in row.items()} for row in rows])
    elif format_ is Format.CSV:
        typer.echo(_csv(columns, rows), nl=False)
    else:
        numeric = "".join(
            "r" if rows and all(_is_number(row[name]) for row in rows) else " " for name in columns
        )
        header = [name.upper() for name in columns]
        most = most_chars if is_terminal() else sys.maxsize
        cells = [[_cut(_cell(row[name]), most) for name in columns] for row in rows]
        if is_list or not rows or _width(header, cells) <= terminal_width():
            typer.echo(table(header, cells, numeric))
        else:
            typer.echo(_one_by_one(columns, cells))


def print_records(records: Sequence[Any], record_type: type, *, as_json: bool) -> None:
    """Print dataclasses of one type."""
    columns = [field.name for field in dataclasses.fields(record_type)]
    rows = [{name: getattr(record, name) for name in columns} for record in records]
    format_ = Format.JSON if as_json else Format.TABLE
    print_rows(columns, rows, format_, sys.maxsize, is_list=True)


def _width(header: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    return max(map(width_of, aligned(header, cells).split("\n")))


def _one_by_one(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return rows one under another, a line a column: for rows wider than the terminal."""
    room = max(_LEAST_CHARS, terminal_width() - max(map(width_of, columns)) - 2)
    return "\n\n".join(
        aligned(
            (f"ROW {number}", ""),
            [(name, _cut(cell, room)) for name, cell in zip(columns, row, strict=True)],
        )
        for number, row in enumerate(cells, 1)
    )


def _json_cell(value: Any) -> Any:
    """Return a value that JSON has; NaN and the infinities are text, as BigQuery writes them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, (list, tuple)):
        return [_json_cell(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _json_cell(item) for name, item in value.items()}
    return value


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
