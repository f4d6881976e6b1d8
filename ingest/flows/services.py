"""What flows get from outside: adapters, clock, random numbers, quota admission, progress."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol, cast

from ingest.domain.quota import CallWindow, QuotaUse
from ingest.errors import RemoteError
from ingest.flows.lease import Lease, NoLease
from ingest.flows.redaction import Redacting
from ingest.ports.move import Clock, InsightsApi, ObjectStore, RawSink
from ingest.ports.quality import QualityApi
from ingest.settings import Settings

_ALL = "all"
_WINDOW_OF_METHOD = {"create_conversation": "creates", "create_analysis": "analyses"}


class RegionGate:
    """One window for each quota of a region."""

    def __init__(
        self, quotas: Mapping[str, int], clock: Clock, run_count: int, waiting: Counter[str]
    ) -> None:
        self._quotas = quotas
        self._clock = clock
        self._windows = {
            name: CallWindow(max(1, quota // run_count)) for name, quota in quotas.items()
        }
        self._locks = {name: asyncio.Lock() for name in quotas}
        self._waiting = waiting

    def share(self, run_count: int) -> None:
        """Take the share of one of that many runs."""
        for name, window in self._windows.items():
            window.resize(self._quotas[name] // run_count)

    async def admit(self, method: str) -> None:
        """Return when a call of that client method may go."""
        own = _WINDOW_OF_METHOD.get(method, _ALL)
        windows = {self._windows[own], self._windows[_ALL]}
        self._waiting[own] += 1
        try:
            async with self._locks[own]:
                # Both grants are taken at once: one taken early and used late would count for a
                # minute in which its call isn't made.
                while (wait := self._delay(windows)) > 0:
                    await self._clock.sleep(wait)
                now = self._clock.monotonic()
                for window in windows:
                    window.take(now)
        finally:
            self._waiting[own] -= 1

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


class Admission:
    """Gates of all regions, the home's first; runs that go on at the same time share each quota.

    A sharded run begins with its share of all shards, since they begin together; from the second
    count on, what counts is what runs.
    """

    def __init__(self, settings: Settings, clock: Clock, shard_count: int = 1) -> None:
        quotas = {
            "creates": settings.quota_creates_per_min,
            "analyses": settings.quota_analyses_per_min,
            _ALL: settings.quota_requests_per_min,
        }
        self._shard_count = shard_count
        self._is_counted = False
        self.run_count = shard_count
        self.waiting: Counter[str] = Counter()
        """Calls that wait for each quota now, of all regions."""
        self.gates = [RegionGate(quotas, clock, shard_count, self.waiting) for _ in settings.places]

    def share(self, run_count: int) -> None:
        """Take the share of one of that many runs."""
        self.run_count = run_count if self._is_counted else max(run_count, self._shard_count)
        self._is_counted = True
        for gate in self.gates:
            gate.share(self.run_count)

    async def admit(self, method: str) -> None:
        """Return when a call of that client method may go to the home."""
        await self.gates[0].admit(method)

    def exhausted(self, method: str, retry_after_sec: float) -> None:
        """The home refused a call of that method for quota."""
        self.gates[0].exhausted(method, retry_after_sec)

    def use(self) -> dict[str, QuotaUse]:
        """Return how much of each quota the last minute used, of all regions together."""
        uses = [gate.use() for gate in self.gates]
        return {
            name: QuotaUse(
                sum(use[name].used for use in uses), sum(use[name].limit for use in uses)
            )
            for name in uses[0]
        }


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

    def tick(self, sentences: tuple[str, ...]) -> None:
        """What the run waits for now; comes every ten seconds."""


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

    def tick(self, sentences: tuple[str, ...]) -> None:
        """Tell nothing."""


SILENT_SEC = 15.0
"""After so long without an answer a service is named."""


@dataclass
class Calls:
    """Calls of each service that are in flight now; safe for one event loop."""

    clock: Clock
    _numbers: Iterator[int] = field(default_factory=count)
    _since: dict[str, dict[int, float]] = field(default_factory=dict)
    _answered_at: dict[str, float] = field(default_factory=dict)

    def watched[Adapter](self, adapter: Adapter, service: str) -> Adapter:
        """Return the adapter; its calls are counted from now on."""
        return cast(Adapter, _Watched(adapter, service, self))

    def silent(self, now: float) -> dict[str, float]:
        """Return since when each service has been silent that was asked something."""
        found = {}
        for service, since in self._since.items():
            if since:
                found[service] = max(min(since.values()), self._answered_at.get(service, 0.0))
        return {service: at for service, at in found.items() if now - at >= SILENT_SEC}

    def in_flight(self, service: str) -> int:
        """Return how many calls of the service wait for an answer."""
        return len(self._since.get(service, ()))

    def begin(self, service: str) -> int:
        """Note that a call begins; return its number."""
        number = next(self._numbers)
        self._since.setdefault(service, {})[number] = self.clock.monotonic()
        return number

    def end(self, service: str, number: int, *, is_answered: bool) -> None:
        """Note that a call has ended."""
        del self._since[service][number]
        if is_answered:
            self._answered_at[service] = self.clock.monotonic()


class _Watched:
    """An adapter whose calls are noted; each method is wrapped once."""

    def __init__(self, adapter: object, service: str, calls: Calls) -> None:
        self._adapter, self._service, self._calls = adapter, service, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._adapter, name)
        if not inspect.iscoroutinefunction(found):
            return found
        wrapped = self._wrapped(found)
        setattr(self, name, wrapped)
        return wrapped

    def _wrapped(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            number, is_answered = self._calls.begin(self._service), False
            try:
                result = await method(*arguments, **named)
                is_answered = True
                return result
            except RemoteError as error:
                is_answered = error.code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
                raise
            finally:
                self._calls.end(self._service, number, is_answered=is_answered)

        return call


@dataclass(frozen=True)
class Services:
    """What flows get from outside: adapters, clock, random numbers, progress, quotas, leases."""

    store: ObjectStore
    insights: InsightsApi
    quality: QualityApi
    sink: RawSink
    clock: Clock
    rng: random.Random
    progress: Progress
    admission: Admission
    lease: Lease = field(default_factory=NoLease)
    calls: Calls | None = None
    redacting: Redacting | None = None
    """What takes people out before anything is sent; None: nothing is redacted."""
