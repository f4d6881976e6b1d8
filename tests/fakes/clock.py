"""Time that passes only when everybody sleeps."""

from __future__ import annotations

import asyncio
import datetime as dt
import heapq
from itertools import count

EPOCH = dt.datetime(2026, 1, 5, 8, 0, tzinfo=dt.UTC)


class ManualClock:
    """A clock that jumps to the next sleeper's moment once no task has anything else to do."""

    def __init__(self, start: dt.datetime = EPOCH) -> None:
        self._start = start
        self._elapsed_sec = 0.0
        self._numbers = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._waker_of: asyncio.AbstractEventLoop | None = None
        self.slept_sec: list[float] = []

    def now(self) -> dt.datetime:
        """Return the time, UTC."""
        return self._start + dt.timedelta(seconds=self._elapsed_sec)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._elapsed_sec

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed_sec += seconds

    async def sleep(self, seconds: float) -> None:
        """Return after that many of the clock's seconds."""
        self.slept_sec.append(seconds)
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        moment = self._elapsed_sec + max(0.0, seconds)
        heapq.heappush(self._sleepers, (moment, next(self._numbers), woken))
        if self._waker_of is not loop:
            self._waker_of = loop
            loop.call_soon(self._wake_next_when_idle, loop)
        await woken

    def _wake_next_when_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop._ready:  # type: ignore[attr-defined] - what is ready goes first
            loop.call_soon(self._wake_next_when_idle, loop)
            return
        while self._sleepers:
            moment, _, woken = heapq.heappop(self._sleepers)
            if woken.done():
                continue
            self._elapsed_sec = max(self._elapsed_sec, moment)
            woken.set_result(None)
            break
        if self._sleepers:
            loop.call_soon(self._wake_next_when_idle, loop)
        else:
            self._waker_of = None
