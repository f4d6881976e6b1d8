"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.choices import LogFormat

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON on stdout, as ingest/schemas/output describes it."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done; do nothing.")]
Concurrency = Annotated[
    int | None, typer.Option("--concurrency", min=1, max=1024, help="Conversations in flight.")
]
LogFormatOption = Annotated[
    LogFormat | None,
    typer.Option("--log-format", help="Log every remote effect on stderr: none, text, json."),
]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", help="Take part i of n, for example 0/4; on Cloud Run from the task."),
]
