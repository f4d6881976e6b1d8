"""`ingest forget`."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.cli._options import AsJson, DryRun


def forget(
    conversation_id: Annotated[str, typer.Argument(help="The conversation to erase.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Erase one conversation from bucket, CI and raw tables, and prove it.

    The next `dbt build` removes it from the marts; a push of its folder is refused from then on.

    Example: ingest forget 317675af-a8f1-49fc-8481-dcefa6dc849e --dry-run
    """
    from ingest.cli import _forget_run

    code = _forget_run.execute(conversation_id, yes=yes, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(int(code))
