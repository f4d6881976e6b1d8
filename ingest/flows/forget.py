"""Forget: erase one customer's conversation everywhere, and prove it.

Order: what an earlier run left for landing is landed first, so that nothing lands afterwards; then
the intent is landed, so that no command brings back what goes, even when this run is killed; then
Insights, the bucket with all generations, and raw rows go. The tombstone that stays (an event with
nothing but the id) removes the conversation from the marts at the next `dbt build`, and makes
every later push, pull and reanalyze refuse the id. Erasing again, after a kill or for good
measure, is safe.

A push that runs meanwhile may be in the middle of this conversation. Its rows never land: every
batch looks for tombstones before it is loaded (`ingest.flows.landing`). Objects and a conversation
in Insights it may still make. So the id is noted in the bucket with the runs that might; the push
looks for such notes at each sign of life and erases what it made, and every later command does it
again until none of those runs lives.

What this can't reach: files of another bucket, which are named; soft-deleted objects and BigQuery's
time travel, both for the days that Terraform sets.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import orjson

from ingest.domain.conversation import (
    LANDING_FAILED_PREFIX,
    LANDING_PREFIX,
    PULL_WATERMARK_OBJECT,
    RUNS_PREFIX,
    TOPICS_PREFIX,
    checked_id,
    parse_batch_date,
    sha256_hex,
)
from ingest.domain.outcome import Failure, Outcome, Step
from ingest.domain.raw_records import (
    ANY_PARTITION,
    CI_CONVERSATIONS,
    CONVERSATION_FILES,
    OPTIONAL_TABLES,
    ORIGIN_MARK,
    PIPELINE_EVENTS,
    StepEvent,
    event_row,
)
from ingest.domain.redaction.files import pseudonym
from ingest.errors import InputError, RemoteError
from ingest.flows.attempts import Attempts, every_item
from ingest.flows.evidence import IS_FORGOTTEN_SQL
from ingest.flows.landing import FailedBatches, Landing, Recovered
from ingest.flows.redaction import stored_key
from ingest.flows.services import Services
from ingest.flows.steps import log_change, log_step
from ingest.ports.move import StoredObject

_NO_SOURCES = (
    LANDING_PREFIX,
    LANDING_FAILED_PREFIX,
    RUNS_PREFIX,
    TOPICS_PREFIX,
    f"{PULL_WATERMARK_OBJECT.split('/')[0]}/",
)
_NOTES = f"{RUNS_PREFIX}forgotten/"
_MAX_DEPTH = 5
"""Folders above a date folder that are looked through."""
_TABLES = (CONVERSATION_FILES, CI_CONVERSATIONS, *OPTIONAL_TABLES, PIPELINE_EVENTS)


@dataclass(frozen=True)
class Traces:
    """What is left of a conversation, by place; every generation of an object counts."""

    objects: int
    ci_conversations: int
    raw_rows: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left."""
        return self == Traces(0, 0, 0)


class Fate(StrEnum):
    """What becomes of a place that held something of a conversation."""

    ERASED = "erased"
    WAITS = "waits"
    EXPIRES = "expires"
    KEPT = "kept"
    LEFT = "left"


@dataclass(frozen=True)
class Place:
    """One line of the receipt; `note` says until when, or why."""

    where: str
    fate: Fate
    note: str = ""


@dataclass(frozen=True)
class Forgotten:
    """What was there, and what is left."""

    conversation_id: str
    before: Traces
    after: Traces
    not_erased: tuple[str, ...] = ()
    """Where it was pushed from, in other buckets."""
    failures: tuple[Failure, ...] = ()
    """Batches of earlier runs that had to be set aside."""
    running: tuple[str, ...] = ()
    """Pushes, as `push/run id`, that may still bring something of it, which is erased then."""
    places: tuple[Place, ...] = ()
    """The receipt: every place, and what becomes of it there."""


