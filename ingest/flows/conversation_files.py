"""The two files of one conversation: read, judged, uploaded, and which version of each counts.

A conversation may be delivered more than once, in one date folder or in several, and its files
apart. What counts is the newest version of each file by GCS generation, wherever it lies: so
pushing an older delivery again changes nothing, and a late file meets the one it belongs to.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial

import orjson

from ingest.domain.conversation import (
    FileKind,
    Metadata,
    Transcription,
    json_sha256,
    source_object,
)
from ingest.domain.insights_format import ConversationVersion
from ingest.domain.outcome import Outcome, Step
from ingest.domain.raw_records import ORIGIN_MARK, file_row
from ingest.domain.validation import Fault, check_conversation, has_errors, parse_file
from ingest.errors import RemoteError
from ingest.flows.evidence import Evidence, FileVersion
from ingest.flows.source import Contents, SourceConversation, no_files, place_of
from ingest.flows.steps import Steps
from ingest.ports.move import ObjectStore, StoredObject

IsJudged = Callable[[SourceConversation, Contents], bool]
"""Says whether these very files of a conversation were found valid before."""


def never_judged(_: SourceConversation, __: Contents) -> bool:
    """Know no files."""
    return False


class ConversationFiles:
    """The files of one conversation in one run; `faults` is what is wrong with them."""

    def __init__(
        self,
        store: ObjectStore,
        evidence: Evidence,
        source: SourceConversation,
        steps: Steps,
        is_judged: IsJudged = never_judged,
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._source = source
        self._steps = steps
        self._is_judged = is_judged
        self._contents: dict[FileKind, bytes] = {}
        self._hashes: dict[FileKind, str] = {}
        self._chosen: dict[FileKind, FileVersion] = {}
        self.faults: list[Fault] = []

    @property
    def chosen(self) -> dict[FileKind, FileVersion]:
        """The version of each file that counts, once `upload` has ended."""
        return self._chosen

    async def read(self) -> bool:
        """Read and judge the source's files; return whether they are usable."""
        self._contents, faults = await self._steps.plain(Step.UPLOAD, self._source.read)
        if not faults and self._is_judged(self._source, self._contents):
            self._hash(self._contents)
            return True
        parsed: dict[FileKind, Metadata | Transcription] = {}
        for kind, content in self._contents.items():
            model, found = parse_file(kind, content, place_of(self._source, kind))
            faults = [*faults, *found]
            if model is not None:
                parsed[kind] = model
        self._hash({kind: self._contents[kind] for kind in parsed})
        faults = [*faults, *self._cross_check(parsed, self._source.batch_date)]
        is_usable = not has_errors(faults) and bool(self._contents)
        if not self._contents and not has_errors(faults):
            faults.append(no_files(f"{self._source.batch_date}/{self._source.conversation_id}"))
        if not is_usable:
            self.faults += faults
        return is_usable

    def _hash(self, contents: Contents) -> None:
        for kind, content in contents.items():
            self._hashes[kind] = json_sha256(orjson.loads(content))
        self._steps.hashes.update(self._hashes)

    async def upload(self) -> None:
        """Have the bucket hold the source's files, and choose the version of each that counts."""
        for kind in FileKind:
            name = self._object_name(kind)
            held = self._source.stored.get(kind) or self._evidence.objects_by_name.get(name)
            if kind in self._contents:
                held = await self._have_stored(kind, name, held)
                version = self._version_of(held, self._hashes[kind])
                if version.landed_at is None:
                    self._add_row(kind, held, self._hashes[kind], self._contents[kind])
                self._choose(kind, version)
            elif held is not None:
                self._choose(kind, self._version_of(held, held.content_sha256))
            landed = self._evidence.newest_file_by_id.get(
                (self._source.conversation_id, kind.value)
            )
            if landed is not None:
                self._choose(kind, landed)

    def missing(self) -> FileKind | None:
        """Return the file that nobody has delivered yet."""
        return next((kind for kind in FileKind if kind not in self._chosen), None)

    async def version(self) -> ConversationVersion | None:
        """Return the version that counts; None when its files don't fit (see `faults`)."""
        parsed: dict[FileKind, Metadata | Transcription] = {}
        for kind, chosen in self._chosen.items():
            content = await self._content(kind, chosen)
            model, faults = parse_file(kind, content, self._place(kind, chosen))
            if model is None:
                self.faults += faults
                return None
            parsed[kind] = model
            self._steps.hashes[kind] = json_sha256(orjson.loads(content))
            self._land_if_forgotten_by_a_killed_run(kind, chosen, content)
        batch_date = max(chosen.batch_date for chosen in self._chosen.values())
        faults = self._cross_check(parsed, batch_date)
        if has_errors(faults):
            self.faults += faults
            return None
        metadata, transcription = parsed[FileKind.METADATA], parsed[FileKind.TRANSCRIPTION]
        if not isinstance(metadata, Metadata) or not isinstance(transcription, Transcription):
            raise TypeError("a version needs both files")
        return ConversationVersion(
            conversation_id=self._source.conversation_id,
            batch_date=batch_date,
            metadata=metadata,
            transcription=transcription,
            metadata_sha256=self._steps.hashes[FileKind.METADATA],
            transcript_sha256=self._steps.hashes[FileKind.TRANSCRIPTION],
        )

    async def _have_stored(
        self, kind: FileKind, name: str, held: StoredObject | None
    ) -> StoredObject:
        is_own_object = kind in self._source.stored
        if held is not None and (is_own_object or held.content_sha256 == self._hashes[kind]):
            return held
        upload = _Upload(self._store, name, self._contents[kind], self._hashes[kind], held)
        origin = self._source.origins.get(kind)
        return await self._steps.run(
            Step.UPLOAD,
            upload.attempt,
            lambda stored: self._uri(stored.name),
            reason=f"{ORIGIN_MARK}{origin}" if origin else None,
        )

    async def _content(self, kind: FileKind, chosen: FileVersion) -> bytes:
        own = self._contents.get(kind)
        if own is not None and chosen.uri == self._uri(self._object_name(kind)):
            return own
        name = chosen.uri.removeprefix(self._uri(""))
        return await self._steps.plain(Step.SUBMIT, partial(self._store.read, name))

    def _land_if_forgotten_by_a_killed_run(
        self, kind: FileKind, chosen: FileVersion, content: bytes
    ) -> None:
        held = self._evidence.objects_by_name.get(self._object_name(kind))
        if kind not in self._contents and chosen.landed_at is None and held is not None:
            self._add_row(kind, held, self._steps.hashes[kind], content)

    def _version_of(self, held: StoredObject, content_sha256: str | None) -> FileVersion:
        uri = self._uri(held.name)
        landed = self._evidence.landed_files.get((uri, held.generation))
        return landed or FileVersion(held.generation, uri, self._source.batch_date, content_sha256)

    def _choose(self, kind: FileKind, version: FileVersion) -> None:
        chosen = self._chosen.get(kind)
        if chosen is None or chosen.generation < version.generation:
            self._chosen[kind] = version

    def _add_row(
        self, kind: FileKind, held: StoredObject, content_sha256: str, content: bytes
    ) -> None:
        self._steps.rows.append(
            file_row(
                conversation_id=self._source.conversation_id,
                batch_date=self._source.batch_date,
                kind=kind,
                uri=self._uri(held.name),
                generation=held.generation,
                crc32c=held.crc32c,
                size_bytes=held.size_bytes,
                content_sha256=content_sha256,
                payload=orjson.loads(content),
            )
        )

    def _cross_check(
        self, parsed: dict[FileKind, Metadata | Transcription], batch_date: dt.date
    ) -> list[Fault]:
        metadata = parsed.get(FileKind.METADATA)
        transcription = parsed.get(FileKind.TRANSCRIPTION)
        return check_conversation(
            self._source.conversation_id,
            batch_date,
            metadata if isinstance(metadata, Metadata) else None,
            transcription if isinstance(transcription, Transcription) else None,
        )

    def _place(self, kind: FileKind, chosen: FileVersion) -> str:
        return f"{chosen.batch_date}/{self._source.conversation_id}/{kind.value}.json"

    def _object_name(self, kind: FileKind) -> str:
        return source_object(self._source.batch_date, self._source.conversation_id, kind)

    def _uri(self, name: str) -> str:
        return f"gs://{self._store.bucket}/{name}"


