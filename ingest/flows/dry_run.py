"""The outside without effects: reads are real, writes are only counted and imagined.

A dry run is the real flow over these, so a plan is made by the code that acts.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ingest.domain.annotators import Selector
from ingest.domain.conversation import CI_TRANSCRIPTS_PREFIX, LANDING_PREFIX, RUNS_PREFIX
from ingest.domain.insights_format import CiSubmission
from ingest.domain.matchers import MatcherDefinition
from ingest.domain.raw_records import ANY_PARTITION
from ingest.domain.scorecards import LiveRevision
from ingest.domain.topics import LiveModel
from ingest.errors import RemoteError
from ingest.flows.lease import NoLease
from ingest.flows.services import Services
from ingest.ports.move import (
    CiAnalysis,
    CiAnalysisState,
    CiConversation,
    CiMatcher,
    CiOperation,
    Clock,
    InsightsApi,
    LoadResult,
    ObjectStore,
    Page,
    RawSink,
    StoredObject,
)

_NEWEST = 2**62
"""Generation of an imagined object: newer than any that the bucket holds."""


def without_effects(services: Services) -> tuple[Services, Counter[str]]:
    """Return the same outside without effects, and the counter of what it would have done."""
    effects: Counter[str] = Counter()
    dry = dataclasses.replace(
        services,
        store=DryStore(services.store, effects),
        insights=DryInsights(services.insights, services.clock, effects),
        sink=DrySink(services.sink, effects),
        lease=NoLease(),
    )
    return dry, effects


class DryStore:
    """Reads the bucket; counts what would be written or deleted."""

    def __init__(self, store: ObjectStore, effects: Counter[str]) -> None:
        self._store = store
        self._effects = effects

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._store.bucket

    async def put(
        self,
        name: str,
        content: bytes,
        *,
        content_type: str,
        content_sha256: str,
        if_generation_match: int,
    ) -> StoredObject:
        """Count an upload and imagine its object."""
        if name.startswith(CI_TRANSCRIPTS_PREFIX):
            if await self._store.stat(name) is None:
                self._effects["upload Insights transcripts"] += 1
        elif not name.startswith(LANDING_PREFIX):
            self._effects["upload files"] += 1
        return StoredObject(name, _NEWEST, "", len(content), content_sha256)

    async def stat(self, name: str) -> StoredObject | None:
        """Return the live object, or None."""
        return await self._store.stat(name)

    async def read(self, name: str) -> bytes:
        """Return the live object's bytes."""
        return await self._store.read(name)

    async def list(
        self, prefix: str, start: str = "", end: str = "", page_token: str = ""
    ) -> Page[StoredObject]:
        """Return a page of live objects; batches that an earlier run left are not taken up."""
        if prefix.startswith((LANDING_PREFIX, RUNS_PREFIX)):
            return Page([])
        return await self._store.list(prefix, start, end, page_token)

    async def delete(self, name: str, generation: int) -> None:
        """Do nothing: only landing batches are deleted one by one, and none was written."""

    async def folders(self, prefix: str, *, with_old: bool = False) -> Sequence[str]:
        """Return the names that follow the prefix up to a slash, slash included."""
        return await self._store.folders(prefix, with_old=with_old)

    async def count_generations(self, prefix: str) -> int:
        """Return how many generations, live and old, lie under the prefix."""
        return await self._store.count_generations(prefix)

    async def delete_all_generations(self, prefix: str) -> int:
        """Count the generations that would go."""
        count = await self._store.count_generations(prefix)
        self._effects["delete objects"] += count
        return count


