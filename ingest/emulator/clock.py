"""Time as the emulator sees it: it runs with the wall clock, and tests may move or stop it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


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
