"""One conversation at every hop, as evidence: what each system says it holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ingest.hops import CiAnalysisState, ObjectGeneration


class Hop(StrEnum):
    """Places that a conversation passes, in order."""

    SOURCE = "source"
    GCS = "gcs"
    CI = "ci"
    RAW = "raw"
    REGISTRY = "registry"
    MARTS = "marts"


@dataclass(frozen=True)
class SourceFile:
    """A file on this machine; without a hash it isn't JSON."""

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
    """What CI holds; `payload` is the FULL conversation as REST JSON."""

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
    marts: tuple[MartRows, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)

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
