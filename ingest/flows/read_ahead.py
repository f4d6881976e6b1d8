"""A listing of the bucket that is read once for many questions in the order of names.

A chunk's objects lie behind those of the chunk before. Asking for each chunk anew costs a call even
where the rest of a date folder was seen to be empty, and on an emulator that reads its whole bucket
to answer, a time that grows with all that is there.
"""

from __future__ import annotations

from collections import deque

from ingest.flows.attempts import Attempts
from ingest.ports import Clock, ObjectStore, StoredObject

MOST_AGE_SEC = 300.0
"""What others have written since is seen after that long at the latest. Until then a write of ours
finds it, by its precondition."""


class ReadAhead:
    """The live objects under one prefix after another, by name."""

    def __init__(self, store: ObjectStore, attempts: Attempts, clock: Clock) -> None:
        self._store = store
        self._attempts = attempts
        self._clock = clock
        self._prefix: str | None = None
        self._start = self._position = ""
        self._began = 0.0
        self._read: deque[StoredObject] = deque()
        self._next_token = ""

    async def between(self, prefix: str, first: str, end: str) -> list[StoredObject]:
        """Return the objects under the prefix with first <= name < end, by name.

        Names that an earlier question went past are listed anew. Raises RemoteError.
        """
        goes_on = self._goes_on(prefix, first)
        self._prefix = None  # what an error interrupts has nothing to go on with
        if not goes_on:
            self._start, self._began = first, self._clock.monotonic()
            self._read.clear()
            await self._read_page(prefix, "")
        found = []
        while self._read or self._next_token:
            if not self._read:
                await self._read_page(prefix, self._next_token)
                continue
            if self._read[0].name >= end:
                break
            stored = self._read.popleft()
            if stored.name >= first:
                found.append(stored)
        self._prefix, self._position = prefix, max(first, end)
        return found

    def _goes_on(self, prefix: str, first: str) -> bool:
        is_fresh = self._clock.monotonic() - self._began <= MOST_AGE_SEC
        return is_fresh and prefix == self._prefix and first >= self._position

    async def _read_page(self, prefix: str, token: str) -> None:
        page = await self._attempts.run(
            lambda: self._store.list(prefix, self._start, page_token=token)
        )
        self._read.extend(page.value.items)
        self._next_token = page.value.next_token
