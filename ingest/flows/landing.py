"""Lands rows in the raw tables: bounded batches, load jobs with ids made from the content.

A batch is first written to the bucket under `_landing/`, then loaded, then removed. What a killed
run left there is loaded by the next one (`recover`): the job's id is made from the object's
content hash, so a batch whose load had been started, or even finished, isn't loaded twice. One that
BigQuery keeps refusing is set aside under `_landing_failed/`, so that it holds up nothing else.

Tables are landed in order: a landed state of Insights stops later runs from doing work again, and
with it the events that tell of it, so it comes last.

A conversation may be forgotten while its rows are on their way. So a batch looks for tombstones
between its two halves: after it was written, before it is loaded. `forget` does the opposite, it
lands its tombstone and then looks for written batches. Whichever was first, one sees the other, and
whoever sees takes the rows out: the batch is overwritten under its own name, by which its job is
called too, so it is still loaded once.
"""

from __future__ import annotations

import datetime as dt
import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import resources

import orjson
from isal import isal_zlib

from ingest.domain.conversation import (
    LANDING_FAILED_PREFIX,
    LANDING_PREFIX,
    landing_object,
    sha256_hex,
)
from ingest.domain.outcome import Failure, Step
from ingest.domain.raw_records import (
    CI_CONVERSATIONS,
    CONVERSATION_FILES,
    PIPELINE_EVENTS,
    RawRow,
    timestamp,
)
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts, every_item
from ingest.flows.evidence import FORGOTTEN_CODE, FORGOTTEN_MESSAGE, forgotten_among, forgotten_ids
from ingest.flows.steps import log_batch
from ingest.ports.move import Clock, ObjectStore, RawSink, StoredObject

MAX_BATCH_BYTES = 32_000_000
_GZIP_LEVEL = 1
"""As small as zlib's first level makes a batch, in a quarter of its time."""
_GZIP_WINDOW = 31
"""zlib's way to ask for gzip, whose header then holds no time: equal rows give equal bytes."""
MAX_JOB_FAILURES = 5
MAX_JOB_IDS = 200
_JOB_FAILURES = ("JOB_FAILED", "JOB_FAILED_BEFORE")
_ORDER = (PIPELINE_EVENTS, CONVERSATION_FILES, CI_CONVERSATIONS)
_LANDING_NAME = re.compile(rf"{LANDING_PREFIX}([a-z_]+)/([0-9a-f]{{64}})\.json\.gz")

TOMBSTONE_MARGIN = dt.timedelta(days=1)
"""Tombstones from before a run began are what its flow has looked for; clocks differ by less."""

OnLanded = Callable[[], None]
OnLost = Callable[[RemoteError], None]


class _CompressedLines:
    """Lines of JSON, compressed as they come, so that a batch is never held in the open."""

    def __init__(self) -> None:
        self.count = 0
        self._compressing = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
        self._parts: list[bytes] = []

    def add(self, line: bytes) -> None:
        self._parts.append(self._compressing.compress(line + b"\n"))
        self.count += 1

    def content(self) -> bytes:
        return b"".join([*self._parts, self._compressing.flush()])


@dataclass
class _Batch:
    tables: defaultdict[str, _CompressedLines] = field(
        default_factory=lambda: defaultdict(_CompressedLines)
    )
    size_bytes: int = 0
    watchers: list[tuple[frozenset[str], OnLanded, OnLost]] = field(default_factory=list)

    @property
    def conversation_ids(self) -> set[str]:
        return {id_ for ids, _, _ in self.watchers for id_ in ids}


@dataclass(frozen=True)
class _Written:
    """A batch that lies in the bucket; generation 0: another run has landed it."""

    table: str
    sha256: str
    generation: int
    is_rewritten: bool = False

    @property
    def name(self) -> str:
        return landing_object(self.table, self.sha256)


@dataclass(frozen=True)
class Recovered:
    """What became of the batches that earlier runs had left."""

    landed: int
    failures: tuple[Failure, ...]
    """One for each batch that was set aside."""


