"""`ingest diff`."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest.cli._reading_options import AsJson, ConversationArgument


def diff(
    conversation_id: ConversationArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[A B]", help="Two analysis ids, or version numbers (v1 v2)."),
    ] = None,
    versions: Annotated[
        bool, typer.Option("--versions", help="Compare the newest two versions of the files.")
    ] = False,
    text: Annotated[
        bool, typer.Option("--text", help="Show changed words too. Personal data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare two analyses, or two versions, of one conversation.

    By default the newest two. Exits with 1 where they differ.

    Example: ingest diff 317675af --versions
    """
    from ingest.cli import _diff_view

    code = _diff_view.show(
        conversation_id, names or [], of_versions=versions, with_text=text, as_json=as_json
    )
    raise typer.Exit(int(code))