class DryInsights:
    """Reads Insights; counts what would be changed and imagines the result."""

    def __init__(self, insights: InsightsApi, clock: Clock, effects: Counter[str]) -> None:
        self._insights = insights
        self._clock = clock
        self._effects = effects
        self._imagined: dict[str, CiConversation | None] = {}
        self._being_analysed: set[str] = set()

    async def create_conversation(self, submission: CiSubmission) -> CiConversation:
        """Count a create, or raise ALREADY_EXISTS as Insights would."""
        if await self.get_conversation(submission.conversation_id) is not None:
            raise RemoteError("Insights: ALREADY_EXISTS", code="ALREADY_EXISTS")
        self._effects["create Insights conversations"] += 1
        return self._imagine(submission, None)

    async def get_conversation(self, conversation_id: str) -> CiConversation | None:
        """Return the imagined conversation, None when its deletion is imagined, or the real one."""
        if conversation_id in self._imagined:
            return self._imagined[conversation_id]
        return await self._insights.get_conversation(conversation_id)

    async def update_conversation(self, submission: CiSubmission) -> CiConversation:
        """Count an update."""
        self._effects["update Insights conversations"] += 1
        held = await self.get_conversation(submission.conversation_id)
        return self._imagine(submission, held.latest_analysis if held else None)

    async def set_labels(self, conversation_id: str, labels: Mapping[str, str]) -> None:
        """Count an update."""
        self._effects["update Insights conversations"] += 1
        held = await self.get_conversation(conversation_id)
        if held is not None:
            self._imagined[conversation_id] = dataclasses.replace(held, labels=labels)

    async def list_analyses(self, conversation_id: str) -> Sequence[CiAnalysisState]:
        """Return every analysis of the real conversation, newest first."""
        return await self._insights.list_analyses(conversation_id)

    async def delete_conversation(self, conversation_id: str) -> None:
        """Count a deletion."""
        self._effects["delete Insights conversations"] += 1
        self._imagined[conversation_id] = None

    async def list_conversations(self, filter_: str, page_token: str = "") -> Page[CiConversation]:
        """Return a page of those that the filter admits."""
        return await self._insights.list_conversations(filter_, page_token)

    async def create_analysis(self, conversation_id: str, selector: Selector) -> CiOperation:
        """Count an analysis, unless a real one runs, and imagine it done."""
        if conversation_id not in self._being_analysed:
            self._effects["analyse"] += 1
        held = await self.get_conversation(conversation_id)
        if held is not None:
            analysis = CiAnalysis(f"{held.name}/analyses/0", self._clock.now(), selector)
            self._imagined[conversation_id] = dataclasses.replace(held, latest_analysis=analysis)
        return CiOperation("operations/0", is_done=True)

    async def running_analysis(self, conversation_id: str) -> CiOperation | None:
        """Return None: a dry run waits for nothing, but it knows what needn't be asked for."""
        if await self._insights.running_analysis(conversation_id) is not None:
            self._being_analysed.add(conversation_id)
        return None

    async def running_bulk_analysis(self) -> CiOperation | None:
        """Return None: a dry run waits for nothing."""
        return None

    async def bulk_analyze(self, filter_: str, selector: Selector) -> CiOperation:
        """Count a bulk operation."""
        self._effects["bulk analyse"] += 1
        return CiOperation("operations/0", is_done=True)

    async def get_operation(self, name: str) -> CiOperation:
        """Return the operation's state, without waiting for a real one to end."""
        return dataclasses.replace(await self._insights.get_operation(name), is_done=True)

    async def list_matchers(self) -> Sequence[CiMatcher]:
        """Return all phrase matchers of the location."""
        return await self._insights.list_matchers()

    async def list_scorecard_revisions(self) -> Sequence[LiveRevision]:
        """Return all revisions of all scorecards."""
        return await self._insights.list_scorecard_revisions()

    async def list_models(self) -> Sequence[LiveModel]:
        """Return all topic models."""
        return await self._insights.list_models()

    async def create_matcher(self, definition: MatcherDefinition, version_tag: str) -> CiMatcher:
        """Refuse: plans of matchers come from `ingest matchers plan`."""
        raise NotImplementedError

    async def update_matcher(
        self, name: str, definition: MatcherDefinition, version_tag: str
    ) -> CiMatcher:
        """Refuse: plans of matchers come from `ingest matchers plan`."""
        raise NotImplementedError

    async def delete_matcher(self, name: str) -> None:
        """Refuse: plans of matchers come from `ingest matchers plan`."""
        raise NotImplementedError

    def _imagine(self, submission: CiSubmission, analysis: CiAnalysis | None) -> CiConversation:
        imagined = CiConversation(
            name=f"conversations/{submission.conversation_id}",
            conversation_id=submission.conversation_id,
            transcript_uri=submission.transcript_object,
            medium=submission.medium,
            labels=submission.labels,
            updated_at=self._clock.now(),
            latest_analysis=analysis,
            read_payload=lambda: {"name": submission.conversation_id},
        )
        self._imagined[submission.conversation_id] = imagined
        return imagined


class DrySink:
    """Reads the raw tables; loads nothing."""

    def __init__(self, sink: RawSink, effects: Counter[str]) -> None:
        self._sink = sink
        self._effects = effects

    async def erase(self, table: str, conversation_id: str) -> int:
        """Count the rows that would go."""
        sql = (
            f"select count(*) as row_count from {self._sink.table(table)} "
            f"where {ANY_PARTITION} and conversation_id = @conversation_id"
        )
        rows = await self._sink.query(sql, {"conversation_id": conversation_id})
        self._effects["delete raw rows"] += rows[0]["row_count"]
        return int(rows[0]["row_count"])

    async def load(self, table: str, uri: str, job_id: str) -> LoadResult:
        """Do nothing; the rows are counted by the run itself."""
        return LoadResult(job_id, 0)

    async def query(
        self, sql: str, parameters: Mapping[str, Any], max_rows: int | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a parametrised SELECT."""
        return await self._sink.query(sql, parameters, max_rows)

    def mart(self, name: str) -> str:
        """Return the full, quoted name of one of dbt's marts for use in SQL."""
        return self._sink.mart(name)

    def table(self, name: str) -> str:
        """Return the full, quoted name of a raw table for use in SQL."""
        return self._sink.table(name)