class Landing:
    """Collects rows and lands them by the batch; what is added together is landed together."""

    def __init__(
        self,
        store: ObjectStore,
        sink: RawSink,
        clock: Clock,
        attempts: Attempts,
        run_id: str,
        max_batch_bytes: int = MAX_BATCH_BYTES,
    ) -> None:
        self._store = store
        self._sink = sink
        self._clock = clock
        self._attempts = attempts
        self.run_id = run_id
        self._max_batch_bytes = max_batch_bytes
        self._tombstones_since = clock.now() - TOMBSTONE_MARGIN
        self._batch = _Batch()

    @property
    def is_full(self) -> bool:
        """Whether it's time to flush."""
        return self._batch.size_bytes >= self._max_batch_bytes

    def add(self, rows: list[RawRow], on_landed: OnLanded, on_lost: OnLost) -> None:
        """Take rows; one of the two is called once they are landed, or surely not."""
        stamps = {"_run_id": self.run_id, "_landed_at": timestamp(self._clock.now())}
        lines = []
        for row in rows:
            check_row(row)
            lines.append((row.table, orjson.dumps({**row.values, **stamps})))
        for table, line in lines:
            self._batch.tables[table].add(line)
            self._batch.size_bytes += len(line)
        self._batch.watchers.append((_conversations(rows), on_landed, on_lost))

    async def flush(self) -> dict[str, int]:
        """Land what was taken so far; return rows by table. Failures go to the watchers.

        What was forgotten meanwhile is a failure of code FORGOTTEN.
        """
        batch, self._batch = self._batch, _Batch()
        landed: dict[str, int] = {}
        try:
            written = []
            for table in sorted(batch.tables, key=_place):
                lines = batch.tables.pop(table)
                written.append((await self._write(table, lines.content()), lines.count))
            forgotten = await forgotten_among(
                self._sink, self._attempts, batch.conversation_ids, self._tombstones_since
            )
            for one, count in written:
                landed[one.table] = count - await self._load_but(one, forgotten)
        except RemoteError as error:
            for _, _, on_lost in batch.watchers:
                on_lost(error)
            return {}
        for ids, on_landed, on_lost in batch.watchers:
            if ids & forgotten:
                on_lost(RemoteError(FORGOTTEN_MESSAGE, code=FORGOTTEN_CODE))
            else:
                on_landed()
        return {table: count for table, count in landed.items() if count}

    async def recover(self) -> Recovered:
        """Load the batches that an earlier run left; set aside those that BigQuery refuses."""
        landed, failures = 0, []
        left = sorted(await self._left_batches(), key=lambda one: _place(one[0]))
        forgotten = await forgotten_ids(self._sink, self._attempts) if left else set()
        for table, sha256, stored in left:
            is_rewritten = stored.content_sha256 not in (None, sha256)
            one = _Written(table, sha256, stored.generation, is_rewritten)
            try:
                await self._load_but(one, forgotten)
                landed += 1
            except RemoteError as error:
                if error.code not in _JOB_FAILURES:
                    raise
                aside = await self._set_aside(stored, sha256)
                if aside is None:
                    continue
                message = f"a batch that {table} refuses was set aside as {aside}"
                failures.append(Failure("", Step.LAND, error.code, message))
        return Recovered(landed, tuple(failures))

    async def _set_aside(self, stored: StoredObject, sha256: str) -> str | None:
        """Move a batch to where no run takes it up; return its name there.

        None: the run that made it has landed it meanwhile.
        """
        aside = stored.name.replace(LANDING_PREFIX, LANDING_FAILED_PREFIX, 1)
        try:
            content = (await self._attempts.run(lambda: self._store.read(stored.name))).value
        except RemoteError as error:
            if error.code != "NOT_FOUND":
                raise
            # Another run has landed it, or set it aside.
            held = await self._attempts.run(lambda: self._store.stat(aside))
            return aside if held.value else None
        await self._attempts.run(lambda: self._put(aside, content, sha256))
        await self._attempts.run(lambda: self._store.delete(stored.name, stored.generation))
        return aside

    async def _left_batches(self) -> list[tuple[str, str, StoredObject]]:
        return [
            (found[1], found[2], stored)
            async for stored in every_item(
                self._attempts, lambda token: self._store.list(LANDING_PREFIX, page_token=token)
            )
            if (found := _LANDING_NAME.fullmatch(stored.name))
        ]

    async def _write(self, table: str, content: bytes) -> _Written:
        sha256 = sha256_hex(content)
        name = landing_object(table, sha256)
        generation = (await self._attempts.run(lambda: self._put(name, content, sha256))).value
        return _Written(table, sha256, generation)

    async def _load_but(self, one: _Written, forgotten: set[str]) -> int:
        """Load a written batch without the rows of forgotten conversations; return their number."""
        if forgotten:
            one, gone, count = await self._without(one, forgotten)
        else:
            gone, count = set(), 0
        await self._load(one)
        # Another run may have begun to load the batch as it was.
        for conversation_id in sorted(gone):
            await self._attempts.run(partial(self._sink.erase, one.table, conversation_id))
        return count

    async def _without(self, one: _Written, forgotten: set[str]) -> tuple[_Written, set[str], int]:
        """Return the batch without the rows of these conversations, whose they were and how many"""
        try:
            content = (await self._attempts.run(partial(self._store.read, one.name))).value
        except RemoteError as error:
            if error.code != "NOT_FOUND":
                raise
            return one, forgotten, 0
        lines = _lines(content)
        gone = {id_ for line in lines if (id_ := _conversation_of(line)) in forgotten}
        if not gone:
            return one, set(), 0
        kept = [line for line in lines if _conversation_of(line) not in gone]
        content = gzip.compress(b"".join(kept), mtime=0)
        put = partial(
            self._store.put,
            one.name,
            content,
            content_type="application/gzip",
            content_sha256=sha256_hex(content),
            if_generation_match=one.generation,
        )
        try:
            generation = (await self._attempts.run(put)).value.generation
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise
            # Another run sees the tombstone too, or has landed the batch and removed it.
            held = (await self._attempts.run(partial(self._store.stat, one.name))).value
            generation = held.generation if held else 0
        rewritten = _Written(one.table, one.sha256, generation, is_rewritten=True)
        return rewritten, gone, len(lines) - len(kept)

    async def _put(self, name: str, content: bytes, sha256: str) -> int:
        try:
            stored = await self._store.put(
                name,
                content,
                content_type="application/gzip",
                content_sha256=sha256,
                if_generation_match=0,
            )
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise
            # None: another run found the batch here, loaded it and removed it.
            held = await self._store.stat(name)
            return held.generation if held else 0
        return stored.generation

    async def _load(self, one: _Written) -> None:
        uri = f"gs://{self._store.bucket}/{one.name}"
        failures = 0
        for number in range(1, MAX_JOB_IDS + 1):
            job_id = f"ingest-{one.table}-{one.sha256}-{number}"
            try:
                loaded = await self._attempts.run(partial(self._sink.load, one.table, uri, job_id))
                log_batch(self.run_id, one.table, job_id, loaded.value.row_count)
                break
            except RemoteError as error:
                failures += error.code == "JOB_FAILED"
                is_last = failures == MAX_JOB_FAILURES or number == MAX_JOB_IDS
                if is_last or error.code not in _JOB_FAILURES:
                    raise
                if error.code == "JOB_FAILED":
                    await self._attempts.pause(failures)
        if one.is_rewritten:
            # The bucket keeps what was overwritten, which holds what has to go.
            await self._attempts.run(partial(self._store.delete_all_generations, one.name))
        elif one.generation:
            await self._attempts.run(partial(self._store.delete, one.name, one.generation))


def _conversations(rows: list[RawRow]) -> frozenset[str]:
    """Return whose rows these are; a tombstone is nobody's."""
    return frozenset(
        id_
        for row in rows
        if (id_ := row.values.get("conversation_id")) and row.values.get("step") != Step.FORGET
    )


def _conversation_of(line: bytes) -> str | None:
    """Return whose row a line is, None for a tombstone and for what is no row."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(row, dict) or row.get("step") == Step.FORGET:
        return None
    return row.get("conversation_id")


def _place(table: str) -> int:
    return _ORDER.index(table) if table in _ORDER else -1


@cache
def raw_schema(table: str) -> Mapping[str, Mapping[str, str]]:
    """Return the declared fields of a raw table by name (`ingest/schemas/<table>.json`)."""
    text = resources.files("ingest.schemas").joinpath(f"{table}.json").read_bytes()
    return {declared["name"]: declared for declared in orjson.loads(text)}


def check_row(row: RawRow) -> None:
    """Raise ValueError for a field that the schema lacks or a required one that is missing.

    BigQuery refuses such rows; checking here finds them before a whole batch is refused.
    """
    schema = raw_schema(row.table)
    unknown = row.values.keys() - schema.keys()
    missing = [
        name
        for name, declared in schema.items()
        if declared["mode"] == "REQUIRED"
        and not name.startswith("_")
        and row.values.get(name) is None
    ]
    if unknown or missing:
        raise ValueError(f"row for {row.table}: unknown {sorted(unknown)}, missing {missing}")


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
