"""Leases: one run at a time for each date folder and shard, and who runs now.

All of it lies in the bucket under `_runs/`, written under generation preconditions:

- `live/<command>/<run id>.json`: a sign of life, written anew every ten seconds;
- `leases/<name>.json`: what a run has for itself, with its holder;
- `ended/<run id>.json`: a run that was interrupted or died, kept for `status` and `runs`.

A run whose last sign of life is a minute old is dead. Its age is a difference of two times that
the bucket has stamped, so no machine's clock counts. Whoever takes over from the dead first
overwrites that last sign, under its generation: a run that was only slow finds that out at its
next sign of life, and ends. Signs that were overwritten are small, and go as the bucket's rule for
old generations says.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Protocol

import orjson

from ingest.domain.conversation import RUNS_PREFIX, Shard, sha256_hex
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts, every_item, items_of
from ingest.ports.move import Clock, ObjectStore, Page, StoredObject

HEARTBEAT_SEC = 10.0
TIMEOUT_SEC = 60.0
"""A run that gave no sign of life for so long is dead."""
SURE_SEC = 30.0
"""After so long without a sign of life a run gives one before it lands anything."""
WAIT_SEC = 5.0
KEPT_DAYS = 30
_MOST_SHOWN = 100
_LIVE, _LEASES, _ENDED = f"{RUNS_PREFIX}live/", f"{RUNS_PREFIX}leases/", f"{RUNS_PREFIX}ended/"
_PAYING = ("push", "reanalyze")
"""Commands that share Insights' quotas."""


class RunState(StrEnum):
    """What is known of a run that is in the bucket."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    DIED = "died"


@dataclass(frozen=True)
class RunRecord:
    """One run: who, where, since when (UTC, by its machine), and how far it says that it is."""

    run_id: str
    command: str
    host: str
    pid: int
    since: dt.datetime
    state: RunState = RunState.RUNNING
    leases: tuple[str, ...] = ()
    progress: str = ""
    seen_at: dt.datetime | None = None
    """Of its last sign of life, UTC, by the bucket's clock."""

    @property
    def sentence(self) -> str:
        """Who this is, for people."""
        return (
            f"{self.command} {self.run_id} on {self.host}, process {self.pid}, "
            f"since {self.since:%Y-%m-%d %H:%M:%S}Z"
        )


class HeldError(RemoteError):
    """Another run has what this one needs."""

    def __init__(self, name: str, holder: RunRecord, age_sec: float) -> None:
        super().__init__(
            f"{name} is held by {holder.sentence}, which gave a sign of life {age_sec:.0f} s ago",
            f"wait for it (--wait), or end it; should it be dead, its lease is free "
            f"{max(0.0, TIMEOUT_SEC - age_sec):.0f} s from now",
            code="ABORTED",
        )
        self.holder = holder


class _ChangedHandsError(RemoteError):
    """Somebody gave back or took a lease between two looks at it."""


def date_lease(date: dt.date, shard: Shard) -> str:
    """Return the name of the lease of a date folder, or of a shard of it."""
    return f"push-{date.isoformat()}-{shard.index}-of-{shard.count}"


