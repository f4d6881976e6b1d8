"""Forget: erase one customer's conversation everywhere, and prove it.

Order: what an earlier run left for landing is landed first, so that nothing lands afterwards; then
the intent is landed, so that no command brings back what goes, even when this run is killed; then
CI, the bucket with all generations, and the raw rows go. The tombstone that stays (an event with
nothing but the id) removes the conversation from the marts at the next `dbt build`, and makes
every later push, pull and reanalyze refuse the id. Erasing again, after a kill or for good
measure, is safe.

What this can't reach: files of another bucket, which are named; soft-deleted objects and BigQuery's
time travel, both for the days that Terraform sets.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ingest.domain.conversation import (
    LANDING_FAILED_PREFIX,
    LANDING_PREFIX,
    PULL_WATERMARK_OBJECT,
    parse_batch_date,
)
from ingest.domain.outcome import Failure, Outcome, Step
from ingest.domain.raw_records import (
    ANY_PARTITION,
    CI_CONVERSATIONS,
    CONVERSATION_FILES,
    CONVERSATION_TRUTHS,
    ORIGIN_MARK,
    PIPELINE_EVENTS,
    StepEvent,
    event_row,
)
from ingest.errors import InputError, RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.evidence import IS_FORGOTTEN_SQL
from ingest.flows.landing import FailedBatches, Landing
from ingest.flows.services import Services
from ingest.flows.steps import log_change, log_step

_NO_SOURCES = (LANDING_PREFIX, LANDING_FAILED_PREFIX, f"{PULL_WATERMARK_OBJECT.split('/')[0]}/")
_MAX_DEPTH = 5
"""Folders above a date folder that are looked through."""
_TABLES = (CONVERSATION_FILES, CI_CONVERSATIONS, CONVERSATION_TRUTHS, PIPELINE_EVENTS)


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
                f"nothing of {conversation_id} was found: in the bucket, in CI or in the raw "
                "tables",
                "check the id; `ingest ls raw` lists those that are landed",
            )
        if before.is_clean and Outcome.SUCCEEDED in told:
            return Forgotten(conversation_id, before, before, (), recovered.failures)
        not_erased = await self._not_erased(conversation_id)
        if not told:
            await self._land(conversation_id, Outcome.WAITING, started_at)
        await self._attempts.run(
            lambda: self._services.insights.delete_conversation(conversation_id)
        )
        log_change("delete conversation", self._run_id, conversation_id=conversation_id)
        for prefix in prefixes:
            remove = partial(self._services.store.delete_all_generations, prefix)
            count = (await self._attempts.run(remove)).value
            self._log("delete objects", conversation_id, prefix, count)
        for table in _TABLES:
            await self._erase_rows(table, conversation_id)
        await self._failed_batches.erase(conversation_id)
        after = await self.traces(conversation_id, prefixes)
        if after.is_clean:
            await self._land(conversation_id, Outcome.SUCCEEDED, started_at)
        return Forgotten(conversation_id, before, after, not_erased, recovered.failures)

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


def _is_table_that_may_be_missing(table: str, error: RemoteError) -> bool:
    """A project that lands no truths of dev data needs no table for them."""
    return table == CONVERSATION_TRUTHS and error.code == "NOT_FOUND"
