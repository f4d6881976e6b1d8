"""`ingest status`."""

from __future__ import annotations

from ingest.cli._reading_options import AsJson, DateOption


def status(date: DateOption = None, as_json: AsJson = False) -> None:
    """Show how far every conversation has come, by date.

    Counts are evidence: files, CI states and events in the raw tables. `ingest why` explains one
    conversation.

    Example: ingest status
    """
    from ingest.cli import _status_view

    _status_view.show(date, as_json=as_json)
