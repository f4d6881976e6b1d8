"""With Google's quotas on, a long run uses them up and never runs over them.

Time is the emulator's own: it stands still until the sidecar has nothing to do but wait, and then
moves to what the first one waits for, so that minutes pass at once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ingest.choices import Mode
from ingest.domain.conversation import FileKind
from ingest.domain.fault import Fault
from ingest.domain.outcome import ItemState
from ingest.domain.quota import WINDOW_SEC
from ingest.emulator.control import Control
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing.object_server import ObjectServer
from ingest.flows.admission import Admission
from ingest.flows.push import Push, PushOptions
from ingest.gcp.insights import GrpcInsightsApi
from ingest.ports import StoredObject
from ingest.settings import Settings
from tests.chaos.conftest import Scale
from tests.fakes.clock import ManualClock
from tests.fakes.folders import conversation_id, metadata, transcription
from tests.fakes.store import FakeObjectStore
from tests.fakes.world import World, fake_settings

pytestmark = pytest.mark.chaos
MINUTE_SEC = 60.0
DATE = dt.date(2026, 1, 5)


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

    admission: Admission
    clock: ManualClock
    under_way: int = 0
    moments: dict[str, list[float]] = field(default_factory=dict)

    async def admit(self, method: str) -> None:
        await self.admission.admit(method)
        self.under_way += 1
        self.moments.setdefault(method, []).append(self.clock.monotonic())

    def exhausted(self, method: str, retry_after_sec: float) -> None:
        self.admission.exhausted(method, retry_after_sec)


class WatchedInsights(GrpcInsightsApi):
    """The real adapter; tells its gate when a call has ended."""

    def __init__(self, settings: Settings, gate: WatchedGate) -> None:
        super().__init__(settings, gate)
        self._gate = gate

    async def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return await super()._call(method, request)
        finally:
            self._gate.under_way -= 1


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


def most_in_a_minute(moments: list[float]) -> int:
    """Return the largest number of calls in any half-open minute."""
    ordered, most, start = sorted(moments), 0, 0
    for end, moment in enumerate(ordered):
        while ordered[start] <= moment - MINUTE_SEC:
            start += 1
        most = max(most, end - start + 1)
    return most


async def _pushed(
    emulator: RunningEmulator, objects: ObjectServer, count: int
) -> tuple[dict[ItemState, int], WatchedGate]:
    settings = fake_settings(
        insights_endpoint=emulator.address,
        concurrency=Settings.model_fields["concurrency"].default,
        quota_creates_per_min=300,
        quota_analyses_per_min=300,
        quota_requests_per_min=3_000,
    )
    store = SharedStore()
    store.objects = objects
    gates: list[WatchedGate] = []
    clock = LockstepClock(emulator.control, lambda: bool(gates) and gates[0].under_way > 0)
    world = World(settings=settings, clock=clock, store=store)
    outside = world.outside()
    gate = WatchedGate(outside.admission, clock)
    gates.append(gate)
    insights = WatchedInsights(settings, gate)
    world.insights = insights  # type: ignore[assignment]
    try:
        options = PushOptions("run-1", mode=Mode.SINGLE)
        report = await Push(world.outside(), settings, options).run(MadeSource(count))
    finally:
        await insights.close()
    return dict(report.states), gate


def test_a_long_run_uses_the_quota_and_never_overruns_it(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, scale: Scale
) -> None:
    count = 15 * scale.conversation_count if scale.conversation_count == 200 else 320
    # Not at the beginning of one of the service's minutes.
    ci_emulator.control.freeze(1_767_600_000_000_000 + 41_300_000)
    ci_emulator.control.set_quotas("real")
    ci_emulator.control.set_operation_latency("CreateAnalysis", 14)

    states, gate = asyncio.run(_pushed(ci_emulator, ci_objects, count))

    assert states == {ItemState.DONE: count}
    creates = gate.moments["create_conversation"]
    assert len(creates) == count
    assert most_in_a_minute(creates) == 300
    assert most_in_a_minute(gate.moments["create_analysis"]) <= 300
    assert most_in_a_minute([m for times in gate.moments.values() for m in times]) <= 3_000
    # All but the first 300 wait for a window to pass, and not longer.
    windows = math.ceil(count / 300)
    assert max(creates) <= (windows - 1) * WINDOW_SEC + 1
    # A quota is used up by its last call, so the run counts until a minute after that.
    used_share = count / 300 / ((max(creates) + MINUTE_SEC) / MINUTE_SEC)
    assert count < 3_000 or used_share >= 0.95
    refused = {m: by for m, by in ci_emulator.control.calls().items() if "RESOURCE_EXHAUSTED" in by}
    assert refused == {}
