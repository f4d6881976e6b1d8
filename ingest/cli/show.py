"""`ingest show`, `ingest why` and `ingest transcript`: one conversation."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ingest.cli._page_option import HtmlFile, WithPii, refuse_what_a_page_ignores
from ingest.cli._reading_options import AsJson, ConversationArgument, SourceFolder

_SOURCE = "seeds/conversations"


class HopName(StrEnum):
    """Places that a conversation passes."""

    SOURCE = "source"
    GCS = "gcs"
    CI = "ci"
    RAW = "raw"
    REGISTRY = "registry"
    MARTS = "marts"


def show(
    conversation_id: ConversationArgument,
    hop: Annotated[
        HopName | None, typer.Option("--hop", help="Only this hop; `ci` as JSON is all CI holds.")
    ] = None,
    source: SourceFolder = _SOURCE,
    html: HtmlFile = None,
    with_pii: WithPii = False,
    as_json: AsJson = False,
) -> None:
    """Show one conversation at every hop: files, bucket, CI, raw rows, registry, marts.

    Shows no word of the talk, but for `--hop ci --json` and the page of `--html`, which is written
    to <ID>.html unless FILE says otherwise. Exits with 4 where a hop could not be read.

    Example: ingest show 317675af
    """
    from ingest.cli import _show_view

    others = {"--hop": hop, "--json": as_json}
    refuse_what_a_page_ignores(html, with_pii=with_pii, others=others)
    if html is not None:
        code = _show_view.write_page(conversation_id, source, html, with_pii=with_pii)
    else:
        code = _show_view.show(conversation_id, hop and hop.value, source, as_json=as_json)
    raise typer.Exit(int(code))


def why(
    conversation_id: ConversationArgument, source: SourceFolder = _SOURCE, as_json: AsJson = False
) -> None:
    """Say where one conversation is, since when, what it waits for and what to run.

    Exits with 4 where a hop that decides could not be read: it is then `unknown`.

    Example: ingest why 317675af
    """
    from ingest.cli import _show_view

    raise typer.Exit(int(_show_view.why(conversation_id, source, as_json=as_json)))


def transcript(conversation_id: ConversationArgument, as_json: AsJson = False) -> None:
    """Print the talk with speaker, time, sentiment and phrase matches. Holds personal data.

    Example: ingest transcript 317675af
    """
    from ingest.cli import _transcript_view

    _transcript_view.show(conversation_id, as_json=as_json)
