"""The same cases over the fakes and over the real adapters on the local stack."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from stack_fixture import Stack

from ingest.flows.attempts import FetchPage, items_of
from ingest.gcp.bigquery import BigQueryRawSink
from ingest.gcp.insights_quality import GrpcInsights
from ingest.gcp.storage import GcsObjectStore
from ingest.ports.move import (
    CiConversation,
    InsightsApi,
    ObjectStore,
    RawSink,
    StoredObject,
)
from ingest.ports.quality import QualityApi
from tests.fakes.clock import ManualClock
from tests.fakes.insights import FakeInsights
from tests.fakes.sink import FakeSink
from tests.fakes.store import FakeObjectStore

_NUMBERS = itertools.count(1)


@dataclass
class Ports:
    """One set of ports, and a loop that their calls run in."""

    store: ObjectStore
    insights: InsightsApi
    quality: QualityApi
    sink: RawSink
    loop: asyncio.AbstractEventLoop
    prefix: str
    """Tells the things of this case from those of others on the same stack."""
    fake_sink: FakeSink | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def run[Result](self, work: Awaitable[Result]) -> Result:
        """Return what the awaitable gives."""
        return self.loop.run_until_complete(work)

    def collect[Item](self, fetch: FetchPage[Item]) -> list[Item]:
        """Return the items of all pages."""

        async def all_of() -> list[Item]:
            return [item async for item in items_of(fetch)]

        return self.run(all_of())

    def objects(self, prefix: str, start: str = "", end: str = "") -> list[StoredObject]:
        """Return the live objects under a prefix."""
        return self.collect(lambda token: self.store.list(prefix, start, end, token))

    def conversations(self, filter_: str) -> list[CiConversation]:
        """Return the conversations that a filter admits."""
        return self.collect(lambda token: self.insights.list_conversations(filter_, token))


def _fakes(loop: asyncio.AbstractEventLoop, prefix: str) -> Ports:
    store = FakeObjectStore()
    sink = FakeSink(store)
    insights = FakeInsights(ManualClock())
    insights.files = store.content
    return Ports(store, insights, insights, sink, loop, prefix, fake_sink=sink)


@pytest.fixture(params=["fakes", pytest.param("stack", marks=pytest.mark.stack)])
def ports(request: pytest.FixtureRequest) -> Iterator[Ports]:
    """Yield the fakes, then the adapters on the stack."""
    loop = asyncio.new_event_loop()
    prefix = f"case-{os.getpid()}-{next(_NUMBERS)}"
    if request.param == "fakes":
        yield _fakes(loop, prefix)
        loop.close()
        return
    stack: Stack = request.getfixturevalue("stack")
    store, sink = GcsObjectStore(stack.settings), BigQueryRawSink(stack.settings)

    async def make() -> GrpcInsights:
        return GrpcInsights(stack.settings)

    insights = loop.run_until_complete(make())
    yield Ports(store, insights, insights, sink, loop, prefix)
    loop.run_until_complete(insights.close())
    store.close()
    sink.close()
    loop.close()


Cases = Callable[[Ports], None]
