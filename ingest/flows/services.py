"""What flows get from outside: adapters, clock, random numbers, quota admission, progress."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ingest.domain.quota import CallWindow, QuotaUse
from ingest.ports.move import Clock, InsightsApi, ObjectStore, RawSink
from ingest.settings import Settings

_ALL = "all"
_WINDOW_OF_METHOD = {"create_conversation": "creates", "create_analysis": "analyses"}


class Admission:
    """One window a quota; a sharded run takes its share of each."""

    def __init__(self, settings: Settings, clock: Clock, shard_count: int = 1) -> None:
        self._clock = clock
        self._windows = {
            "creates": CallWindow(max(1, settings.quota_creates_per_min // shard_count)),
            "analyses": CallWindow(max(1, settings.quota_analyses_per_min // shard_count)),
            _ALL: CallWindow(max(1, settings.quota_requests_per_min // shard_count)),
        }
        self._locks = {name: asyncio.Lock() for name in self._windows}

    async def admit(self, method: str) -> None:
        """Return when a call of that client method may go."""
        own = _WINDOW_OF_METHOD.get(method, _ALL)
        windows = {self._windows[own], self._windows[_ALL]}
        async with self._locks[own]:
            # Both grants are taken at once: one taken early and used late would count for a
            # minute in which its call isn't made.
            while (wait := self._delay(windows)) > 0:
                await self._clock.sleep(wait)
            now = self._clock.monotonic()
            for window in windows:
                window.take(now)

    def exhausted(self, method: str, retry_after_sec: float) -> None:
        """The service refused a call of that method for quota."""
        own = _WINDOW_OF_METHOD.get(method, _ALL)
        self._windows[own].exhausted(self._clock.monotonic(), retry_after_sec)

    def use(self) -> dict[str, QuotaUse]:
        """Return how much of each quota the last minute used."""
        now = self._clock.monotonic()
        return {
            name: QuotaUse(window.used(now), window.limit) for name, window in self._windows.items()
        }

    def _delay(self, windows: set[CallWindow]) -> float:
        now = self._clock.monotonic()
        return max(window.delay(now) for window in windows)


class Progress(Protocol):
    """Shown to a person; a flow never waits for it."""

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins or learns its total."""

    def advance(self, name: str) -> None:
        """One conversation has passed the stage."""

    def quota(self, use: Mapping[str, QuotaUse]) -> None:
        """How much of each quota the last minute used."""

    def note(self, message: str) -> None:
        """Something worth a line; never text of a conversation."""


class Silent:
    """Tells nothing."""

    def stage(self, name: str, total: int | None) -> None:
        """Tell nothing."""

    def advance(self, name: str) -> None:
        """Tell nothing."""

    def quota(self, use: Mapping[str, QuotaUse]) -> None:
        """Tell nothing."""

    def note(self, message: str) -> None:
        """Tell nothing."""


@dataclass(frozen=True)
class Services:
    """Adapters, time, chance, and whom to tell."""

    store: ObjectStore
    insights: InsightsApi
    sink: RawSink
    clock: Clock
    rng: random.Random
    progress: Progress
    admission: Admission
