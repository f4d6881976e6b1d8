"""What `ingest show --json` prints: every hop, and no word of the talk."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from ingest.flows.inspection.trace import (
    CiHop,
    EventRow,
    FileRow,
    MartRows,
    RegistryVersion,
    SourceFile,
    StateRow,
    Trace,
)


@dataclass(frozen=True)
class ShownObject:
    """One generation of an object."""

    name: str
    generation: int
    is_live: bool
    size_bytes: int
    crc32c: str
    content_sha256: str | None
    written_at: dt.datetime


@dataclass(frozen=True)
class ShownAnalysis:
    """One analysis that CI holds."""

    name: str
    created_at: dt.datetime
    is_latest: bool


@dataclass(frozen=True)
class ShownCi:
    """The conversation in CI."""

    name: str
    updated_at: dt.datetime
    transcript_uri: str
    turn_count: int
    metadata_sha256: str | None
    transcript_sha256: str | None
    analyses: tuple[ShownAnalysis, ...]
    running_operation: str | None
    is_stale: bool | None


@dataclass(frozen=True)
class ShownRaw:
    """Rows of the raw tables, without payloads."""

    files: tuple[FileRow, ...]
    states: tuple[StateRow, ...]
    events: tuple[EventRow, ...]


@dataclass(frozen=True)
class Shown:
    """The conversation at every hop; `problems` says which hop could not be read."""

    conversation_id: str
    taken_at: dt.datetime
    source: tuple[SourceFile, ...]
    gcs: tuple[ShownObject, ...]
    ci: ShownCi | None
    raw: ShownRaw
    registry: tuple[RegistryVersion, ...] | None
    marts: tuple[MartRows, ...]
    problems: Mapping[str, str]


def shown(trace: Trace) -> Shown:
    """Return what is printed of a trace."""
    return Shown(
        conversation_id=trace.conversation_id,
        taken_at=trace.taken_at,
        source=trace.source,
        gcs=tuple(
            ShownObject(
                held.stored.name,
                held.stored.generation,
                held.is_live,
                held.stored.size_bytes,
                held.stored.crc32c,
                held.stored.content_sha256,
                held.written_at,
            )
            for held in trace.objects
        ),
        ci=None if trace.ci is None else _ci(trace.ci),
        raw=ShownRaw(trace.files, trace.states, trace.events),
        registry=trace.versions,
        marts=trace.marts,
        problems=trace.problems,
    )


def _ci(ci: CiHop) -> ShownCi:
    return ShownCi(
        name=ci.name,
        updated_at=ci.updated_at,
        transcript_uri=ci.transcript_uri,
        turn_count=ci.turn_count,
        metadata_sha256=ci.labels.get("metadata_sha256"),
        transcript_sha256=ci.labels.get("transcript_sha256"),
        analyses=tuple(
            ShownAnalysis(state.name, state.created_at, state.name == ci.latest_analysis_name)
            for state in ci.analyses
        ),
        running_operation=ci.running_operation,
        is_stale=ci.is_stale,
    )
