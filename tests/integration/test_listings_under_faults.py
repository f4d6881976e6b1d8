"""Listings of the real adapters, whose pages fail: every item comes, and comes once."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from uuid import UUID

import pytest
from push_command import Command
from stack_fixture import Stack

from ingest.flows.attempts import Attempts, every_item
from ingest.gcp.insights import GrpcInsightsApi
from ingest.gcp.storage import GcsObjectStore
from tests.chaos.fault_proxy import FaultProxy
from tests.fakes.clock import ManualClock
from tests.fakes.folders import write

pytestmark = pytest.mark.stack
DATE = "2026-04-09"
COUNT = 12
RATE = 0.4


@pytest.fixture
def command(stack: Stack) -> Command:
    return Command(stack)


@pytest.fixture
def ids(command: Command, tmp_path: Path) -> list[str]:
    """Return ids of conversations that Insights and the bucket hold."""
    made = [str(UUID(int=(9 << 100) + number)) for number in range(COUNT)]
    for id_ in made:
        write(tmp_path, id_, date=DATE)
    assert command.push(tmp_path, "--until", "submit").exit_code == 0
    return made


def attempts() -> Attempts:
    return Attempts(ManualClock(), 60, random.Random(3))


def test_every_object_is_listed_once_while_pages_fail(stack: Stack, ids: list[str]) -> None:
    with FaultProxy(stack.endpoints["gcs_endpoint"], RATE, seed=4) as proxy:
        settings = stack.settings.model_copy(update={"gcs_endpoint": proxy.endpoint})
        store = GcsObjectStore(settings)
        store.list_page_size = 3

        async def listed() -> list[str]:
            pages = every_item(attempts(), lambda token: store.list(f"{DATE}/", page_token=token))
            return [stored.name async for stored in pages]

        try:
            found = asyncio.run(listed())
        finally:
            store.close()

    kinds = ("metadata", "transcription")
    assert found == [f"{DATE}/{id_}/{kind}.json" for id_ in ids for kind in kinds]
    assert proxy.request_count == 8 + sum(proxy.faults.values()) - proxy.faults["none"]
    assert proxy.faults["none"] < proxy.request_count


def test_every_conversation_is_listed_once_while_pages_fail(
    stack: Stack, command: Command, ids: list[str]
) -> None:
    async def listed() -> list[str]:
        insights = GrpcInsightsApi(stack.settings)
        insights.list_page_size = 2
        filter_ = f'labels.batch_date="{DATE}"'
        try:
            pages = every_item(
                attempts(), lambda token: insights.list_conversations(filter_, token)
            )
            return [held.conversation_id async for held in pages]
        finally:
            await insights.close()

    with command.control() as control:
        before = control.calls().get("ListConversations", {})
        control.set_faults(
            {
                "seed": 7,
                "faults": [
                    {"method": "ListConversations", "probability": RATE, "status": "UNAVAILABLE"}
                ],
            }
        )
        found = asyncio.run(listed())
        control.set_faults({"faults": []})
        after = control.calls()["ListConversations"]

    assert sorted(found) == ids
    assert after["OK"] - before.get("OK", 0) == COUNT // 2
    assert after.get("UNAVAILABLE", 0) > before.get("UNAVAILABLE", 0)
