"""`ingest verify`."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from ingest.cli._options import AsJson


def verify(
    source: Annotated[
        str | None, typer.Argument(help="Compare with these files too: a (date) folder.")
    ] = None,
    date: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only this date folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare files, bucket, CI, raw tables and marts by content hash, date by date.

    Exits with 1 when anything differs or nothing was there to compare, so it serves as a nightly
    check. Without a source, dates are those that bucket, raw tables or marts know.

    Example: ingest verify seeds/conversations/2025-12-28
    """
    from ingest.cli import _verify_run

    only = date.date() if date else None
    raise typer.Exit(int(_verify_run.execute(source, only, as_json=as_json)))
