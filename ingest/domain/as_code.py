"""What definitions in CSV files and their counterparts in Insights have in common.

A resource in Insights is ours when a text of it holds our mark; only those are ever touched.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ingest.errors import InputError

OWNERSHIP_MARKER = "conversation-coach"
_TAG_HASH_DIGITS = 16


class ChangeKind(StrEnum):
    """What apply does to one resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True)
class FieldChange:
    """One value that differs; `place` is empty for the resource itself, else a part of it."""

    place: str
    field: str
    before: str
    after: str

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.field} {self.before} -> {self.after}"


def changed_fields(place: str, *fields: tuple[str, str, str]) -> list[FieldChange]:
    """Return a change of each field, given as name, before, after, whose values differ."""
    return [
        FieldChange(place, field, str(before), str(after))
        for field, before, after in fields
        if before != after
    ]


def ownership_tag(content_sha256: str) -> str:
    """Return the text that marks a resource as ours and says which content it has."""
    return f"{OWNERSHIP_MARKER}:{content_sha256[:_TAG_HASH_DIGITS]}"


def is_ours(tag: str) -> bool:
    """Return whether a resource with this tag belongs to this project."""
    return tag.startswith(f"{OWNERSHIP_MARKER}:")


def csv_rows(file: str, text: str, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a CSV text; InputError names the columns or the line that it lacks."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    absent = [name for name in columns if name not in (reader.fieldnames or ())]
    if absent:
        raise InputError(f"{file} lacks the columns {', '.join(absent)}", "restore its header")
    rows: list[dict[str, str]] = []
    for row in reader:
        if None in row or None in row.values():
            raise InputError(
                f"{file}, line {reader.line_num}: not as many values as columns",
                "put text with commas in double quotes",
            )
        rows.append(row)
    return rows


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the CSV text of a header and rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def flag(text: str) -> bool:
    """Return what true or false says; ValueError for any other text."""
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def flag_text(value: bool) -> str:
    """Return true or false, as a seed writes it."""
    return "true" if value else "false"
