"""`ingest runs`."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.cli._reading_options import AsJson, DateOption, Limit


def runs(date: DateOption = None, limit: Limit = 20, as_json: AsJson = False) -> None:
    """Show the latest runs, and what each step of them came to.

    Example: ingest runs --limit 5
    """
    from ingest.cli import _history_view

    _history_view.show_runs(date, limit, as_json=as_json)


def errors(
    date: DateOption = None,
    group: Annotated[bool, typer.Option("--group", help="Count by step and code.")] = False,
    only_open: Annotated[
        bool, typer.Option("--open", help="Only where no later step went well.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List failed steps, newest first, and whether the conversation got over them.

    Example: ingest errors --group
    """
    from ingest.cli import _history_view

    _history_view.show_errors(date, limit, group=group, only_open=only_open, as_json=as_json)
