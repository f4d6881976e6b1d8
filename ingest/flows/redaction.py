"""Redaction before anything is sent: originals stay in a folder of their own.

A source is read through `RedactedSource`, so that every later step sees redacted files alone. It
fails closed: of a conversation that can't be judged nothing is passed on but the reason, which
refuses the conversation until a later push can judge it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ingest.domain.conversation import (
    ORIGINALS_PREFIX,
    DeliveredFile,
    FileKind,
    sha256_hex,
    source_object,
)
from ingest.domain.declarations import Declarations
from ingest.domain.faults import Fault
from ingest.domain.redaction.files import (
    FilesToRedact,
    redacted_files,
    unknown_languages,
)
from ingest.domain.redaction.turn import Vocabulary, built_in
from ingest.domain.validation import check_delivery
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.source import Contents, Source, SourceConversation, place_of
from ingest.ports.move import ObjectStore, StoredObject

KEY_OBJECT = f"{ORIGINALS_PREFIX}.key"
"""Key of the pseudonyms: who can't read originals can't tell who a pseudonym is."""
_WAITS = "nothing of it is sent; it waits until a push can judge it"


class FileRedactor(Protocol):
    """Takes people out of the files of a conversation."""

    async def redact(self, files: FilesToRedact) -> tuple[bytes, bytes]:
        """Return metadata.json and transcription.json without personal details.

        Raises TimeoutError where that takes too long, any other exception where it fails.
        """


class RuleRedactor:
    """The project's rules, in processes of their own: all cores work, and time can be limited."""

    def __init__(self, own_words: tuple[str, ...], timeout_sec: float) -> None:
        self._timeout_sec = timeout_sec
        self._pool = ProcessPoolExecutor(
            max_workers=os.cpu_count(),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(own_words,),
        )

    async def redact(self, files: FilesToRedact) -> tuple[bytes, bytes]:
        """Return both files without personal details."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _redact, files, self._timeout_sec)

    def close(self) -> None:
        """End the processes; what they haven't begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class Redacting:
    """What redaction gets from outside: the redactor, and chance for the key of pseudonyms."""

    redactor: FileRedactor
    new_key: Callable[[], bytes]


_VOCABULARIES: list[Vocabulary] = []
"""Of a process of the pool."""