class Lease(Protocol):
    """What one run has for itself while it runs."""

    def running(
        self, on_beat: Callable[[], Awaitable[None]] | None = None
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Give signs of life inside the block, and everything back at its end."""

    async def take(self, names: Sequence[str], *, waits: bool) -> None:
        """Return once the run has all of them; raise HeldError where another has one."""

    async def assert_held(self) -> None:
        """Raise RemoteError when another run took over."""

    async def others(self) -> Sequence[str]:
        """Return `command/run id` of every other run that lives."""

    def say(self, progress: str) -> None:
        """Tell those who look how far this run is."""

    def interrupt(self) -> None:
        """Let the run stand as interrupted once it has ended."""

    async def sign(self) -> None:
        """Give a sign of life now."""


class NoLease:
    """For runs that change nothing."""

    @contextlib.asynccontextmanager
    async def running(
        self, on_beat: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[None]:
        """Do nothing."""
        yield

    async def take(self, names: Sequence[str], *, waits: bool) -> None:
        """Do nothing."""

    async def assert_held(self) -> None:
        """Do nothing."""

    async def others(self) -> Sequence[str]:
        """Return nobody."""
        return ()

    def say(self, progress: str) -> None:
        """Do nothing."""

    def interrupt(self) -> None:
        """Do nothing."""

    async def sign(self) -> None:
        """Do nothing."""


@dataclass
class BucketLease:
    """Leases of one run in the bucket.

    `is_surely_dead` may know at once of a run id that its process has ended; `on_count` is told
    how many runs share the quotas, this one included; `note` shows a line to people.
    """

    store: ObjectStore
    clock: Clock
    attempts: Attempts
    record: RunRecord
    is_surely_dead: Callable[[str], bool] = lambda _: False
    on_count: Callable[[int], None] = lambda _: None
    note: Callable[[str], None] = lambda _: None
    _sign: StoredObject | None = None
    _signed_at: float = 0.0
    _held: dict[str, int] = field(default_factory=dict)
    _lost: RemoteError | None = None
    _beating: asyncio.Lock = field(default_factory=asyncio.Lock)

    @contextlib.asynccontextmanager
    async def running(
        self, on_beat: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[None]:
        """Give signs of life inside the block, and everything back at its end."""
        await self.sign()
        await self._count()
        beats = [asyncio.create_task(self._beat())]
        if on_beat is not None:
            beats.append(asyncio.create_task(self._look_around(on_beat)))
        try:
            yield
        except (asyncio.CancelledError, KeyboardInterrupt):
            self.interrupt()
            raise
        finally:
            for beat in beats:
                beat.cancel()
            await asyncio.gather(*beats, return_exceptions=True)
            await self._end()

    async def take(self, names: Sequence[str], *, waits: bool) -> None:
        """Return once the run has all of them; raise HeldError where another has one.

        Names are taken in order, so that two runs that wait never wait for each other.
        """
        for name in sorted(set(names) - self._held.keys()):
            is_told = False
            while True:
                try:
                    await self._take(name)
                    break
                except HeldError as error:
                    if not waits:
                        raise
                    if not is_told:
                        self.note(f"waiting: {error.message}")
                        is_told = True
                    await self.clock.sleep(WAIT_SEC)
                except _ChangedHandsError:
                    await self.attempts.pause(1)

    async def assert_held(self) -> None:
        """Raise RemoteError when another run took over."""
        if self.clock.monotonic() - self._signed_at > SURE_SEC:
            await self.sign()
        if self._lost is not None:
            raise self._lost

    async def others(self) -> Sequence[str]:
        """Return `command/run id` of every other run that lives."""
        return [
            _name_of(sign)
            async for sign in self._listed(_LIVE)
            if _run_id_of(sign.name) != self.record.run_id and self._lives(sign)
        ]

    def say(self, progress: str) -> None:
        """Tell those who look how far this run is."""
        self.record = replace(self.record, progress=progress)

    def interrupt(self) -> None:
        """Let the run stand as interrupted once it has ended."""
        self.record = replace(self.record, state=RunState.INTERRUPTED)

    async def _beat(self) -> None:
        while True:
            await self.clock.sleep(HEARTBEAT_SEC)
            # A service that doesn't answer is the affair of the run itself; the next sign comes
            # in time, unless this one is waited for.
            with contextlib.suppress(RemoteError, TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SEC):
                    await self.sign()
                    await self._count()

    async def _look_around(self, on_beat: Callable[[], Awaitable[None]]) -> None:
        """Apart from the signs of life, since it may take longer."""
        while True:
            await self.clock.sleep(HEARTBEAT_SEC)
            with contextlib.suppress(RemoteError):
                await on_beat()

    async def sign(self) -> None:
        """Give a sign of life now; raise RemoteError when another run took over."""
        async with self._beating:
            if self._lost is not None:
                return
            name = f"{_LIVE}{self.record.command}/{self.record.run_id}.json"
            before = self._sign
            try:
                self._sign = await self._put(name, self.record, before.generation if before else 0)
            except RemoteError as error:
                if error.code != "FAILED_PRECONDITION":
                    raise
                await self._find_own_sign(name, error)
            self._signed_at = self.clock.monotonic()

    async def _find_own_sign(self, name: str, error: RemoteError) -> None:
        """An answer that was lost looks like a run that took over."""
        held = (await self.attempts.run(partial(self.store.stat, name))).value
        if held is not None and (await self._read(name)).state is not RunState.DIED:
            self._sign = held
            return
        self._lost = RemoteError(
            f"another run took over from this one, which gave no sign of life for "
            f"{TIMEOUT_SEC:.0f} s",
            "run the same command again",
            code="ABORTED",
        )
        raise self._lost from error

    async def _take(self, name: str) -> None:
        path = f"{_LEASES}{name}.json"
        mine = replace(self.record, leases=(name,))
        try:
            held = await self._put(path, mine, 0)
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise
            held = await self._take_over(name, path, mine)
        self._held[name] = held.generation
        try:
            await self._refuse_other_shards(name)
        except HeldError:
            await self._give_back(name)
            raise
        self.record = replace(self.record, leases=tuple(sorted(self._held)))

    async def _take_over(self, name: str, path: str, mine: RunRecord) -> StoredObject:
        held = (await self.attempts.run(partial(self.store.stat, path))).value
        if held is None:
            raise _ChangedHandsError(name)
        holder = await self._read(path)
        if holder.run_id != self.record.run_id:
            await self._bury(name, holder)
        try:
            return await self._put(path, mine, held.generation)
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise
            raise _ChangedHandsError(name) from error

    async def _refuse_other_shards(self, name: str) -> None:
        """A shard of four and a whole folder overlap, though their names differ."""
        prefix, _, count = name.rpartition("-of-")
        if not prefix:
            return
        listed = self._listed(f"{_LEASES}{prefix.rpartition('-')[0]}-")
        for other in [one async for one in listed]:
            other_name = _run_id_of(other.name)
            if other_name.rpartition("-of-")[2] == count:
                continue
            await self._bury(name, await self._read(other.name))
            await self._delete(other.name, other.generation)

    async def _bury(self, name: str, holder: RunRecord) -> None:
        """Return once the holder is surely dead and knows it; raise HeldError while it lives."""
        path = f"{_LIVE}{holder.command}/{holder.run_id}.json"
        sign = (await self.attempts.run(partial(self.store.stat, path))).value
        if sign is None:
            return
        told = await self._read(path)
        if told.state is not RunState.DIED and self._lives(sign):
            raise HeldError(name, holder, self._age_sec(sign))
        is_interrupted = told.state is RunState.INTERRUPTED
        state = RunState.INTERRUPTED if is_interrupted else RunState.DIED
        buried = replace(told, state=RunState.DIED, seen_at=sign.updated_at)
        try:
            last = await self._put(path, buried, sign.generation)
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise
            # It has woken up, or is being buried already.
            raise _ChangedHandsError(name) from error
        await self._keep(replace(buried, state=state))
        await self._delete(path, last.generation)
        self.note(
            f"taking over {name} from {holder.sentence}: it {state.value}, the last sign of life "
            f"came {self._age_sec(sign):.0f} s ago"
        )

    async def _end(self) -> None:
        """Give back what is held, and leave a word where the run was interrupted."""
        with contextlib.suppress(RemoteError):
            for name in list(self._held):
                await self._give_back(name)
            if self.record.state is RunState.INTERRUPTED and self._lost is None:
                await self._keep(replace(self.record, leases=()))
            if self._sign is not None:
                await self._delete(self._sign.name, self._sign.generation)

    async def _give_back(self, name: str) -> None:
        await self._delete(f"{_LEASES}{name}.json", self._held.pop(name))

    async def _keep(self, record: RunRecord) -> None:
        with contextlib.suppress(RemoteError):
            await self._put(f"{_ENDED}{record.run_id}.json", record, 0)
        oldest = self._now() - dt.timedelta(days=KEPT_DAYS)
        async for old in self._listed(_ENDED):
            if old.updated_at is not None and old.updated_at < oldest:
                await self._delete(old.name, old.generation)

    async def _count(self) -> None:
        others = [name for name in await self.others() if name.split("/")[0] in _PAYING]
        self.on_count(1 + len(others))

    def _lives(self, sign: StoredObject) -> bool:
        return self._age_sec(sign) < TIMEOUT_SEC and not self.is_surely_dead(_run_id_of(sign.name))

    def _age_sec(self, sign: StoredObject) -> float:
        written = sign.updated_at or self._now()
        return max(0.0, (self._now() - written).total_seconds())

    def _now(self) -> dt.datetime:
        """Return the bucket's time: that of our last sign of life, and what has passed since."""
        if self._sign is None or self._sign.updated_at is None:
            return self.clock.now()
        passed = self.clock.monotonic() - self._signed_at
        return self._sign.updated_at + dt.timedelta(seconds=passed)

    async def _read(self, name: str) -> RunRecord:
        return parse_record((await self.attempts.run(partial(self.store.read, name))).value)

    async def _put(self, name: str, record: RunRecord, generation: int) -> StoredObject:
        content = orjson.dumps(record)
        put = partial(
            self.store.put,
            name,
            content,
            content_type="application/json",
            content_sha256=sha256_hex(content),
            if_generation_match=generation,
        )
        return (await self.attempts.run(put)).value

    async def _delete(self, name: str, generation: int) -> None:
        await self.attempts.run(partial(self.store.delete, name, generation))

    def _listed(self, prefix: str) -> AsyncIterator[StoredObject]:
        return every_item(self.attempts, lambda token: self.store.list(prefix, page_token=token))


class RunsReader(Protocol):
    """What is needed to see who runs."""

    async def list(
        self, prefix: str, start: str = "", end: str = "", page_token: str = ""
    ) -> Page[StoredObject]:
        """Return a page of the live objects under the prefix."""

    async def read(self, name: str) -> bytes:
        """Return the live object's bytes."""


async def read_runs_in_bucket(
    store: RunsReader, now: dt.datetime, is_surely_dead: Callable[[str], bool] = lambda _: False
) -> tuple[RunRecord, ...]:
    """Return runs that run, and the newest that were interrupted or died, by id.

    Here nothing is written, so the age of a sign of life is taken by the machine's clock.
    """
    pages = partial(store.list, RUNS_PREFIX, "", "")
    listed = [one async for one in items_of(pages)]
    live = [one for one in listed if one.name.startswith(_LIVE)]
    ended = sorted(one.name for one in listed if one.name.startswith(_ENDED))[-_MOST_SHOWN:]
    shown = [one for one in listed if one.name in ended] + live
    records = [
        replace(record, state=RunState.DIED)
        if record and record.state is RunState.RUNNING and is_surely_dead(record.run_id)
        else record
        for record in await asyncio.gather(*(_record_of(store, one, now) for one in shown))
    ]
    # A run that lives is told by its sign of life.
    found = {record.run_id: record for record in records if record is not None}
    return tuple(found[run_id] for run_id in sorted(found))


async def _record_of(store: RunsReader, one: StoredObject, now: dt.datetime) -> RunRecord | None:
    """Return what a run says; None when it has ended since it was listed."""
    try:
        record = parse_record(await store.read(one.name))
    except RemoteError as error:
        if error.code != "NOT_FOUND":
            raise
        return None
    if not one.name.startswith(_LIVE):
        return record
    age = now - (one.updated_at or now)
    is_silent = record.state is RunState.RUNNING and age.total_seconds() > TIMEOUT_SEC
    state = RunState.DIED if is_silent else record.state
    return replace(record, seen_at=one.updated_at, state=state)


def parse_record(content: bytes) -> RunRecord:
    """Return what a run wrote of itself; raise RemoteError DATA_LOSS where it is unreadable."""
    try:
        told = orjson.loads(content)
        seen_at = told.get("seen_at")
        return RunRecord(
            told["run_id"],
            told["command"],
            told["host"],
            int(told["pid"]),
            dt.datetime.fromisoformat(told["since"]),
            RunState(told["state"]),
            tuple(told["leases"]),
            told["progress"],
            dt.datetime.fromisoformat(seen_at) if seen_at else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RemoteError(
            f"GCS: an object under {RUNS_PREFIX} isn't what a run writes",
            f"look at it with `ingest ls gcs {RUNS_PREFIX}`, and remove it",
            code="FAILED_PRECONDITION",
        ) from error


def _run_id_of(object_name: str) -> str:
    return object_name.rpartition("/")[2].removesuffix(".json")


def _name_of(sign: StoredObject) -> str:
    return sign.name.removeprefix(_LIVE).removesuffix(".json")
