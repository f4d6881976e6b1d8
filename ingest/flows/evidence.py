"""What the systems say has been done for a chunk of conversations: objects, raw rows, tombstones.

One parametrised query a chunk and one listing a date, read as far as a chunk needs it, so a second
push of unchanged conversations makes no call to Insights. What is kept is of the chunk's own ids,
so it doesn't grow with what others have landed between them.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.domain.conversation import FileKind
from ingest.domain.deliveries import FileVersion
from ingest.domain.outcome import Outcome, Step
from ingest.domain.raw_records import (
    ANY_PARTITION,
    CI_CONVERSATIONS,
    CONVERSATION_FILES,
    KEPT_HERE_SQL,
    PIPELINE_EVENTS,
)
from ingest.flows.attempts import Attempts
from ingest.ports.move import Clock, ObjectStore, RawSink, StoredObject

IS_FORGOTTEN_SQL = (
    f"step = '{Step.FORGET}' and outcome in ('{Outcome.WAITING}', '{Outcome.SUCCEEDED}')"
)
FORGOTTEN_CODE = "FORGOTTEN"
FORGOTTEN_MESSAGE = "this conversation was erased by `ingest forget`; remove its folder"
FORGOTTEN_IN_CI = (
    "this conversation was erased, but Insights holds it again: run `ingest forget` once more"
)


async def forgotten_ids(sink: RawSink, attempts: Attempts) -> set[str]:
    """Return all of them."""
    sql = (
        f"select distinct conversation_id from {sink.table(PIPELINE_EVENTS)} "
        f"where {ANY_PARTITION} and {IS_FORGOTTEN_SQL}"
    )
    rows = (await attempts.run(lambda: sink.query(sql, {}))).value
    return {row["conversation_id"] for row in rows}


_IS_REFUSED_SQL = (
    f"max_by(concat(step, ' ', outcome), ended_at) = '{Step.VALIDATE} {Outcome.FAILED}'"
)
type Refusals = dict[tuple[dt.date, str], tuple[str | None, str | None]]
"""Error code and message of refused folders, by date and the id that they are counted under."""


class OpenRefusals:
    """The folders whose newest event is a refusal; a date is asked for once."""

    def __init__(self, sink: RawSink, attempts: Attempts) -> None:
        self._sink = sink
        self._attempts = attempts
        self._dates: set[dt.date] = set()
        self._found: Refusals = {}

    async def of(self, dates: Collection[dt.date]) -> Refusals:
        """Return those of all dates that were asked for. Raises RemoteError."""
        new = sorted(set(dates) - self._dates)
        if new:
            for row in (await self._attempts.run(lambda: self._rows(new))).value:
                place = row["batch_date"], row["conversation_id"]
                self._found[place] = row["error_code"], row["error_message"]
            self._dates.update(new)
        return self._found

    async def _rows(self, dates: Sequence[dt.date]) -> Sequence[Mapping[str, Any]]:
        sql = f"""
        select
            batch_date, conversation_id, max_by(error_code, ended_at) as error_code,
            max_by(error_message, ended_at) as error_message
        from {self._sink.table(PIPELINE_EVENTS)}
        where {ANY_PARTITION} and cast(batch_date as string) in unnest(@dates)
            and step != '{Step.FORGET}'
        group by batch_date, conversation_id
        having {_IS_REFUSED_SQL}
        """
        return await self._sink.query(sql, {"dates": [date.isoformat() for date in dates]})


async def forgotten_among(
    sink: RawSink, attempts: Attempts, ids: Collection[str], since: dt.datetime
) -> set[str]:
    """Return those of the ids whose forgetting landed since then."""
    if not ids:
        return set()
    sql = (
        f"select distinct conversation_id from {sink.table(PIPELINE_EVENTS)} "
        "where _landed_at >= @since and conversation_id between @first_id and @last_id "
        f"and conversation_id in unnest(@ids) and {IS_FORGOTTEN_SQL}"
    )
    ordered = sorted(ids)
    parameters = {"since": since, "ids": ordered, "first_id": ordered[0], "last_id": ordered[-1]}
    rows = (await attempts.run(lambda: sink.query(sql, parameters))).value
    return {row["conversation_id"] for row in rows}


MOST_AGE_SEC = 300.0
"""What others have written since is seen after that long at the latest. Until then a write of ours
finds it, by its precondition."""


class ReadAhead:
    """The live objects under one prefix after another, by name."""

    def __init__(self, store: ObjectStore, attempts: Attempts, clock: Clock) -> None:
        self._store = store
        self._attempts = attempts
        self._clock = clock
        self._prefix: str | None = None
        self._start = self._position = ""
        self._began = 0.0
        self._read: deque[StoredObject] = deque()
        self._next_token = ""

    async def between(self, prefix: str, first: str, end: str) -> list[StoredObject]:
        """Return the objects under the prefix with first <= name < end, by name.

        Names that an earlier question went past are listed anew. Raises RemoteError.
        """
        goes_on = self._goes_on(prefix, first)
        self._prefix = None  # what an error interrupts has nothing to go on with
        if not goes_on:
            self._start, self._began = first, self._clock.monotonic()
            self._read.clear()
            await self._read_page(prefix, "")
        found = []
        while self._read or self._next_token:
            if not self._read:
                await self._read_page(prefix, self._next_token)
                continue
            if self._read[0].name >= end:
                break
            stored = self._read.popleft()
            if stored.name >= first:
                found.append(stored)
        self._prefix, self._position = prefix, max(first, end)
        return found

    def _goes_on(self, prefix: str, first: str) -> bool:
        is_fresh = self._clock.monotonic() - self._began <= MOST_AGE_SEC
        return is_fresh and prefix == self._prefix and first >= self._position

    async def _read_page(self, prefix: str, token: str) -> None:
        page = await self._attempts.run(
            lambda: self._store.list(prefix, self._start, page_token=token)
        )
        self._read.extend(page.value.items)
        self._next_token = page.value.next_token


_LAST_CHARACTER = "\x7f"


@dataclass(frozen=True)
class LandedState:
    """The newest state of an Insights conversation that has been landed."""

    metadata_sha256: str | None
    transcript_sha256: str | None
    annotator_profile_sha256: str | None
    payload_sha256: str | None
    landed_at: dt.datetime


@dataclass
class Evidence:
    """Everything known about the conversations of one chunk.

    `files_by_id` gives the landed versions of each conversation, over all date folders, by URI and
    generation; `refused` holds the folders whose latest validation refused them; `kept_here` gives
    SHA-256 of metadata and transcript by id, where the latest event tells that this version's
    medium isn't sent to Insights.
    """

    objects_by_name: dict[str, StoredObject] = field(default_factory=dict)
    files_by_id: dict[str, dict[tuple[str, int], FileVersion]] = field(default_factory=dict)
    landed_state_by_id: dict[str, LandedState] = field(default_factory=dict)
    forgotten_ids: set[str] = field(default_factory=set)
    refused: set[tuple[dt.date, str]] = field(default_factory=set)
    kept_here: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)

    def add_landed_file(self, row: Mapping[str, Any]) -> None:
        """Take a row of conversation_files; what was landed twice belongs to the first run."""
        version = FileVersion(
            FileKind(row["kind"]),
            row["generation"],
            row["uri"],
            row["batch_date"],
            row["content_sha256"],
            row["run_id"],
            row["landed_at"],
        )
        files = self.files_by_id.setdefault(row["conversation_id"], {})
        held = files.get((version.uri, version.generation))
        if held is None or _landing(version) < _landing(held):
            files[(version.uri, version.generation)] = version


def _landing(version: FileVersion) -> tuple[dt.datetime, str]:
    return version.landed_at or dt.datetime.max.replace(tzinfo=dt.UTC), version.run_id


def evidence_sql(table: Callable[[str], str]) -> str:
    """Return the query; `table` gives a raw table's name as SQL.

    Its parameters are `ids`, and `first_id` and `last_id` of them.
    """
    # The range prunes clusters, which a membership in an array doesn't.
    in_range = (
        f"{ANY_PARTITION} and conversation_id between @first_id and @last_id "
        "and conversation_id in unnest(@ids)"
    )
    return f"""
        select
            'file' as fact, conversation_id, kind, uri, generation, batch_date,
            content_sha256,
            cast(null as string) as metadata_sha256,
            cast(null as string) as transcript_sha256,
            cast(null as string) as annotator_profile_sha256,
            cast(null as string) as payload_sha256,
            _run_id as run_id, _landed_at as landed_at
        from {table(CONVERSATION_FILES)}
        where {in_range}
        union all
        select 'state', conversation_id, cast(null as string), cast(null as string),
            cast(null as int64), cast(null as date), cast(null as string),
            metadata_sha256, transcript_sha256, annotator_profile_sha256, payload_sha256,
            cast(null as string), _landed_at
        from (
            select *, row_number() over (
                partition by conversation_id order by ci_updated_at desc, _landed_at desc
            ) as recency
            from {table(CI_CONVERSATIONS)}
            where {in_range}
        ) as states
        where recency = 1
        union all
        select distinct 'forgotten', conversation_id, cast(null as string),
            cast(null as string), cast(null as int64), cast(null as date),
            cast(null as string), cast(null as string), cast(null as string),
            cast(null as string), cast(null as string), cast(null as string),
            cast(null as timestamp)
        from {table(PIPELINE_EVENTS)}
        where {in_range} and {IS_FORGOTTEN_SQL}
        union all
        select 'refused', conversation_id, cast(null as string), cast(null as string),
            cast(null as int64), batch_date, cast(null as string), cast(null as string),
            cast(null as string), cast(null as string), cast(null as string),
            cast(null as string), max(_landed_at)
        from {table(PIPELINE_EVENTS)}
        where {in_range} and step != '{Step.FORGET}'
        group by conversation_id, batch_date
        having {_IS_REFUSED_SQL}
        union all
        select 'kept_here', conversation_id, cast(null as string), cast(null as string),
            cast(null as int64), cast(null as date), cast(null as string),
            metadata_sha256, transcript_sha256, cast(null as string), cast(null as string),
            cast(null as string), _landed_at
        from (
            select *, row_number() over (
                partition by conversation_id order by ended_at desc
            ) as recency
            from {table(PIPELINE_EVENTS)}
            where {in_range} and step != '{Step.FORGET}'
        ) as events
        where recency = 1 and {KEPT_HERE_SQL}
    """


class EvidenceReader:
    """Reads evidence from the bucket and the raw tables."""

    def __init__(self, store: ObjectStore, sink: RawSink, attempts: Attempts, clock: Clock) -> None:
        self._listing = ReadAhead(store, attempts, clock)
        self._sink = sink
        self._attempts = attempts

    async def read(self, conversations: Sequence[tuple[dt.date, str]]) -> Evidence:
        """Return the evidence of these conversations of date folders, in whatever order."""
        evidence = Evidence()
        ids_by_date: dict[dt.date, list[str]] = {}
        for date, conversation_id in conversations:
            ids_by_date.setdefault(date, []).append(conversation_id)
        for date, ids in ids_by_date.items():
            evidence.objects_by_name |= await self._objects(date, ids)
        all_ids = sorted({conversation_id for _, conversation_id in conversations})
        rows = (await self._attempts.run(lambda: self._rows(all_ids))).value
        for row in rows:
            if row["fact"] == "file":
                evidence.add_landed_file(row)
            elif row["fact"] == "state":
                evidence.landed_state_by_id[row["conversation_id"]] = LandedState(
                    row["metadata_sha256"],
                    row["transcript_sha256"],
                    row["annotator_profile_sha256"],
                    row["payload_sha256"],
                    row["landed_at"],
                )
            elif row["fact"] == "refused":
                evidence.refused.add((row["batch_date"], row["conversation_id"]))
            elif row["fact"] == "kept_here":
                hashes = row["metadata_sha256"], row["transcript_sha256"]
                evidence.kept_here[row["conversation_id"]] = hashes
            else:
                evidence.forgotten_ids.add(row["conversation_id"])
        return evidence

    async def landed_analyses(self, conversation_id: str) -> set[str]:
        """Return the names of the analyses of a conversation that raw rows hold."""
        sql = (
            f"select distinct analysis_name from {self._sink.table(CI_CONVERSATIONS)} "
            f"where {ANY_PARTITION} and conversation_id = @conversation_id "
            "and analysis_name is not null"
        )
        parameters = {"conversation_id": conversation_id}
        rows = (await self._attempts.run(lambda: self._sink.query(sql, parameters))).value
        return {row["analysis_name"] for row in rows}

    async def _objects(
        self, batch_date: dt.date, conversation_ids: Sequence[str]
    ) -> dict[str, StoredObject]:
        # Names sort with their slash: `ab-c/…` comes before `ab/…` though `ab` < `ab-c`.
        folders = [f"{batch_date}/{conversation_id}/" for conversation_id in conversation_ids]
        first, end = min(folders), max(folders) + _LAST_CHARACTER
        found = await self._listing.between(f"{batch_date}/", first, end)
        own = set(conversation_ids)
        return {stored.name: stored for stored in found if stored.name.split("/", 2)[1] in own}

    async def _rows(self, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        return await self._sink.query(
            evidence_sql(self._sink.table), {"ids": ids, "first_id": ids[0], "last_id": ids[-1]}
        )
