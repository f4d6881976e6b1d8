"""Reads one conversation at every hop at once; one that doesn't answer hides no other."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from ingest.domain.annotators import AnnotatorProfile, profile_sha256_of_analysis
from ingest.domain.as_code import is_ours
from ingest.domain.conversation import (
    CI_TRANSCRIPTS_PREFIX,
    FileKind,
    Metadata,
    Transcription,
    checked_id,
    json_sha256,
    parse_batch_date,
)
from ingest.domain.faults import Fault, Severity
from ingest.domain.json_decoding import decode_json
from ingest.domain.outcome import Step
from ingest.domain.raw_records import ANY_PARTITION, NOT_FOR_INSIGHTS
from ingest.domain.scorecards import deployed_of_ours
from ingest.domain.topics import deployed_models
from ingest.domain.validation import check_conversation, parse_file
from ingest.errors import IngestError, InputError, RemoteError
from ingest.ports.inspect import (
    Bucket,
    CiAnalysisState,
    CiReader,
    ObjectGeneration,
    Warehouse,
)
from ingest.ports.move import CiConversation, CiMatcher


class Hop(StrEnum):
    """Places that a conversation passes, in order."""

    SOURCE = "source"
    GCS = "gcs"
    INSIGHTS = "ci"
    RAW = "raw"
    REGISTRY = "registry"
    MARTS = "marts"


@dataclass(frozen=True)
class SourceFile:
    """A file on this machine; without a hash it isn't JSON, or it is redacted when it is pushed,
    so that it can't be compared with what is landed."""

    kind: str
    path: str
    size_bytes: int
    content_sha256: str | None


@dataclass(frozen=True)
class SourceFault:
    """Something in a file on this machine that a push refuses; no word of the talk."""

    path: str
    text: str


@dataclass(frozen=True)
class CiHop:
    """What Insights holds; `payload` is the FULL conversation as REST JSON."""

    name: str
    updated_at: dt.datetime
    labels: Mapping[str, str]
    transcript_uri: str
    turn_count: int
    analyses: tuple[CiAnalysisState, ...]
    latest_analysis_name: str | None
    running_operation: str | None
    is_stale: bool | None
    """Whether the latest analysis used other annotators or matcher revisions than now in force."""
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class FileRow:
    """A row of conversation_files, without its payload."""

    kind: str
    batch_date: dt.date
    uri: str
    generation: int
    size_bytes: int
    content_sha256: str
    run_id: str
    landed_at: dt.datetime


@dataclass(frozen=True)
class StateRow:
    """A row of ci_conversations, without its payload."""

    analysis_name: str | None
    annotator_profile_sha256: str | None
    metadata_sha256: str | None
    transcript_sha256: str | None
    payload_sha256: str
    ci_updated_at: dt.datetime
    run_id: str
    landed_at: dt.datetime


@dataclass(frozen=True)
class EventRow:
    """A row of pipeline_events."""

    batch_date: dt.date | None
    step: str
    outcome: str
    reason: str | None
    metadata_sha256: str | None
    transcript_sha256: str | None
    resource_name: str | None
    error_code: str | None
    error_message: str | None
    attempt: int
    started_at: dt.datetime
    ended_at: dt.datetime
    run_id: str


@dataclass(frozen=True)
class RegistryVersion:
    """A row of conversation_registry: one version by content."""

    version_number: int
    is_current: bool
    status: str
    open_reason: str | None
    metadata_sha256: str | None
    transcript_sha256: str | None
    ci_analysis_id: str | None
    failure_count: int
    valid_from: dt.datetime | None
    valid_to: dt.datetime | None
    landed_at: dt.datetime


@dataclass(frozen=True)
class MartRows:
    """How many rows of a mart belong to the conversation."""

    table: str
    row_count: int