def receipt(forgotten: Forgotten, *, is_local: bool, had_pages: bool) -> tuple[Place, ...]:
    """Return every place that may have held a word of the conversation, and until when it does."""
    after = forgotten.after
    counts = {
        "bucket": after.objects,
        "Insights": after.ci_conversations,
        "raw tables": after.raw_rows,
    }
    places = [
        Place(name, Fate.LEFT if count else Fate.ERASED, f"{count} left" if count else "")
        for name, count in counts.items()
    ]
    places.append(Place("marts", Fate.WAITS, "until the next `dbt build`"))
    if had_pages:
        places.append(Place("pages of the site", Fate.ERASED, "`ingest site` makes them anew"))
    places += [Place(uri, Fate.LEFT, "another bucket") for uri in forgotten.not_erased]
    places += [Place(*line) for line in (_ON_THIS_MACHINE if is_local else _ON_GOOGLE_CLOUD)]
    return (*places, *(Place(*line) for line in _KEPT))


_ON_THIS_MACHINE = (
    (
        "files of the local stack",
        Fate.WAITS,
        "until `ingest local vacuum` after that build: old snapshots, unused pages, write logs",
    ),
)
_ON_GOOGLE_CLOUD = (
    (
        "soft-deleted objects",
        Fate.EXPIRES,
        "after the bucket's soft delete (Terraform: retention.soft_delete_days, 7)",
    ),
    (
        "time travel of raw tables and marts",
        Fate.EXPIRES,
        "after retention.time_travel_days (7) and BigQuery's 7 days of fail-safe; of the marts "
        "counted from the build",
    ),
    ("Google's own backups", Fate.EXPIRES, "by Google's terms of data deletion"),
)
_KEPT = (
    ("tombstone", Fate.KEPT, "the id alone, so that nothing brings it back"),
    ("cost of its analyses", Fate.KEPT, "units and day, without id and words"),
    ("pages and reports that went elsewhere", Fate.LEFT, "other folders: delete them by hand"),
)