class _Upload:
    """One file on its way into the bucket; `attempt` may be called again after any error."""

    def __init__(
        self,
        store: ObjectStore,
        name: str,
        content: bytes,
        content_sha256: str,
        held: StoredObject | None,
    ) -> None:
        self._store = store
        self._name = name
        self._content = content
        self._content_sha256 = content_sha256
        self._generation = held.generation if held else 0

    async def attempt(self) -> tuple[StoredObject, Outcome]:
        """Write the object; one that an unanswered attempt has written is adopted."""
        try:
            stored = await self._store.put(
                self._name,
                self._content,
                content_type="application/json",
                content_sha256=self._content_sha256,
                if_generation_match=self._generation,
            )
        except RemoteError as error:
            if error.code == "DATA_LOSS":
                damaged = await self._store.stat(self._name)
                self._generation = damaged.generation if damaged else 0
            if error.code != "FAILED_PRECONDITION":
                raise
            return await self._adopt(error), Outcome.ADOPTED
        return stored, Outcome.SUCCEEDED

    async def _adopt(self, error: RemoteError) -> StoredObject:
        held = await self._store.stat(self._name)
        if held is None or held.content_sha256 != self._content_sha256:
            raise RemoteError(
                f"GCS: object {self._name} was changed by someone else meanwhile",
                "run the same command again",
                code="FAILED_PRECONDITION",
            ) from error
        return held