@dataclass(frozen=True)
class Trace:
    """All of it; `problems` says which hop could not be read, and why."""

    conversation_id: str
    taken_at: dt.datetime
    source: tuple[SourceFile, ...] = ()
    faults: tuple[SourceFault, ...] = ()
    """Of files on this machine that have not landed as they are."""
    bucket: str | None = None
    objects: tuple[ObjectGeneration, ...] = ()
    ci: CiHop | None = None
    files: tuple[FileRow, ...] = ()
    states: tuple[StateRow, ...] = ()
    events: tuple[EventRow, ...] = ()
    versions: tuple[RegistryVersion, ...] | None = None
    """None before the registry was first built."""
    marts: tuple[MartRows, ...] | None = ()
    """None where they weren't counted."""
    problems: Mapping[str, str] = field(default_factory=dict)
    pushed_by: tuple[str, ...] = ()
    """What `push` is given where a mapping made the files; empty where their folder is pushed."""

    def converted(self, folder: Path, pushed_by: tuple[str, ...]) -> Trace:
        """Return it with files that a mapping made in `folder` named by date and id alone."""
        root = f"{folder.as_posix()}/"
        source = (replace(file, path=file.path.removeprefix(root)) for file in self.source)
        faults = (replace(fault, path=fault.path.removeprefix(root)) for fault in self.faults)
        return replace(self, source=tuple(source), faults=tuple(faults), pushed_by=pushed_by)

    @property
    def is_known(self) -> bool:
        """Whether any hop holds anything."""
        return bool(self.source or self.is_known_remotely)

    @property
    def is_known_remotely(self) -> bool:
        """Whether any hop but this machine's files holds anything."""
        return bool(
            self.objects or self.ci or self.files or self.states or self.events or self.versions
        )

    @property
    def batch_dates(self) -> tuple[dt.date, ...]:
        """Every date that the conversation was pushed under, by date."""
        dates = {row.batch_date for row in self.files}
        dates |= {row.batch_date for row in self.events if row.batch_date}
        return tuple(sorted(dates))

    def newest_file(self, kind: str) -> FileRow | None:
        """Return the landed file of the newest generation."""
        own = [row for row in self.files if row.kind == kind]
        return max(own, key=lambda row: row.generation, default=None)

    def landed_analysis(self) -> StateRow | None:
        """Return the newest landed state with an analysis of the newest landed files."""
        metadata, transcript = self.newest_file("metadata"), self.newest_file("transcription")
        own = [
            row
            for row in self.states
            if row.analysis_name
            and metadata
            and transcript
            and row.metadata_sha256 == metadata.content_sha256
            and row.transcript_sha256 == transcript.content_sha256
        ]
        return max(own, key=lambda row: row.ci_updated_at, default=None)

    def kept_here(self) -> EventRow | None:
        """Return the event that tells that the newest files' medium isn't sent to Insights."""
        submits = [event for event in self.events if event.step == Step.SUBMIT]
        last = max(submits, key=lambda event: event.ended_at, default=None)
        if last is None or last.reason != NOT_FOR_INSIGHTS:
            return None
        newest = [row and row.content_sha256 for row in map(self.newest_file, FileKind)]
        return last if newest == [last.metadata_sha256, last.transcript_sha256] else None


def is_erasure(event: EventRow) -> bool:
    """Tell whether the event is the tombstone of the conversation."""
    return (event.step, event.outcome) == (Step.FORGET, "succeeded")


async def _none() -> None:
    return None


def source_faults(folder: Path) -> tuple[SourceFault, ...]:
    """Return what a push refuses in `<date>/<conversation_id>`; nothing of another folder."""
    batch_date = parse_batch_date(folder.parent.name)
    if batch_date is None:
        return ()
    found: list[Fault] = []
    metadata: Metadata | None = None
    transcription: Transcription | None = None
    for kind in FileKind:
        path = folder / f"{kind.value}.json"
        if not path.is_file():
            continue
        place = f"{batch_date}/{folder.name}/{path.name}"
        parsed, faults = parse_file(kind, path.read_bytes(), place)
        found += faults
        if isinstance(parsed, Metadata):
            metadata = parsed
        elif isinstance(parsed, Transcription):
            transcription = parsed
    found += check_conversation(folder.name, batch_date, metadata, transcription)
    return tuple(
        SourceFault(
            f"{folder.as_posix()}/{fault.file.rsplit('/', 1)[-1]}",
            f"{fault.file}{'#' + fault.pointer if fault.pointer else ''}: {fault.message} "
            f"({fault.hint})",
        )
        for fault in found
        if fault.severity is Severity.ERROR
    )


REGISTRY = "conversation_registry"


