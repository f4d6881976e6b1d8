"""`ingest status`."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.cli._options import AsJson


def status(
    date: Annotated[
        str | None, typer.Option("--date", help="Only this batch date, for example 2025-12-28.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how far every conversation has come, by date.

    Counts are evidence: files, CI states and events in the raw tables. `ingest why` explains one
    conversation.

    Example: ingest status
    """
    from ingest.cli import _status_view

    _status_view.show(date, as_json=as_json)
