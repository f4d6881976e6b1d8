"""`ingest push`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ingest.choices import Mode
from ingest.cli._options import AsJson, Concurrency, DryRun, LogFormatOption, ShardOption
from ingest.domain.outcome import Step


class Stage(StrEnum):
    """The steps that a push may end with."""

    UPLOAD = "upload"
    SUBMIT = "submit"
    ANALYSE = "analyse"
    LAND = "land"


def push(
    source: Annotated[
        str, typer.Argument(help="A date folder, a folder of date folders, or gs://bucket/prefix.")
    ],
    until: Annotated[Stage, typer.Option(help="Last stage.")] = Stage.LAND,
    mode: Annotated[
        Mode, typer.Option(help="How analyses are asked for; auto: in bulk from 1,000 on.")
    ] = Mode.AUTO,
    summarize: Annotated[
        bool, typer.Option("--summarize", help="Ask CI for summaries too (billed apart).")
    ] = False,
    shard: ShardOption = None,
    concurrency: Concurrency = None,
    log_format: LogFormatOption = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Validate, upload, submit to CI, analyse, and land the raw JSON in BigQuery.

    Pushing again does only what is still missing.

    Example: ingest push seeds/conversations/2025-12-28
    """
    from ingest.cli import _push_run

    code = _push_run.execute(
        source,
        until=Step(until),
        mode=mode,
        summarize=summarize,
        shard=shard,
        concurrency=concurrency,
        log_format=log_format,
        dry_run=dry_run,
        as_json=as_json,
    )
    raise typer.Exit(int(code))
