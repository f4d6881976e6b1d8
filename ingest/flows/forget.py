"""Forget: erase one customer's conversation everywhere, and prove it.

Order: what an earlier run left for landing is landed first, so that nothing lands afterwards; then
CI, the bucket with all generations, and the raw rows go. The tombstone that stays (an event with
nothing but the id) removes the conversation from the marts at the next `dbt build`, and makes
every later push refuse the id. Erasing again, after a kill or for good measure, is safe.

What this can't reach, and the bucket's and dataset's settings decide: soft-deleted objects and
BigQuery's time travel, both for the days that Terraform sets.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial

from ingest.domain.conversation import ConversationId
from ingest.domain.object_paths import CI_TRANSCRIPTS_PREFIX, parse_batch_date
from ingest.domain.outcome import Failure, Outcome, Step
from ingest.domain.raw_records import (
    CI_CONVERSATIONS,
    CONVERSATION_FILES,
    CONVERSATION_TRUTHS,
    PIPELINE_EVENTS,
    StepEvent,
    event_row,
)
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.effects import log_step
from ingest.flows.landing import Landing
from ingest.flows.outside import Outside

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
    failures: tuple[Failure, ...] = ()
    """Batches of earlier runs that had to be set aside."""


class Forget:
    """Erases one conversation at a time."""

    def __init__(self, outside: Outside, attempts: Attempts, landing: Landing, run_id: str) -> None:
        self._outside = outside
        self._attempts = attempts
        self._landing = landing
        self._run_id = run_id

    async def run(self, conversation_id: ConversationId) -> Forgotten:
        """Erase the conversation, count what is left, and leave the tombstone when that is none."""
        started_at = self._outside.clock.now()
        recovered = await self._landing.recover()
        prefixes = await self.prefixes(conversation_id)
        before = await self.traces(conversation_id, prefixes)
        await self._attempts.run(
            lambda: self._outside.insights.delete_conversation(conversation_id)
        )
        for prefix in prefixes:
            await self._attempts.run(partial(self._outside.store.delete_all_generations, prefix))
        for table in _TABLES:
            await self._erase_rows(table, conversation_id)
        after = await self.traces(conversation_id, prefixes)
        if after.is_clean:
            await self._leave_tombstone(conversation_id, started_at)
        return Forgotten(conversation_id, before, after, recovered.failures)

    async def traces(self, conversation_id: ConversationId, prefixes: list[str]) -> Traces:
        """Return what is there now; tombstones don't count."""
        objects = 0
        for prefix in prefixes:
            count = partial(self._outside.store.count_generations, prefix)
            objects += (await self._attempts.run(count)).value
        held = await self._attempts.run(
            lambda: self._outside.insights.get_conversation(conversation_id)
        )
        rows = 0
        for table in _TABLES:
            rows += await self._row_count(table, conversation_id)
        return Traces(objects, 0 if held.value is None else 1, rows)

    async def prefixes(self, conversation_id: ConversationId) -> list[str]:
        """Return every folder of the bucket that may hold objects of the conversation, or old
        generations of them."""
        prefixes = []
        for base in ("", CI_TRANSCRIPTS_PREFIX):
            list_ = partial(self._outside.store.folders, base, with_old=True)
            folders = (await self._attempts.run(list_)).value
            prefixes += [
                f"{base}{folder}{conversation_id}/"
                for folder in folders
                if parse_batch_date(folder.rstrip("/")) is not None
            ]
        return prefixes

    async def _erase_rows(self, table: str, conversation_id: ConversationId) -> None:
        try:
            await self._attempts.run(partial(self._outside.sink.erase, table, conversation_id))
        except RemoteError as error:
            if not _is_table_that_may_be_missing(table, error):
                raise

    async def _row_count(self, table: str, conversation_id: ConversationId) -> int:
        tombstone = " and step != 'forget'" if table == PIPELINE_EVENTS else ""
        sql = (
            f"select count(*) as row_count from {self._outside.sink.table(table)} "
            "where _landed_at >= timestamp('2000-01-01') and conversation_id = @conversation_id"
            f"{tombstone}"
        )
        parameters = {"conversation_id": str(conversation_id)}
        try:
            query = partial(self._outside.sink.query, sql, parameters)
            rows = (await self._attempts.run(query)).value
        except RemoteError as error:
            if not _is_table_that_may_be_missing(table, error):
                raise
            return 0
        return int(rows[0]["row_count"])

    async def _leave_tombstone(
        self, conversation_id: ConversationId, started_at: dt.datetime
    ) -> None:
        lost: list[RemoteError] = []
        event = StepEvent(
            conversation_id=conversation_id,
            batch_date=None,
            step=Step.FORGET,
            outcome=Outcome.SUCCEEDED,
            started_at=started_at,
            ended_at=self._outside.clock.now(),
        )
        log_step(event, self._run_id)
        self._landing.add([event_row(event, self._run_id)], lambda: None, lost.append)
        await self._landing.flush()
        if lost:
            raise lost[0]


def _is_table_that_may_be_missing(table: str, error: RemoteError) -> bool:
    """A project that lands no truths of dev data needs no table for them."""
    return table == CONVERSATION_TRUTHS and error.code == "NOT_FOUND"
