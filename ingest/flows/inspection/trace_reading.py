"""Reads one conversation at every hop at once; one that doesn't answer hides no other."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from ingest.domain.annotators import AnnotatorProfile, profile_sha256_of_analysis
from ingest.domain.conversation import ConversationId, FileKind
from ingest.domain.fingerprint import json_sha256
from ingest.domain.matchers import is_ours
from ingest.domain.object_paths import CI_TRANSCRIPTS_PREFIX, checked_id, parse_batch_date
from ingest.errors import IngestError, InputError, RemoteError
from ingest.flows.inspection.trace import (
    CiHop,
    EventRow,
    FileRow,
    Hop,
    MartRows,
    RegistryVersion,
    SourceFault,
    SourceFile,
    StateRow,
    Trace,
)
from ingest.hops import Bucket, CiReader, ObjectGeneration
from ingest.ports import CiConversation, CiMatcher
from ingest.warehouse import ANY_PARTITION, Warehouse

REGISTRY = "conversation_registry"


class TraceReader:
    """Reads through whichever of its readers are given."""

    def __init__(
        self, warehouse: Warehouse, bucket: Bucket | None, ci: CiReader | None, source: Path
    ) -> None:
        self._warehouse = warehouse
        self._bucket = bucket
        self._ci = ci
        self._source = source
        self._problems: dict[str, str] = {}

    async def read(self, conversation_id: str, taken_at: dt.datetime) -> Trace:
        """Return the trace; raise InputError when no hop that answers knows the id."""
        checked = checked_id(conversation_id)
        files, states, events, ci, versions = await asyncio.gather(
            self._rows(_FILES, "conversation_files", checked),
            self._rows(_STATES, "ci_conversations", checked),
            self._rows(_EVENTS, "pipeline_events", checked),
            self._guarded(Hop.CI, self._read_ci, checked),
            self._guarded(Hop.REGISTRY, self._read_registry, checked),
        )
        source = self._read_source(checked)
        file_rows = tuple(FileRow(**row) for row in files or ())
        event_rows = tuple(EventRow(**row) for row in events or ())
        dates = {row.batch_date for row in file_rows}
        dates |= {row.batch_date for row in event_rows if row.batch_date}
        objects, marts = await asyncio.gather(
            self._guarded(Hop.GCS, self._read_objects, (checked, dates)),
            self._guarded(Hop.MARTS, self._read_marts, checked),
        )
        trace = Trace(
            conversation_id=checked,
            taken_at=taken_at,
            source=source,
            faults=_faults_of_new(source, file_rows),
            bucket=self._bucket.bucket if self._bucket else None,
            objects=tuple(objects or ()),
            ci=ci,
            files=file_rows,
            states=tuple(StateRow(**row) for row in states or ()),
            events=event_rows,
            versions=versions,
            marts=tuple(marts or ()),
            problems=dict(self._problems),
        )
        if not trace.is_known:
            raise self._unknown(checked)
        return trace

    def _unknown(self, conversation_id: str) -> IngestError:
        if self._problems:
            hop, message = next(iter(self._problems.items()))
            return RemoteError(
                f"nothing is known of {conversation_id}, and {hop} could not be read: {message}",
                "on a laptop: `ingest local status`",
                code="UNAVAILABLE",
            )
        return InputError(
            f"no trace of a conversation {conversation_id}",
            "list ids with `ingest ls raw`, or name the folder of its files with --source",
        )

    async def _guarded[Argument, Result](
        self, hop: Hop, read: Callable[[Argument], Awaitable[Result]], argument: Argument
    ) -> Result | None:
        try:
            return await read(argument)
        except IngestError as error:
            self._problems[hop.value] = error.message
            return None

    async def _rows(
        self, columns: str, table: str, conversation_id: str
    ) -> Sequence[Mapping[str, Any]] | None:
        sql = (
            f"select {columns} from {self._warehouse.raw(table)} "
            f"where {ANY_PARTITION} and conversation_id = @conversation_id "
            "order by _landed_at"
        )
        return await self._guarded(Hop.RAW, self._query(sql), conversation_id)

    def _query(self, sql: str) -> Callable[[str], Awaitable[Sequence[Mapping[str, Any]]]]:
        async def query(conversation_id: str) -> Sequence[Mapping[str, Any]]:
            parameters = {"conversation_id": conversation_id}
            return (await asyncio.to_thread(self._warehouse.query, sql, parameters)).rows

        return query

    async def _read_registry(self, conversation_id: str) -> tuple[RegistryVersion, ...] | None:
        names = await self._mart_names()
        if REGISTRY not in names:
            return None
        sql = (
            f"select {_VERSIONS} from {self._warehouse.mart(REGISTRY)} "
            "where conversation_id = @conversation_id order by version_number"
        )
        rows = await self._query(sql)(conversation_id)
        return tuple(RegistryVersion(**row) for row in rows)

    async def _mart_names(self) -> set[str]:
        dataset = self._warehouse.marts_dataset
        tables = await asyncio.to_thread(self._warehouse.tables, dataset)
        return {table.name for table in tables if table.type == "TABLE"}

    async def _read_marts(self, conversation_id: str) -> list[MartRows]:
        names = await self._mart_names()
        if not names:
            return []
        dataset = self._warehouse.mart("INFORMATION_SCHEMA.COLUMNS")
        sql = f"select table_name from {dataset} where column_name = 'conversation_id'"
        rows = await self._query(sql)(conversation_id)
        having_id = sorted({row["table_name"] for row in rows} & names)
        if not having_id:
            return []
        counts = " union all ".join(
            f"select '{name}' as mart, count(*) as row_count from {self._warehouse.mart(name)} "
            "where conversation_id = @conversation_id"
            for name in having_id
        )
        rows = await self._query(f"{counts} order by mart")(conversation_id)
        return [MartRows(row["mart"], row["row_count"]) for row in rows]

    async def _read_ci(self, conversation_id: str) -> CiHop | None:
        if self._ci is None:
            return None
        held = await self._ci.get_conversation(conversation_id)
        if held is None:
            return None
        analyses, running, matchers = await asyncio.gather(
            self._ci.list_analyses(conversation_id),
            self._ci.running_analysis(conversation_id),
            self._ci.list_matchers(),
        )
        payload = held.payload
        return CiHop(
            name=held.name,
            updated_at=held.updated_at,
            labels=held.labels,
            transcript_uri=held.transcript_uri,
            turn_count=int(payload.get("turnCount", 0)),
            analyses=tuple(analyses),
            latest_analysis_name=held.latest_analysis.name if held.latest_analysis else None,
            running_operation=running.name if running else None,
            is_stale=_is_stale(held, matchers),
            payload=payload,
        )

    async def _read_objects(
        self, place: tuple[ConversationId, set[dt.date]]
    ) -> list[ObjectGeneration]:
        if self._bucket is None:
            return []
        conversation_id, dates = place
        if not dates:
            folders = await self._bucket.folders("")
            dates = {date for name in folders if (date := parse_batch_date(name.rstrip("/")))}
        prefixes = [
            f"{before}{date.isoformat()}/{conversation_id}/"
            for date in sorted(dates)
            for before in ("", CI_TRANSCRIPTS_PREFIX)
        ]
        found = await asyncio.gather(*map(self._bucket.generations, prefixes))
        return [generation for listed in found for generation in listed]

    def _read_source(self, conversation_id: str) -> tuple[SourceFile, ...]:
        found = []
        for kind in FileKind:
            for path in sorted(self._source.glob(f"*/{conversation_id}/{kind.value}.json")):
                content = path.read_bytes()
                try:
                    content_sha256 = json_sha256(orjson.loads(content))
                except orjson.JSONDecodeError:
                    content_sha256 = None
                found.append(SourceFile(kind.value, path.as_posix(), len(content), content_sha256))
        return tuple(found)


def _faults_of_new(
    source: Sequence[SourceFile], landed: Sequence[FileRow]
) -> tuple[SourceFault, ...]:
    contents = {row.content_sha256 for row in landed}
    if all(file.content_sha256 in contents for file in source):
        return ()
    from ingest.flows.inspection.source_faults import source_faults

    folders = dict.fromkeys(Path(file.path).parent for file in source)
    return tuple(fault for folder in folders for fault in source_faults(folder))


def _is_stale(held: CiConversation, matchers: Sequence[CiMatcher]) -> bool | None:
    latest = held.latest_analysis
    if latest is None:
        return None
    ours = tuple(matcher.applied for matcher in matchers if is_ours(matcher.version_tag))
    profiles = [AnnotatorProfile(summarization, ours) for summarization in (False, True)]
    return all(
        profile_sha256_of_analysis(latest.selector, latest.requested_at, profile) != profile.sha256
        for profile in profiles
    )


_FILES = (
    "kind, batch_date, uri, generation, size_bytes, content_sha256, _run_id as run_id, "
    "_landed_at as landed_at"
)
_STATES = (
    "analysis_name, annotator_profile_sha256, metadata_sha256, transcript_sha256, payload_sha256, "
    "ci_updated_at, _run_id as run_id, _landed_at as landed_at"
)
_EVENTS = (
    "batch_date, step, outcome, reason, metadata_sha256, transcript_sha256, resource_name, "
    "error_code, error_message, attempt, started_at, ended_at, _run_id as run_id"
)
_VERSIONS = (
    "version_number, is_current, status, open_reason, metadata_sha256, transcript_sha256, "
    "ci_analysis_id, failure_count, valid_from, valid_to, landed_at"
)
