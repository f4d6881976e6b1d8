"""`ingest ls …`: what lies where, by the page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ingest.cli._console import safe
from ingest.cli._context import say
from ingest.cli._options import After, AsJson, DateOption, Limit
from ingest.cli._output import opened, parsed_date, print_records
from ingest.domain.as_code import is_ours
from ingest.errors import InputError
from ingest.flows import listing
from ingest.flows.report import read_matcher_quality
from ingest.flows.status import STATUSES
from ingest.ports.move import CiMatcher
from ingest.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    help="List what lies where: gcs, ci, raw, marts, matchers.\n\nExample: ingest ls raw",
)


def _statuses() -> list[str]:
    """Return what a shell offers behind --status."""
    from ingest.flows.status import STATUSES

    return list(STATUSES)


Status = Annotated[
    str | None, typer.Option("--status", help="Only this status.", autocompletion=_statuses)
]


@app.command()
def gcs(
    date: DateOption = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Only names that begin so.")] = "",
    limit: Limit = 50,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List live objects of the bucket, by name.

    Example: ingest ls gcs --date 2025-12-28 --limit 10
    """

    list_gcs(date, prefix, limit, after, as_json=as_json)


@app.command()
def ci(
    date: DateOption = None,
    where: Annotated[
        str, typer.Option("--where", help="Only what this Insights filter admits.")
    ] = "",
    limit: Limit = 50,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List conversations that Insights holds, in Insights' order.

    Example: ingest ls ci --where 'medium="CHAT"'
    """

    list_ci(date, where, limit, after, as_json=as_json)


@app.command()
def raw(
    date: DateOption = None,
    status: Status = None,
    limit: Limit = 50,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List conversations by the facts in the raw tables, with their status.

    Example: ingest ls raw --status failed
    """

    list_raw(date, status, limit, after, as_json=as_json)


@app.command()
def marts(
    date: DateOption = None,
    status: Status = None,
    limit: Limit = 50,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List current versions in dbt's registry.

    Example: ingest ls marts --date 2025-12-28
    """

    list_marts(date, status, limit, after, as_json=as_json)


@app.command()
def matchers(as_json: AsJson = False) -> None:
    """List phrase matchers of Insights, with precision and recall where dbt has judged them.

    Example: ingest ls matchers
    """

    list_matchers(as_json=as_json)


@dataclass(frozen=True)
class ListedMatcher:
    """A phrase matcher as Insights holds it; precision and recall are dbt's, on labelled data."""

    display_name: str
    owner: str
    is_active: bool
    phrase_count: int
    precision: float | None
    recall: float | None
    matcher_id: str
    revision_id: str


def list_gcs(
    date: str | None, prefix: str, limit: int, after: str | None, *, as_json: bool
) -> None:
    """Print live objects."""
    from ingest.gcp.storage import GcsObjectStore

    batch_date = parsed_date(date)
    settings = load_settings()
    begin = f"{batch_date}/{prefix}" if batch_date else prefix

    async def read() -> tuple[listing.ListedObject, ...]:
        store = GcsObjectStore(settings)
        store.list_page_size = min(store.list_page_size, limit + 1)
        try:
            return await listing.list_objects(store, begin, after, limit + 1)
        finally:
            store.close()

    found = asyncio.run(read())
    _print(found, listing.ListedObject, limit, "name", as_json=as_json)


def list_ci(date: str | None, where: str, limit: int, after: str | None, *, as_json: bool) -> None:
    """Print conversations of Insights."""
    from ingest.gcp.insights_regions import insights_of

    batch_date = parsed_date(date)
    settings = load_settings()

    async def read() -> tuple[listing.ListedCiConversation, ...]:
        insights = insights_of(settings)
        try:
            return await listing.list_ci(insights, batch_date, where, after, limit + 1)
        finally:
            await insights.close()

    found = asyncio.run(read())
    _print(found, listing.ListedCiConversation, limit, "conversation_id", as_json=as_json)


def list_raw(
    date: str | None, status: str | None, limit: int, after: str | None, *, as_json: bool
) -> None:
    """Print conversations of the raw tables."""
    batch_date = parsed_date(date)
    _known_status(status)
    _, warehouse = opened()
    found = listing.list_raw(warehouse, batch_date, status, after, limit + 1)
    _print(found, listing.ListedConversation, limit, "conversation_id", as_json=as_json)


def list_marts(
    date: str | None, status: str | None, limit: int, after: str | None, *, as_json: bool
) -> None:
    """Print the registry's current versions."""
    batch_date = parsed_date(date)
    _known_status(status)
    _, warehouse = opened()
    found = listing.list_marts(warehouse, batch_date, status, after, limit + 1)
    _print(found, listing.ListedVersion, limit, "conversation_id", as_json=as_json)


def list_matchers(*, as_json: bool) -> None:
    """Print phrase matchers with their quality."""
    from ingest.gcp.insights_regions import insights_of

    settings, warehouse = opened()

    async def read() -> Sequence[CiMatcher]:
        insights = insights_of(settings.at(settings.home))
        try:
            return await insights.list_matchers()
        finally:
            await insights.close()

    held = asyncio.run(read())
    quality = read_matcher_quality(warehouse)
    if quality is None:
        say("precision and recall are not known yet: run `dbt build`")
    by_name = {item.phrase_matcher: item for item in quality or ()}
    rows = [
        ListedMatcher(
            matcher.applied.display_name,
            "ours" if is_ours(matcher.version_tag) else "other",
            matcher.applied.is_active,
            sum(len(group.rules) for group in matcher.definition.groups),
            judged.precision_share
            if (judged := by_name.get(matcher.applied.display_name))
            else None,
            judged.recall_share if judged else None,
            matcher.applied.matcher_id,
            matcher.applied.revision_id,
        )
        for matcher in held
    ]
    print_records(rows, ListedMatcher, as_json=as_json)


def _print(found: Sequence[Any], record_type: type, limit: int, key: str, *, as_json: bool) -> None:
    """Print at most `limit` of what was found; one more tells that the page is not the last."""
    page = found[:limit]
    print_records(page, record_type, as_json=as_json)
    if len(found) > limit:
        say(f"there is more: add --after {safe(getattr(page[-1], key))}")


def _known_status(status: str | None) -> None:
    if status is not None and status not in STATUSES:
        raise InputError(f"{status!r} is no status", f"one of {', '.join(STATUSES)}")
