"""Up to when pulls have seen everything that changed in CI: an object in the bucket.

The newest landed state can't tell this: a push lands states of its own, newer than what somebody
else changed in CI meanwhile. So a pull that was complete writes when it began.
"""

from __future__ import annotations

import datetime as dt

import orjson

from ingest.domain.fingerprint import sha256_hex
from ingest.domain.object_paths import PULL_WATERMARK_OBJECT
from ingest.domain.raw_records import timestamp
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.ports import ObjectStore, StoredObject

WATERMARK_OVERLAP = dt.timedelta(minutes=10)
"""What CI stamped shortly before a pull began may have been committed after, and clocks differ."""


class PullWatermark:
    """The watermark that this pull found, and the one that it leaves."""

    def __init__(self, store: ObjectStore, attempts: Attempts) -> None:
        self._store = store
        self._attempts = attempts
        self._found: StoredObject | None = None

    async def since(self) -> dt.datetime | None:
        """Return from when on states must be looked at, UTC; None: from the beginning."""
        self._found = (
            await self._attempts.run(lambda: self._store.stat(PULL_WATERMARK_OBJECT))
        ).value
        if self._found is None:
            return None
        content = (await self._attempts.run(lambda: self._store.read(PULL_WATERMARK_OBJECT))).value
        complete_until = dt.datetime.fromisoformat(orjson.loads(content)["complete_until"])
        return complete_until - WATERMARK_OVERLAP

    async def advance(self, began_at: dt.datetime) -> None:
        """Say that everything up to then is landed, unless another pull said something since."""
        content = orjson.dumps({"complete_until": timestamp(began_at)})
        generation = self._found.generation if self._found else 0

        async def put() -> None:
            await self._store.put(
                PULL_WATERMARK_OBJECT,
                content,
                content_type="application/json",
                content_sha256=sha256_hex(content),
                if_generation_match=generation,
            )

        try:
            await self._attempts.run(put)
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise
