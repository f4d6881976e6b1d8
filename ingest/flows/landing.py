"""Lands rows in the raw tables: bounded batches, load jobs with ids made from the content.

A batch is first written to the bucket under `_landing/`, then loaded, then removed. What a killed
run left there is loaded by the next one (`recover`): the job's id is made from the object's
content hash, so a batch whose load had been started, or even finished, isn't loaded twice.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import resources

import orjson

from ingest.domain.fingerprint import sha256_hex
from ingest.domain.object_paths import LANDING_PREFIX, landing_object
from ingest.domain.raw_records import RawRow, timestamp
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.effects import log_batch
from ingest.ports import Clock, ObjectStore, RawSink, StoredObject

MAX_BATCH_BYTES = 32_000_000
MAX_JOB_FAILURES = 5
MAX_JOB_IDS = 200
_LANDING_NAME = re.compile(rf"{LANDING_PREFIX}([a-z_]+)/([0-9a-f]{{64}})\.json\.gz")

OnLanded = Callable[[], None]
OnLost = Callable[[RemoteError], None]


@dataclass
class _Batch:
    rows: dict[str, list[bytes]] = field(default_factory=dict)
    size_bytes: int = 0
    watchers: list[tuple[OnLanded, OnLost]] = field(default_factory=list)


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
        self._run_id = run_id
        self._max_batch_bytes = max_batch_bytes
        self._batch = _Batch()

    @property
    def is_full(self) -> bool:
        """Whether it's time to flush."""
        return self._batch.size_bytes >= self._max_batch_bytes

    def add(self, rows: list[RawRow], on_landed: OnLanded, on_lost: OnLost) -> None:
        """Take rows; one of the two is called once they are landed, or surely not."""
        for row in rows:
            check_row(row)
            line = orjson.dumps({**row.values, "_run_id": self._run_id})
            self._batch.rows.setdefault(row.table, []).append(line)
            self._batch.size_bytes += len(line)
        self._batch.watchers.append((on_landed, on_lost))

    async def flush(self) -> dict[str, int]:
        """Land what was taken so far; return rows by table. Failures go to the watchers."""
        batch, self._batch = self._batch, _Batch()
        landed: dict[str, int] = {}
        stamp = f',"_landed_at":"{timestamp(self._clock.now())}"}}\n'.encode()
        try:
            for table in sorted(batch.rows):
                lines = batch.rows.pop(table)
                content = gzip.compress(b"".join(line[:-1] + stamp for line in lines), 5, mtime=0)
                landed[table] = len(lines)
                await self._land(table, content)
        except RemoteError as error:
            for _, on_lost in batch.watchers:
                on_lost(error)
            return {}
        for on_landed, _ in batch.watchers:
            on_landed()
        return landed

    async def recover(self) -> int:
        """Load the batches that an earlier run left; return how many."""
        left = (await self._attempts.run(self._left_batches)).value
        for table, sha256, stored in left:
            await self._load(table, stored.name, sha256, stored.generation)
        return len(left)

    async def _left_batches(self) -> list[tuple[str, str, StoredObject]]:
        return [
            (found[1], found[2], stored)
            async for stored in self._store.list(LANDING_PREFIX)
            if (found := _LANDING_NAME.fullmatch(stored.name))
        ]

    async def _land(self, table: str, content: bytes) -> None:
        sha256 = sha256_hex(content)
        name = landing_object(table, sha256)
        generation = (await self._attempts.run(lambda: self._put(name, content, sha256))).value
        await self._load(table, name, sha256, generation)

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

    async def _load(self, table: str, name: str, sha256: str, generation: int) -> None:
        uri = f"gs://{self._store.bucket}/{name}"
        failures = 0
        for number in range(1, MAX_JOB_IDS + 1):
            job_id = f"ingest-{table}-{sha256}-{number}"
            try:
                loaded = await self._attempts.run(partial(self._sink.load, table, uri, job_id))
                log_batch(self._run_id, table, job_id, loaded.value.row_count)
                break
            except RemoteError as error:
                failures += error.code == "JOB_FAILED"
                is_last = failures == MAX_JOB_FAILURES or number == MAX_JOB_IDS
                if is_last or error.code not in ("JOB_FAILED", "JOB_FAILED_BEFORE"):
                    raise
        if generation:
            await self._attempts.run(lambda: self._store.delete(name, generation))


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
