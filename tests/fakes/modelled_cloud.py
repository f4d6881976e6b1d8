"""A cloud in modelled time: the Insights emulator and the sidecar on one clock that can be moved.

Time stands still until the sidecar has nothing to do but wait, and then moves to what the first
one waits for, so that minutes pass at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from ingest.domain.conversation import FileKind
from ingest.domain.faults import Fault
from ingest.domain.outcome import ItemState
from ingest.emulator.control_client import Control
from ingest.emulator.testing import ObjectServer
from ingest.flows.push import Mode, Push, PushOptions
from ingest.gcp.insights_quality import GrpcInsights
from ingest.gcp.insights_regions import InsightsOfRegions
from ingest.ports.move import QuotaGate, StoredObject
from ingest.settings import Settings
from tests.fakes.clock import ManualClock
from tests.fakes.folders import conversation_id, metadata, transcription
from tests.fakes.store import FakeObjectStore
from tests.fakes.trouble import Trouble
from tests.fakes.world import World, fake_settings

MINUTE_SEC = 60.0
DATE = dt.date(2026, 1, 5)
NOT_AT_A_MINUTES_BEGINNING = 1_767_600_000_000_000 + 41_300_000
"""Microseconds at which the emulator's clock is stopped before a run."""


@dataclass(frozen=True)
class Latencies:
    """Seconds that one call takes."""

    bucket_sec: float = 0.0
    ci_sec: float = 0.0
    bigquery_sec: float = 0.0


class LockstepClock(ManualClock):
    """Moves the emulator's time with its own, and only while no call is under way."""

    def __init__(self, control: Control, is_busy: Callable[[], bool]) -> None:
        super().__init__()
        self._control = control
        self._is_busy = is_busy

    def _wake_next_when_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._is_busy():
            loop.call_later(0.001, self._wake_next_when_idle, loop)
            return
        before = self.monotonic()
        super()._wake_next_when_idle(loop)
        if self.monotonic() > before:
            self._control.advance(self.monotonic() - before)


@dataclass
class WatchedGate:
    """The admission, with the moment of each call and how many are under way."""

    admission: QuotaGate
    clock: ManualClock
    latency_sec: float = 0.0
    under_way: int = 0
    moments: dict[str, list[float]] = field(default_factory=dict)

    async def admit(self, method: str) -> None:
        await self.admission.admit(method)
        self.moments.setdefault(method, []).append(self.clock.monotonic())
        if self.latency_sec:
            await self.clock.sleep(self.latency_sec)
        self.under_way += 1

    def exhausted(self, method: str, retry_after_sec: float) -> None:
        self.admission.exhausted(method, retry_after_sec)


class WatchedInsights(GrpcInsights):
    """The real adapter; tells its gate when a call has ended."""

    def __init__(self, settings: Settings, gate: WatchedGate) -> None:
        super().__init__(settings, gate)
        self._gate = gate

    async def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return await super()._call(method, request)
        finally:
            self._gate.under_way -= 1


class SlowCalls(Trouble):
    """Calls that take their time on the clock, so many of them at once as there are threads."""

    def __init__(self, clock: ManualClock, latency_sec: float, threads: int) -> None:
        super().__init__()
        self._clock = clock
        self._latency_sec = latency_sec
        self._threads = asyncio.Semaphore(threads)

    @contextlib.asynccontextmanager
    async def call(self, method: str) -> AsyncIterator[None]:
        async with self._threads:
            if self._latency_sec:
                await self._clock.sleep(self._latency_sec)
            async with super().call(method):
                yield


class SharedStore(FakeObjectStore):
    """A bucket that the emulator reads too."""

    objects: ObjectServer

    async def put(self, name: str, content: bytes, **more: Any) -> StoredObject:
        stored = await super().put(name, content, **more)
        self.objects.put(self.bucket, name, content)
        return stored


@dataclass(frozen=True)
class MadeConversation:
    """One conversation that lies nowhere."""

    conversation_id: str
    batch_date: dt.date = DATE
    stored: dict[FileKind, StoredObject] = field(default_factory=dict)
    origins: dict[FileKind, str] = field(default_factory=dict)

    async def read(self) -> tuple[dict[FileKind, bytes], list[Fault]]:
        made = {
            FileKind.METADATA: metadata(self.conversation_id),
            FileKind.TRANSCRIPTION: transcription(self.conversation_id),
        }
        return {kind: json.dumps(content).encode() for kind, content in made.items()}, []


@dataclass(frozen=True)
class MadeSource:
    """That many conversations."""

    count: int
    is_quick_to_read: bool = False

    async def walk(self) -> AsyncIterator[MadeConversation | Fault]:
        for number in range(self.count):
            yield MadeConversation(conversation_id(number))


@dataclass(frozen=True)
class ModelledRun:
    """What a push came to: how many ended how, and when each call of Insights was admitted."""

    states: dict[ItemState, int]
    moments: dict[str, list[float]]
    took_sec: float
    """On the modelled clock."""
    bucket_calls: dict[str, int]
    bigquery_calls: dict[str, int]
    creates_by_region: list[list[float]] = field(default_factory=list)


async def modelled_push(
    address: str,
    control: Control,
    objects: ObjectServer,
    count: int,
    latencies: Latencies | None = None,
    regions: str = "",
) -> ModelledRun:
    """Push `count` conversations with Google's quotas and the default concurrency."""
    slow = latencies or Latencies()
    settings = fake_settings(
        insights_endpoint=address,
        concurrency=Settings.model_fields["concurrency"].default,
        quota_creates_per_min=300,
        quota_analyses_per_min=300,
        quota_requests_per_min=3_000,
        regions=regions,
    )
    gates: list[WatchedGate] = []
    clock = LockstepClock(control, lambda: any(gate.under_way > 0 for gate in gates))
    store = SharedStore(trouble=SlowCalls(clock, slow.bucket_sec, settings.upload_threads))
    store.objects = objects
    world = World(settings=settings, clock=clock, store=store)
    world.sink.trouble = SlowCalls(clock, slow.bigquery_sec, threads=4)
    services = world.outside()
    gates += [WatchedGate(gate, clock, slow.ci_sec) for gate in services.admission.gates]
    apis = {
        region: WatchedInsights(settings.at(region), gate)
        for region, gate in zip(settings.places, gates, strict=True)
    }
    insights = InsightsOfRegions(settings, apis, gates[0])
    services = dataclasses.replace(services, insights=insights, quality=insights)
    try:
        options = PushOptions("run-1", mode=Mode.SINGLE)
        report = await Push(services, settings, options).run(MadeSource(count))
    finally:
        await insights.close()
    methods = {method for gate in gates for method in gate.moments}
    return ModelledRun(
        dict(report.states),
        {name: [at for gate in gates for at in gate.moments.get(name, [])] for name in methods},
        clock.monotonic(),
        dict(store.trouble.calls),
        dict(world.sink.trouble.calls),
        [gate.moments.get("create_conversation", []) for gate in gates],
    )


def most_in_a_minute(moments: list[float]) -> int:
    """Return the largest number of calls in any half-open minute."""
    ordered, most, start = sorted(moments), 0, 0
    for end, moment in enumerate(ordered):
        while ordered[start] <= moment - MINUTE_SEC:
            start += 1
        most = max(most, end - start + 1)
    return most