class TraceReader:
    """Reads through whichever of its readers are given."""

    def __init__(
        self,
        warehouse: Warehouse,
        bucket: Bucket | None,
        ci: CiReader | None,
        source: Path,
        *,
        redacts: bool = False,
    ) -> None:
        """`redacts` says that pushes redact the files of `source`."""
        self._redacts = redacts
        self._warehouse = warehouse
        self._bucket = bucket
        self._ci = ci
        self._source = source
        self._problems: dict[str, str] = {}

    async def read(
        self, conversation_id: str, taken_at: dt.datetime, *, with_marts: bool = True
    ) -> Trace:
        """Return the trace; raise InputError when no hop that answers knows the id.

        Rows in marts take a statement over all of them: `with_marts` says whether they are counted
        of a conversation that isn't erased.
        """
        checked = checked_id(conversation_id)
        (files, states, events, ci, versions), marts = await asyncio.gather(
            asyncio.gather(
                self._rows(_FILES, "conversation_files", checked),
                self._rows(_STATES, "ci_conversations", checked),
                self._rows(_EVENTS, "pipeline_events", checked),
                self._guarded(Hop.INSIGHTS, self._read_ci, checked),
                self._guarded(Hop.REGISTRY, self._read_registry, checked),
            ),
            self._marts(checked) if with_marts else _none(),
        )
        source = self._read_source(checked)
        file_rows = tuple(FileRow(**row) for row in files or ())
        event_rows = tuple(EventRow(**row) for row in events or ())
        dates = {row.batch_date for row in file_rows}
        dates |= {row.batch_date for row in event_rows if row.batch_date}
        if not with_marts and any(map(is_erasure, event_rows)):
            marts = await self._marts(checked)
        objects = await self._guarded(Hop.GCS, self._read_objects, (checked, dates))
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
            marts=None if marts is None and not with_marts else tuple(marts or ()),
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
        sql = (
            f"select {_VERSIONS} from {self._warehouse.mart(REGISTRY)} "
            "where conversation_id = @conversation_id order by version_number"
        )
        try:
            rows = await self._query(sql)(conversation_id)
        except RemoteError as error:
            if error.code != "NOT_FOUND":
                raise
            return None
        return tuple(RegistryVersion(**row) for row in rows)

    async def _marts_with_ids(self) -> list[str]:
        """Return the marts that have a column of the id.

        INFORMATION_SCHEMA tells it in one statement, which takes longer than asking for each.
        """
        dataset = self._warehouse.marts_dataset
        tables = await asyncio.to_thread(self._warehouse.tables, dataset)
        names = [table.name for table in tables if table.type == "TABLE"]
        found = await asyncio.gather(
            *(asyncio.to_thread(self._warehouse.table, dataset, name) for name in names)
        )
        return [
            table.name
            for table in found
            if table and any(column.name == "conversation_id" for column in table.columns)
        ]

    async def _marts(self, conversation_id: str) -> list[MartRows] | None:
        return await self._guarded(Hop.MARTS, self._read_marts, conversation_id)

    async def _read_marts(self, conversation_id: str) -> list[MartRows]:
        having_id = await self._marts_with_ids()
        if not having_id:
            return []
        counts = " union all ".join(
            f"select '{name}' as mart, count(*) as row_count from {self._warehouse.mart(name)} "
            "where conversation_id = @conversation_id"
            for name in sorted(having_id)
        )
        rows = await self._query(f"{counts} order by mart")(conversation_id)
        return [MartRows(row["mart"], row["row_count"]) for row in rows]

    async def _read_ci(self, conversation_id: str) -> CiHop | None:
        if self._ci is None:
            return None
        held = await self._ci.get_conversation(conversation_id)
        if held is None:
            return None
        analyses, running, matchers, revisions, models = await asyncio.gather(
            self._ci.list_analyses(conversation_id),
            self._ci.running_analysis(conversation_id),
            self._ci.list_matchers(),
            self._ci.list_scorecard_revisions(),
            self._ci.list_models(),
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
            is_stale=_is_stale(
                held, matchers, deployed_of_ours(revisions), deployed_models(models)
            ),
            payload=payload,
        )

    async def _read_objects(self, place: tuple[str, set[dt.date]]) -> list[ObjectGeneration]:
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
                value, faults = decode_json(content, path.as_posix())
                is_comparable = not faults and not self._redacts
                content_sha256 = json_sha256(value) if is_comparable else None
                found.append(SourceFile(kind.value, path.as_posix(), len(content), content_sha256))
        return tuple(found)


def _faults_of_new(
    source: Sequence[SourceFile], landed: Sequence[FileRow]
) -> tuple[SourceFault, ...]:
    contents = {row.content_sha256 for row in landed}
    if all(file.content_sha256 in contents for file in source):
        return ()

    folders = dict.fromkeys(Path(file.path).parent for file in source)
    return tuple(fault for folder in folders for fault in source_faults(folder))


def _is_stale(
    held: CiConversation,
    matchers: Sequence[CiMatcher],
    scorecards: frozenset[str],
    models: frozenset[str],
) -> bool | None:
    latest = held.latest_analysis
    if latest is None:
        return None
    ours = tuple(matcher.applied for matcher in matchers if is_ours(matcher.version_tag))
    profiles = [
        AnnotatorProfile(summarized, ours, scorecards, models) for summarized in (False, True)
    ]
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
