"""What commands that only read begin and end with."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import typer

from ingest.errors import InputError
from ingest.settings import Settings, load_settings
from ingest.warehouse import Warehouse


def opened() -> tuple[Settings, Warehouse]:
    """Return the effective settings and the warehouse they name; nothing is called yet."""
    from ingest.gcp.bigquery_rest import RestWarehouse

    settings = load_settings()
    return settings, RestWarehouse(settings)


def now() -> dt.datetime:
    """Return the time, UTC."""
    return dt.datetime.now(dt.UTC)


def parsed_date(text: str | None) -> dt.date | None:
    """Return a date given as YYYY-MM-DD, or raise InputError."""
    if text is None:
        return None
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError as error:
        raise InputError(f"{text!r} is not a date", "write it as 2025-12-28") from error


def print_json(value: Any) -> None:
    """Print a result as JSON on stdout: keys as in its JSON Schema, times RFC 3339 in UTC."""
    text = json.dumps(value, default=plain, ensure_ascii=False, indent=2)
    # A file name may hold bytes that are no text.
    typer.echo(text.encode(errors="replace").decode())


def plain(value: Any) -> Any:
    """Return a value that JSON has for a dataclass or a time."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)
