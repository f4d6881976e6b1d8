"""What every method needs: the store, the names, the time, the ids, Cloud Storage, switches."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from ingest.emulator.cloud_storage import ObjectReader
from ingest.emulator.database import Database
from ingest.emulator.faults import FaultPlan
from ingest.emulator.methods import EVERY
from ingest.emulator.notifications import Notifications
from ingest.emulator.quotas import Quotas
from ingest.emulator.request_fields import Names


class Clock:
    """Microseconds since the epoch; operations, quotas, latencies and expiry follow it."""

    def __init__(self, wall_micros: Callable[[], int]) -> None:
        self._wall = wall_micros
        self._offset = 0
        self._frozen_at: int | None = None
        self._moved = asyncio.Event()

    def now(self) -> int:
        """Return the present in microseconds since the epoch."""
        return self._wall() + self._offset if self._frozen_at is None else self._frozen_at

    @property
    def is_frozen(self) -> bool:
        """True while only `advance` moves the time."""
        return self._frozen_at is not None

    def advance(self, micros: int) -> None:
        """Move the present forward; what waited for a moment now past wakes up."""
        if self._frozen_at is None:
            self._offset += micros
        else:
            self._frozen_at += micros
        self._wake()

    def freeze(self, at: int | None = None) -> None:
        """Stop the time, at `at` when given."""
        self._frozen_at = self.now() if at is None else at
        self._wake()

    def resume(self) -> None:
        """Let the time run on from the present moment."""
        if self._frozen_at is not None:
            self._offset = self._frozen_at - self._wall()
            self._frozen_at = None
            self._wake()

    def reset(self) -> None:
        """Run with the wall clock again."""
        self._offset, self._frozen_at = 0, None
        self._wake()

    async def sleep_until(self, moment: int, wake: asyncio.Event | None = None) -> None:
        """Return at `moment`, or earlier when `wake` is set."""
        while (left := moment - self.now()) > 0 and not (wake and wake.is_set()):
            moved = self._moved
            timeout = None if self.is_frozen else left / 1_000_000
            waits = {asyncio.ensure_future(moved.wait())}
            if wake is not None:
                waits.add(asyncio.ensure_future(wake.wait()))
            try:
                await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


class Ids:
    """Draws resource ids and revision ids from the given source of randomness."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def resource(self) -> str:
        """Return a fresh id of 17 to 20 digits (seen: 13848965911864781366)."""
        return str(self._rng.randrange(10**17, 2**64))

    def revision(self) -> str:
        """Return a fresh revision id (documented form: `…/phraseMatchers/x@1234567`)."""
        return str(self._rng.randrange(10**6, 10**16))


ANALYSES = ("CreateAnalysis", "BulkAnalyzeConversations")


@dataclass(slots=True)
class Switches:
    """Latencies in microseconds, by RPC name or by kind of operation; `*` stands for the rest."""

    call_latency: dict[str, int] = field(default_factory=dict)
    operation_latency: dict[str, int] = field(default_factory=dict)
    quotas: Quotas = field(default_factory=Quotas)
    faults: FaultPlan = field(default_factory=FaultPlan)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many calls ended how: (method, status)."""

    def of_call(self, method: str) -> int:
        """Return how long a call of this method takes at least."""
        return self.call_latency.get(method, self.call_latency.get(EVERY, 0))

    def of_operation(self, kind: str) -> int:
        """Return how long an operation of this kind runs."""
        return self.operation_latency.get(kind, self.operation_latency.get(EVERY, 0))

    def counters(self) -> dict[str, dict[str, int]]:
        """Return the number of calls by method and status."""
        counted: dict[str, dict[str, int]] = {}
        for (method, status), number in sorted(self.calls.items()):
            counted.setdefault(method, {})[status] = number
        return counted


@dataclass(frozen=True, slots=True)
class Scope:
    """The clock and the switches of the clients that share one."""

    clock: Clock
    switches: Switches


_entered: ContextVar[Scope | None] = ContextVar("scope", default=None)


class Scopes:
    """One scope for all, and one for each name that a client sends with its calls.

    So tests that run at the same time move their own clocks and meet their own faults. The store is
    one for all of them, and expired conversations are forgotten by the clock of all.
    """

    def __init__(self, make: Callable[[], Scope]) -> None:
        self._make = make
        self._named: dict[str, Scope] = {}
        self.shared = make()

    @property
    def current(self) -> Scope:
        """The scope of the call or operation that is at work."""
        return _entered.get() or self.shared

    def enter(self, name: str, is_new: bool = False) -> None:
        """Do the rest of this task in a named scope; one that nobody has made is that of all."""
        if is_new and name and name not in self._named:
            self._named[name] = self._make()
        _entered.set(self._named.get(name))


def resume_scope(scope: Scope) -> None:
    """Do the rest of this task in a scope."""
    _entered.set(scope)


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of one emulator, made once."""

    names: Names
    ids: Ids
    database: Database
    objects: ObjectReader
    scopes: Scopes
    notifications: Notifications

    @property
    def clock(self) -> Clock:
        """The clock of the call or operation that is at work."""
        return self.scopes.current.clock

    @property
    def switches(self) -> Switches:
        """The switches of the call or operation that is at work."""
        return self.scopes.current.switches