class Forget:
    """Erases one conversation at a time."""

    def __init__(
        self, services: Services, attempts: Attempts, landing: Landing, run_id: str
    ) -> None:
        self._services = services
        self._attempts = attempts
        self._landing = landing
        self._failed_batches = FailedBatches(services.store, attempts)
        self._run_id = run_id

    async def run(self, conversation_id: str) -> Forgotten:
        """Erase the conversation, count what is left, and leave the tombstone when that is none.

        Raises InputError for an id of which nothing is found and that was never forgotten.
        """
        started_at = self._services.clock.now()
        recovered = await self._landing.recover()
        prefixes = await self.prefixes(conversation_id)
        before = await self.traces(conversation_id, prefixes)
        told = await self._told(conversation_id)
        if before.is_clean and not told:
            raise InputError(
                f"nothing of {conversation_id} was found: in the bucket, in Insights or in the raw "
                "tables",
                "check the id; `ingest ls raw` lists those that are landed",
            )
        if before.is_clean and Outcome.SUCCEEDED in told:
            return Forgotten(conversation_id, before, before, (), recovered.failures)
        not_erased = await self._not_erased(conversation_id)
        if not told:
            await self._land(conversation_id, Outcome.WAITING, started_at)
        running = await self._note_running(conversation_id)
        # What a run had written before the intent landed, and so without a look at it.
        later = await self._landing.recover()
        prefixes = await self.prefixes(conversation_id)
        await self.erase(conversation_id, prefixes)
        after = await self.traces(conversation_id, prefixes)
        if after.is_clean:
            await self._land(conversation_id, Outcome.SUCCEEDED, started_at)
        failures = recovered.failures + later.failures
        return Forgotten(conversation_id, before, after, not_erased, failures, running)

    async def conversations_of(self, customer: str, fields: Sequence[str]) -> tuple[str, ...]:
        """Return the conversations of which any version has one of the custom fields with this
        value, or with the pseudonym that a redacted one has in its place.

        Raises InputError where there are none.
        """
        key = await stored_key(self._services.store, self._attempts)
        values = [customer, *([pseudonym(key, customer)] if key else [])]
        tests = (f"json_value(payload, '$.custom.{name}') in unnest(@values)" for name in fields)
        sql = (
            "select distinct conversation_id "
            f"from {self._services.sink.table(CONVERSATION_FILES)} "
            f"where {ANY_PARTITION} and kind = 'metadata' and ({' or '.join(tests)})"
        )
        ask = partial(self._services.sink.query, sql, {"values": values})
        found = sorted(row["conversation_id"] for row in (await self._attempts.run(ask)).value)
        if not found:
            raise InputError(
                f"no conversation has this value in {' or '.join(fields)}",
                "give the value as the custom field has it; what is already forgotten isn't found",
            )
        return tuple(found)

    async def erase(self, conversation_id: str, prefixes: list[str] | None = None) -> None:
        """Erase what there is of it now."""
        await self._attempts.run(
            lambda: self._services.insights.delete_conversation(conversation_id)
        )
        log_change("delete conversation", self._run_id, conversation_id=conversation_id)
        for prefix in await self.prefixes(conversation_id) if prefixes is None else prefixes:
            remove = partial(self._services.store.delete_all_generations, prefix)
            count = (await self._attempts.run(remove)).value
            self._log("delete objects", conversation_id, prefix, count)
        for table in _TABLES:
            await self._erase_rows(table, conversation_id)
        await self._failed_batches.erase(conversation_id)

    async def noted_ids(self) -> set[str]:
        """Return the forgotten conversations of which a run may still bring something."""
        return {_noted_id(note) async for note in self._notes()}

    async def erase_what_came_later(self) -> None:
        """Erase noted conversations again, and forget the note where nobody is left to bring any.

        Call it after what earlier runs left was landed, and once this run itself is through.
        """
        notes = [note async for note in self._notes()]
        if not notes:
            return
        living = set(await self._services.lease.others())
        for note in notes:
            await self.erase(_noted_id(note))
            try:
                content = (
                    await self._attempts.run(partial(self._services.store.read, note.name))
                ).value
            except RemoteError as error:
                if error.code != "NOT_FOUND":
                    raise
                continue
            if not living & set(orjson.loads(content)["runs"]):
                remove = partial(self._services.store.delete, note.name, note.generation)
                await self._attempts.run(remove)

    def _notes(self) -> AsyncIterator[StoredObject]:
        return every_item(
            self._attempts, lambda token: self._services.store.list(_NOTES, page_token=token)
        )

    async def _note_running(self, conversation_id: str) -> tuple[str, ...]:
        """Return the pushes that began before the intent landed, after a note of them.

        One that begins later sees the intent before it does anything.
        """
        others = await self._services.lease.others()
        running = tuple(sorted(name for name in others if name.startswith("push/")))
        if not running:
            return ()
        content = orjson.dumps({"runs": running})
        name = f"{_NOTES}{conversation_id}.json"

        async def put() -> None:
            held = await self._services.store.stat(name)
            await self._services.store.put(
                name,
                content,
                content_type="application/json",
                content_sha256=sha256_hex(content),
                if_generation_match=held.generation if held else 0,
            )

        await self._attempts.run(put)
        return running

    async def traces(self, conversation_id: str, prefixes: list[str]) -> Traces:
        """Return what is there now; intents and tombstones don't count."""
        objects = 0
        for prefix in prefixes:
            count = partial(self._services.store.count_generations, prefix)
            objects += (await self._attempts.run(count)).value
        held = await self._attempts.run(
            lambda: self._services.insights.get_conversation(conversation_id)
        )
        rows = await self._failed_batches.row_count(conversation_id)
        for table in _TABLES:
            rows += await self._row_count(table, conversation_id)
        return Traces(objects, 0 if held.value is None else 1, rows)

    async def prefixes(self, conversation_id: str, base: str = "") -> list[str]:
        """Return every folder of the bucket that may hold objects of the conversation, or old
        generations of them: whatever lies above its date folder, such as where it came from."""
        list_ = partial(self._services.store.folders, base, with_old=True)
        prefixes: list[str] = []
        for folder in (await self._attempts.run(list_)).value:
            inner = f"{base}{folder}"
            if parse_batch_date(folder.rstrip("/")) is not None:
                prefixes.append(f"{inner}{conversation_id}/")
            elif inner not in _NO_SOURCES and inner.count("/") < _MAX_DEPTH:
                prefixes += await self.prefixes(conversation_id, inner)
        return prefixes

    async def _told(self, conversation_id: str) -> set[Outcome]:
        """Return the outcomes of the forgets that were landed: an intent, a tombstone."""
        rows = await self._query(
            f"""
            select distinct outcome
            from {self._services.sink.table(PIPELINE_EVENTS)}
            where {ANY_PARTITION} and conversation_id = @conversation_id
                and {IS_FORGOTTEN_SQL}
            """,
            conversation_id,
        )
        return {Outcome(row["outcome"]) for row in rows}

    async def _not_erased(self, conversation_id: str) -> tuple[str, ...]:
        rows = await self._query(
            f"""
            select distinct reason
            from {self._services.sink.table(PIPELINE_EVENTS)}
            where {ANY_PARTITION} and conversation_id = @conversation_id
                and step = 'upload' and starts_with(reason, '{ORIGIN_MARK}gs://')
            """,
            conversation_id,
        )
        own = f"gs://{self._services.store.bucket}/"
        found = (row["reason"].removeprefix(ORIGIN_MARK) for row in rows)
        return tuple(sorted(uri for uri in found if not uri.startswith(own)))

    async def _query(self, sql: str, conversation_id: str) -> Sequence[Mapping[str, Any]]:
        parameters = {"conversation_id": str(conversation_id)}
        return (await self._attempts.run(lambda: self._services.sink.query(sql, parameters))).value

    async def _erase_rows(self, table: str, conversation_id: str) -> None:
        try:
            erase = partial(self._services.sink.erase, table, conversation_id)
            count = (await self._attempts.run(erase)).value
        except RemoteError as error:
            if not _is_table_that_may_be_missing(table, error):
                raise
        else:
            self._log("delete rows", conversation_id, table, count)

    def _log(self, action: str, conversation_id: str, resource: str, count: int) -> None:
        log_change(
            action, self._run_id, conversation_id=conversation_id, resource=resource, count=count
        )

    async def _row_count(self, table: str, conversation_id: str) -> int:
        tombstone = " and step != 'forget'" if table == PIPELINE_EVENTS else ""
        sql = (
            f"select count(*) as row_count from {self._services.sink.table(table)} "
            f"where {ANY_PARTITION} and conversation_id = @conversation_id"
            f"{tombstone}"
        )
        try:
            rows = await self._query(sql, conversation_id)
        except RemoteError as error:
            if not _is_table_that_may_be_missing(table, error):
                raise
            return 0
        return int(rows[0]["row_count"])

    async def _land(self, conversation_id: str, outcome: Outcome, started_at: dt.datetime) -> None:
        lost: list[RemoteError] = []
        event = StepEvent(
            conversation_id=conversation_id,
            batch_date=None,
            step=Step.FORGET,
            outcome=outcome,
            started_at=started_at,
            ended_at=self._services.clock.now(),
        )
        log_step(event, self._run_id)
        self._landing.add([event_row(event, self._run_id)], lambda: None, lost.append)
        await self._landing.flush()
        if lost:
            raise lost[0]


async def take_up(services: Services, attempts: Attempts, landing: Landing) -> Recovered:
    """Land what earlier runs left, and erase what came of conversations that were forgotten."""
    recovered = await landing.recover()
    await Forget(services, attempts, landing, landing.run_id).erase_what_came_later()
    return recovered


def _noted_id(note: StoredObject) -> str:
    return checked_id(note.name.removeprefix(_NOTES).removesuffix(".json"))


def _is_table_that_may_be_missing(table: str, error: RemoteError) -> bool:
    return table in OPTIONAL_TABLES and error.code == "NOT_FOUND"
