"""Options of commands that only read; importing this costs nothing but typer."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON on stdout, as ingest/schemas/output describes it."),
]
DateOption = Annotated[
    str | None, typer.Option("--date", help="Only this batch date, for example 2025-12-28.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most this many.")]
After = Annotated[
    str | None, typer.Option("--after", help="Go on behind this key, the last of a page.")
]
ConversationArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="An id, or its first 4 characters or more; of ids that only CI has, the newest 1,000.",
    ),
]
SourceFolder = Annotated[
    str, typer.Option("--source", help="Folder of date folders to look for source files in.")
]
