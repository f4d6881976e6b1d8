"""Takes the beginning of an id for the id, as every command that reads one conversation does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ingest.cli._context import say
from ingest.domain.conversation import ConversationId
from ingest.flows.inspection.short_ids import MOST_LISTED, FoundInCi, find_in_ci, full_id
from ingest.settings import Settings
from ingest.warehouse import Warehouse


def resolved_id(
    settings: Settings, warehouse: Warehouse, given: str, source: str | None = None
) -> ConversationId:
    """Return the whole id; CI is asked only for what raw tables and files don't know.

    Raises InputError as `full_id` does, RemoteError when CI has to be asked and doesn't answer.
    """

    def ask_ci(beginning: ConversationId) -> FoundInCi:
        found = asyncio.run(_found(settings, beginning))
        if found.ids and not found.is_all:
            say(f"{beginning} was looked for among the {MOST_LISTED:,} newest conversations of CI")
        return found

    return full_id(warehouse, given, ask_ci, None if source is None else Path(source))


async def _found(settings: Settings, beginning: ConversationId) -> FoundInCi:
    from ingest.gcp.insights import GrpcInsightsApi

    insights = GrpcInsightsApi(settings)
    try:
        return await find_in_ci(insights, beginning)
    finally:
        await insights.close()
