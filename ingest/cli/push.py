"""`ingest push`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.cli._options import AsJson, Concurrency, DryRun, ShardOption
from ingest.domain.outcome import Step


def push(
    source: Annotated[str, typer.Argument(help="A date folder, or a folder of date folders.")],
    until: Annotated[Step, typer.Option(help="Last stage: upload, submit, analyse or land.")] = (
        Step.LAND
    ),
    summarize: Annotated[
        bool, typer.Option("--summarize", help="Ask CI for summaries too (billed apart).")
    ] = False,
    shard: ShardOption = None,
    concurrency: Concurrency = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Validate, upload, submit to CI, analyse, and land the raw JSON in BigQuery.

    Pushing again does only what is still missing.

    Example: ingest push seeds/conversations/2025-12-28
    """
    from ingest.cli import _push_run

    code = _push_run.execute(
        Path(source),
        until=until,
        summarize=summarize,
        shard=shard,
        concurrency=concurrency,
        dry_run=dry_run,
        as_json=as_json,
    )
    raise typer.Exit(int(code))