def _begin(own_words: tuple[str, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run that owns the pool ends it
    _VOCABULARIES.append(built_in().with_own(own_words))


def _redact(files: FilesToRedact, timeout_sec: float) -> tuple[bytes, bytes]:
    def end(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, timeout_sec)
    try:
        return redacted_files(files, _VOCABULARIES[-1])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@dataclass(frozen=True)
class Redaction:
    """Redacts what is read; `keeps` says whether originals are stored, as a push does."""

    store: ObjectStore
    attempts: Attempts
    outside: Redacting
    declared: Declarations
    keeps: bool

    async def key(self) -> bytes:
        """Return the key of pseudonyms; the first push makes it."""
        held = await stored_key(self.store, self.attempts)
        if held is not None or not self.keeps:
            return held or self.outside.new_key()
        made = self.outside.new_key()
        put = partial(
            self.store.put,
            KEY_OBJECT,
            made,
            content_type="application/octet-stream",
            content_sha256=sha256_hex(made),
            if_generation_match=0,
        )
        try:
            await self.attempts.run(put)
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise
            return await stored_key(self.store, self.attempts) or made
        return made

    async def redacted(
        self, conversation: SourceConversation, key: bytes
    ) -> tuple[Contents, list[Fault]]:
        """Return the redacted files; no files and the reason where they can't be judged."""
        contents, unreadable = await conversation.read()
        delivery = check_delivery(
            conversation.conversation_id,
            conversation.batch_date,
            contents,
            unreadable,
            self.declared,
        )
        if not delivery.is_usable:
            return {}, delivery.faults
        told = [fault for fault in delivery.faults if fault.rule == "unknown_field"] + unreadable
        if conversation.stored:
            return self._as_stored(conversation, contents, delivery.files, told)
        if len(delivery.files) < len(FileKind):
            rule, message = "redaction_needs_both_files", "it can't be redacted by one file alone"
            return {}, [_unjudged(conversation, rule, message, "deliver both files in one folder")]
        files = FilesToRedact(
            delivery.files[FileKind.METADATA].payload,
            delivery.files[FileKind.TRANSCRIPTION].payload,
            self.declared.custom_fields,
            key,
        )
        found = await self._judged(conversation, files)
        if isinstance(found, Fault):
            return {}, [found]
        if self.keeps:
            for file in delivery.files.values():
                await self._keep(conversation, file)
        return found, told

    async def _judged(
        self, conversation: SourceConversation, files: FilesToRedact
    ) -> Contents | Fault:
        if unknown := unknown_languages(files):
            return _unjudged(
                conversation,
                "redaction_language",
                f"it is in {', '.join(unknown)}, and the redactor knows English alone",
                "leave it out, or correct language_code",
            )
        try:
            metadata, transcription = await self.outside.redactor.redact(files)
        except TimeoutError:
            return _unjudged(
                conversation,
                "redaction_timeout",
                "its redaction took too long",
                "raise INGEST_REDACTION_TIMEOUT_SEC",
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may go on unredacted
            return _unjudged(
                conversation,
                "redaction_error",
                f"its redaction failed: {type(error).__name__}",
                "push again" if isinstance(error, BrokenProcessPool) else "report it, without text",
            )
        return {FileKind.METADATA: metadata, FileKind.TRANSCRIPTION: transcription}

    def _as_stored(
        self,
        conversation: SourceConversation,
        contents: Contents,
        files: Mapping[FileKind, DeliveredFile],
        told: list[Fault],
    ) -> tuple[Contents, list[Fault]]:
        """Pass on what an earlier push redacted, and nothing that others put in its place."""
        if all(file.payload.get("redactor") for file in files.values()):
            return contents, told
        rule, message = "original_outside", "the bucket holds it unredacted outside originals/"
        hint = f"move it to {ORIGINALS_PREFIX}{conversation.batch_date}/ and push from there"
        return {}, [_unjudged(conversation, rule, message, hint)]

    async def _keep(self, conversation: SourceConversation, file: DeliveredFile) -> None:
        """Have the originals' folder hold the file as it was handed in."""
        own = source_object(conversation.batch_date, conversation.conversation_id, file.kind)
        name = f"{ORIGINALS_PREFIX}{own}"
        if conversation.origins.get(file.kind) == f"gs://{self.store.bucket}/{name}":
            return
        put = partial(_put, self.store, name, file)
        await self.attempts.run(put)


async def stored_key(store: ObjectStore, attempts: Attempts) -> bytes | None:
    """Return the key of pseudonyms that the bucket holds, None where nothing was redacted."""
    if (await attempts.run(partial(store.stat, KEY_OBJECT))).value is None:
        return None
    return (await attempts.run(partial(store.read, KEY_OBJECT))).value


async def _put(store: ObjectStore, name: str, file: DeliveredFile) -> None:
    held = await store.stat(name)
    if held is not None and held.content_sha256 == file.sha256:
        return
    await store.put(
        name,
        file.content,
        content_type="application/json",
        content_sha256=file.sha256,
        if_generation_match=held.generation if held else 0,
    )


def _unjudged(conversation: SourceConversation, rule: str, message: str, hint: str) -> Fault:
    place = place_of(conversation, FileKind.TRANSCRIPTION)
    return Fault(place, "", rule, f"{message}: {_WAITS}", hint)


@dataclass(frozen=True)
class RedactedConversation:
    """A conversation whose files are redacted when they are read; `original` isn't."""

    original: SourceConversation
    redaction: Redaction
    key: bytes

    @property
    def batch_date(self) -> dt.date:
        """The date folder."""
        return self.original.batch_date

    @property
    def conversation_id(self) -> str:
        """The folder's name."""
        return self.original.conversation_id

    @property
    def stored(self) -> dict[FileKind, StoredObject]:
        """Files that an earlier push redacted and the bucket holds."""
        return self.original.stored

    @property
    def origins(self) -> dict[FileKind, str]:
        """Addresses of the originals, where they came from a bucket."""
        return self.original.origins

    async def read(self) -> tuple[Contents, list[Fault]]:
        """Return the redacted files, or none and why not."""
        return await self.redaction.redacted(self.original, self.key)


@dataclass(frozen=True)
class RedactedSource:
    """A source of which nothing but redacted files is seen."""

    inner: Source
    redaction: Redaction

    @property
    def is_quick_to_read(self) -> bool:
        """Whether originals may be read once more, to validate all before anything is sent."""
        return self.inner.is_quick_to_read

    async def walk(self) -> AsyncIterator[SourceConversation | Fault]:
        """Yield every conversation, to be redacted when it is read."""
        key = await self.redaction.key()
        async for entry in self.inner.walk():
            if isinstance(entry, Fault):
                yield entry
            else:
                yield RedactedConversation(entry, self.redaction, key)
