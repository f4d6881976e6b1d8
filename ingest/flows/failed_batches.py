"""Rows of one conversation in the batches that BigQuery refused and that were set aside."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator
from functools import partial

import orjson

from ingest.domain.fingerprint import sha256_hex
from ingest.domain.object_paths import LANDING_FAILED_PREFIX
from ingest.flows.attempts import Attempts
from ingest.flows.pages import every_item
from ingest.ports import ObjectStore, StoredObject


class FailedBatches:
    """The batches under `_landing_failed/`; each is a row a line, compressed."""

    def __init__(self, store: ObjectStore, attempts: Attempts) -> None:
        self._store = store
        self._attempts = attempts

    async def row_count(self, conversation_id: str) -> int:
        """Return how many rows of the conversation they hold."""
        return sum(
            [len(lines) - len(kept) async for _, lines, kept in self._split(conversation_id)]
        )

    async def erase(self, conversation_id: str) -> None:
        """Write each batch that holds rows of it anew without them, and delete the old one."""
        async for stored, lines, kept in self._split(conversation_id):
            if len(kept) == len(lines):
                continue
            if kept:
                await self._put(stored, b"".join(kept))
            remove = partial(self._store.delete, stored.name, stored.generation)
            await self._attempts.run(remove)

    async def _split(
        self, conversation_id: str
    ) -> AsyncIterator[tuple[StoredObject, list[bytes], list[bytes]]]:
        listing = every_item(
            self._attempts, lambda token: self._store.list(LANDING_FAILED_PREFIX, page_token=token)
        )
        for stored in [stored async for stored in listing]:
            content = (await self._attempts.run(partial(self._store.read, stored.name))).value
            lines = _lines(content)
            yield stored, lines, [line for line in lines if not _is_of(line, conversation_id)]

    async def _put(self, stored: StoredObject, lines: bytes) -> None:
        content = gzip.compress(lines, mtime=0)
        sha256 = sha256_hex(content)
        # A batch is named by its content, so that it loads once when it is moved back.
        name = f"{stored.name.rpartition('/')[0]}/{sha256}.json.gz"

        async def put() -> None:
            if await self._store.stat(name) is None:
                await self._store.put(
                    name,
                    content,
                    content_type="application/gzip",
                    content_sha256=sha256,
                    if_generation_match=0,
                )

        await self._attempts.run(put)


def _lines(content: bytes) -> list[bytes]:
    try:
        return gzip.decompress(content).splitlines(keepends=True)
    except (OSError, EOFError, zlib.error):
        return [content]


def _is_of(line: bytes, conversation_id: str) -> bool:
    """Whether a line tells of the conversation; one that is no JSON does when it names it."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return conversation_id.encode() in line
    return isinstance(row, dict) and row.get("conversation_id") == conversation_id
