"""What the systems say has been done for a range of conversations: objects, raw rows, tombstones.

Two parametrised queries and one listing a chunk, so a second push of unchanged conversations
makes no call to CI at all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.domain.raw_records import CI_CONVERSATIONS, CONVERSATION_FILES, PIPELINE_EVENTS
from ingest.flows.attempts import Attempts
from ingest.ports import ObjectStore, RawSink, StoredObject

_LAST_CHARACTER = "\x7f"
_ANY_PARTITION = "_landed_at >= timestamp('2000-01-01')"


@dataclass(frozen=True)
class LandedState:
    """The newest state of a CI conversation that has been landed."""

    metadata_sha256: str | None
    transcript_sha256: str | None
    annotator_profile_sha256: str | None


@dataclass
class Evidence:
    """Everything known about the conversations of one chunk.

    `newest_file_by_id` gives (generation, uri) by (conversation_id, kind).
    """

    objects_by_name: dict[str, StoredObject] = field(default_factory=dict)
    landed_generations: set[tuple[str, int]] = field(default_factory=set)
    newest_file_by_id: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    landed_state_by_id: dict[str, LandedState] = field(default_factory=dict)
    forgotten_ids: set[str] = field(default_factory=set)

    def add_landed_file(self, row: Mapping[str, Any]) -> None:
        """Take a row of conversation_files."""
        self.landed_generations.add((row["uri"], row["generation"]))
        key = (row["conversation_id"], row["kind"])
        landed = (row["generation"], row["uri"])
        self.newest_file_by_id[key] = max(landed, self.newest_file_by_id.get(key, landed))


class EvidenceReader:
    """Reads evidence from the bucket and the raw tables."""

    def __init__(self, store: ObjectStore, sink: RawSink, attempts: Attempts) -> None:
        self._store = store
        self._sink = sink
        self._attempts = attempts

    async def read(self, batch_date: dt.date, first_id: str, last_id: str) -> Evidence:
        """Return the evidence of the conversations of one date with first_id <= id <= last_id."""
        evidence = Evidence()
        evidence.objects_by_name = (
            await self._attempts.run(lambda: self._objects(batch_date, first_id, last_id))
        ).value
        rows = (await self._attempts.run(lambda: self._rows(first_id, last_id))).value
        for row in rows:
            if row["fact"] == "file":
                evidence.add_landed_file(row)
            elif row["fact"] == "state":
                evidence.landed_state_by_id[row["conversation_id"]] = LandedState(
                    row["metadata_sha256"],
                    row["transcript_sha256"],
                    row["annotator_profile_sha256"],
                )
            else:
                evidence.forgotten_ids.add(row["conversation_id"])
        return evidence

    async def _objects(
        self, batch_date: dt.date, first_id: str, last_id: str
    ) -> dict[str, StoredObject]:
        prefix = f"{batch_date}/"
        found = self._store.list(prefix, prefix + first_id, f"{prefix}{last_id}/{_LAST_CHARACTER}")
        return {stored.name: stored async for stored in found}

    async def _rows(self, first_id: str, last_id: str) -> list[dict[str, Any]]:
        rows = await self._sink.query(self.sql(), {"first_id": first_id, "last_id": last_id})
        return [dict(row) for row in rows]

    def sql(self) -> str:
        """Return the query; its parameters are `first_id` and `last_id`."""
        in_range = f"{_ANY_PARTITION} and conversation_id between @first_id and @last_id"
        return f"""
            select
                'file' as fact, conversation_id, kind, uri, generation,
                cast(null as string) as metadata_sha256,
                cast(null as string) as transcript_sha256,
                cast(null as string) as annotator_profile_sha256
            from {self._sink.table(CONVERSATION_FILES)}
            where {in_range}
            union all
            select 'state', conversation_id, cast(null as string), cast(null as string),
                cast(null as int64),
                metadata_sha256, transcript_sha256, annotator_profile_sha256
            from (
                select *, row_number() over (
                    partition by conversation_id order by ci_updated_at desc, _landed_at desc
                ) as recency
                from {self._sink.table(CI_CONVERSATIONS)}
                where {in_range}
            ) as states
            where recency = 1
            union all
            select distinct 'forgotten', conversation_id, cast(null as string),
                cast(null as string), cast(null as int64), cast(null as string),
                cast(null as string), cast(null as string)
            from {self._sink.table(PIPELINE_EVENTS)}
            where {in_range} and step = 'forget' and outcome = 'succeeded'
        """
