"""`ingest pull`."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from ingest.cli._options import AsJson, DryRun


def pull(
    ids: Annotated[
        list[str] | None, typer.Option("--ids", help="This conversation; may be repeated.")
    ] = None,
    date: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Those of this date folder.")
    ] = None,
    since: Annotated[
        dt.datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"], help="Those changed in CI since (UTC)."
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Land the state that CI holds, changing nothing in CI.

    Without a selection: what changed since the last such pull, or `--all`, was complete.

    Example: ingest pull --date 2025-12-28
    """
    from ingest.cli import _pull_run
    from ingest.flows.pull import PullSelection

    chosen = PullSelection(
        ids=tuple(ids or ()),
        date=date.date() if date else None,
        since=since.replace(tzinfo=dt.UTC) if since else None,
        is_all=all_,
    )
    raise typer.Exit(int(_pull_run.execute(chosen, dry_run=dry_run, as_json=as_json)))
