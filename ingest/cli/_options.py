"""Options that several commands share; importing this costs nothing but typer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ingest.enums import LogFormat
from ingest.errors import InputError

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON on stdout, as ingest/schemas/output describes it."),
]
WaitOption = Annotated[
    bool, typer.Option("--wait", help="Wait for a run that holds what this one needs.")
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
        help="An id, or its first 4 characters or more; of Insights' own ids, the newest 1,000.",
    ),
]
SourceFolder = Annotated[
    str, typer.Option("--source", help="Folder of date folders to look for source files in.")
]


DEFAULT_FILE = "\0"
"""What `--html` without a value gives; no argument of a process can hold it."""
SITE_DIR = Path(".local/site")
"""Where pages without a name of their own go: beside the local stack's data, the user's alone."""
HtmlFile = Annotated[
    str | None,
    typer.Option(
        "--html",
        metavar="[FILE]",
        help="Write one self-contained HTML page instead; - writes it to stdout.",
    ),
]
WithPii = Annotated[
    bool, typer.Option("--with-pii", help="Leave personal details in the HTML page.")
]


class PageCommand(TyperCommand):
    """A command with `--html [FILE]`; what follows it is its value unless it is an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a bare `--html` its value, then parse as ever."""
        given = args[: args.index("--")] if "--" in args else args
        for place, word in enumerate(given):
            following = given[place + 1] if place + 1 < len(given) else None
            if word == "--html" and (
                following is None or (following.startswith("-") and following != "-")
            ):
                args = [*args[:place], f"--html={DEFAULT_FILE}", *args[place + 1 :]]
        rest: list[str] = super().parse_args(ctx, args)
        return rest


class PassingCommand(TyperCommand):
    """A command that hands on what it doesn't know itself."""

    allow_extra_args = True
    ignore_unknown_options = True


def refuse_what_a_page_ignores(html: str | None, *, with_pii: bool, others: dict[str, Any]) -> None:
    """Raise InputError for an empty file name, and for options that would have no effect."""
    if html == "":
        raise InputError("--html names an empty file", "leave the name out, or name a file or -")
    if html is None and with_pii:
        raise InputError("--with-pii is for a page", "add --html")
    ignored = [name for name, value in others.items() if value]
    if html is not None and ignored:
        raise InputError(f"{ignored[0]} has no effect on a page", "leave it or --html out")


def write_html(file: str, page: str, default: str) -> None:
    """Write a page and say where; without a name of its own it goes to SITE_DIR as `default`."""
    if file == "-":
        sys.stdout.write(page)
        return
    path = Path(file)
    if file == DEFAULT_FILE:
        path = SITE_DIR / default
        SITE_DIR.parent.mkdir(mode=0o700, exist_ok=True)
        SITE_DIR.mkdir(mode=0o700, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    typer.echo(str(path))
