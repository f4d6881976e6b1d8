"""Conversations that lie in a bucket already: `gs://bucket/prefix` instead of a folder."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ingest.domain.conversation import CONVERSATION_ID_PATTERN, ConversationId, FileKind
from ingest.domain.fault import Fault
from ingest.domain.object_paths import parse_batch_date, source_object
from ingest.domain.validation import MAX_FILE_BYTES
from ingest.errors import InputError
from ingest.flows.attempts import Attempts
from ingest.flows.pages import every_item
from ingest.flows.source import (
    Contents,
    SourceConversation,
    bad_date,
    bad_id,
    looks_like_a_date,
    no_conversation,
    place_of,
    too_large,
)
from ingest.ports import ObjectStore, StoredObject

_KIND_BY_NAME = {f"{kind.value}.json": kind for kind in FileKind}


@dataclass(frozen=True)
class BucketConversation:
    """A conversation whose files are objects of a bucket."""

    batch_date: dt.date
    conversation_id: str
    store: ObjectStore
    objects: dict[FileKind, StoredObject]
    is_own_bucket: bool

    @property
    def stored(self) -> dict[FileKind, StoredObject]:
        """The objects themselves, when they lie where an upload would put them."""
        if not self.is_own_bucket:
            return {}
        conversation_id = ConversationId(self.conversation_id)
        return {
            kind: stored
            for kind, stored in self.objects.items()
            if stored.name == source_object(self.batch_date, conversation_id, kind)
        }

    @property
    def origins(self) -> dict[FileKind, str]:
        """Addresses of the objects."""
        bucket = self.store.bucket
        return {kind: f"gs://{bucket}/{stored.name}" for kind, stored in self.objects.items()}

    async def read(self) -> tuple[Contents, list[Fault]]:
        """Return the objects' bytes, and a fault for each that is too large."""
        contents: Contents = {}
        faults: list[Fault] = []
        for kind, stored in self.objects.items():
            if stored.size_bytes > MAX_FILE_BYTES:
                faults.append(too_large(place_of(self, kind), stored.size_bytes))
            else:
                contents[kind] = await self.store.read(stored.name)
        return contents, faults


@dataclass(frozen=True)
class BucketSource:
    """A prefix of a bucket: `<prefix>/<date>/<id>/<kind>.json`, or the prefix ends in the date."""

    store: ObjectStore
    prefix: str
    attempts: Attempts
    is_own_bucket: bool
    is_quick_to_read: bool = False

    async def walk(self) -> AsyncIterator[SourceConversation | Fault]:
        """Yield every conversation in order, and a fault for each object that is no file of one."""
        base, fixed_date = self._base()
        current: BucketConversation | None = None
        is_empty, nearly_a_date = True, ""
        prefix = self._listed_prefix()
        async for stored in every_item(
            self.attempts, lambda token: self.store.list(prefix, page_token=token)
        ):
            date, parts = fixed_date, stored.name.removeprefix(base).split("/")
            if date is None:
                date = parse_batch_date(parts[0])
                parts = parts[1:]
            if date is None:
                folder = stored.name.removeprefix(base).split("/")[0]
                if folder != nearly_a_date and looks_like_a_date(folder):
                    nearly_a_date, is_empty = folder, False
                    yield bad_date(folder)
                continue
            is_empty = False
            fault = _object_fault(date, parts)
            if fault is not None:
                yield fault
                continue
            if current is None or (current.batch_date, current.conversation_id) != (date, parts[0]):
                if current is not None:
                    yield current
                current = BucketConversation(date, parts[0], self.store, {}, self.is_own_bucket)
            if len(parts) == 2 and parts[1] in _KIND_BY_NAME:
                current.objects[_KIND_BY_NAME[parts[1]]] = stored
        if current is not None:
            yield current
        if is_empty:
            raise InputError(
                f"gs://{self.store.bucket}/{self.prefix} holds no date folder with objects",
                "name it like gs://bucket/2025-12-28: <date>/<conversation_id>/metadata.json",
            )

    def _listed_prefix(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""

    def _base(self) -> tuple[str, dt.date | None]:
        date = parse_batch_date(self.prefix.rpartition("/")[2])
        return self._listed_prefix(), date


def parse_gs_uri(uri: str) -> tuple[str, str]:
    """Return bucket and prefix of `gs://bucket/prefix`; raise InputError for anything else."""
    bucket, _, prefix = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not bucket:
        raise InputError(f"{uri!r} is no bucket address", "write gs://bucket/prefix")
    return bucket, prefix.strip("/")


def _object_fault(date: dt.date, parts: list[str]) -> Fault | None:
    place = f"{date}/{'/'.join(parts)}"
    if len(parts) < 2 or not parts[0]:
        return no_conversation(place)
    if not CONVERSATION_ID_PATTERN.fullmatch(parts[0]):
        return bad_id(place)
    return None
