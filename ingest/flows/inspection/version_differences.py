"""What differs between two versions of one conversation's files.

By position and by hash: no word of the talk is in a difference unless it's asked for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.domain.fingerprint import json_sha256
from ingest.warehouse import ANY_PARTITION, Warehouse

_SHOWN_FIELDS = frozenset(
    {
        "schema_version",
        "conversation_id",
        "direction",
        "business_line",
        "medium",
        "language_code",
        "queue",
        "agent_id",
        "agent_team",
        "agent_site",
        "portfolio_id",
        "campaign_id",
        "call_outcome",
        "started_at",
        "ended_at",
        "duration_sec",
    }
)
"""Metadata fields that hold codes and times alone; any other may hold words about a person."""


@dataclass(frozen=True)
class FileVersion:
    """Content of both files after one run; None while a file is missing.

    `number` counts contents by their first appearance, as the registry does: content that comes
    back is its old version again.
    """

    number: int
    run_id: str
    landed_at: dt.datetime
    metadata: Mapping[str, Any] | None
    transcription: Mapping[str, Any] | None


@dataclass(frozen=True)
class FieldChange:
    """A metadata field that differs; values that may hold words are given by hash."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class TurnChange:
    """A turn that differs, or that one version lacks; texts only when asked for."""

    turn_index: int
    kind: str
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class VersionDifference:
    """Two versions against each other."""

    conversation_id: str
    before: int
    after: int
    fields: tuple[FieldChange, ...]
    turns: tuple[TurnChange, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both have the same content."""
        return not (self.fields or self.turns)


def read_versions(warehouse: Warehouse, conversation_id: str) -> tuple[FileVersion, ...]:
    """Return the versions in the order of GCS generations; files of one run change together."""
    rows = warehouse.query(
        f"""
select kind, generation, content_sha256, payload, _run_id as run_id, _landed_at as landed_at
from {warehouse.raw("conversation_files")}
where {ANY_PARTITION} and conversation_id = @conversation_id
order by generation
""",
        {"conversation_id": conversation_id},
    ).rows
    return versions_of_files(rows)


def versions_of_files(rows: Sequence[Mapping[str, Any]]) -> tuple[FileVersion, ...]:
    """Return the versions that rows of conversation_files make, one each time they change."""
    runs: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        runs.setdefault(row["run_id"], []).append(row)
    ordered = sorted(runs.values(), key=lambda own: max(row["generation"] for row in own))
    held: dict[str, Mapping[str, Any]] = {}
    numbers: dict[tuple[str | None, str | None], int] = {}
    before: tuple[str | None, str | None] | None = None
    versions: list[FileVersion] = []
    for own in ordered:
        for row in sorted(own, key=lambda row: row["generation"]):
            held[row["kind"]] = row
        metadata, talk = (
            held[kind]["content_sha256"] if kind in held else None
            for kind in ("metadata", "transcription")
        )
        if (metadata, talk) == before:
            continue
        before = (metadata, talk)
        versions.append(
            FileVersion(
                numbers.setdefault(before, len(numbers) + 1),
                own[0]["run_id"],
                max(row["landed_at"] for row in own),
                held["metadata"]["payload"] if "metadata" in held else None,
                held["transcription"]["payload"] if "transcription" in held else None,
            )
        )
    return tuple(versions)


def compare_versions(
    conversation_id: str, before: FileVersion, after: FileVersion, *, with_text: bool
) -> VersionDifference:
    """Return what the later version has otherwise."""
    old, new = before.metadata or {}, after.metadata or {}
    fields = [
        FieldChange(name, *(_shown(name, side.get(name), with_text) for side in (old, new)))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    return VersionDifference(
        conversation_id,
        before.number,
        after.number,
        tuple(fields),
        _turn_changes(before.transcription, after.transcription, with_text=with_text),
    )


def _shown(field: str, value: Any, with_text: bool) -> Any:
    if value is None or with_text or field in _SHOWN_FIELDS:
        return value
    return f"sha256:{json_sha256(value)[:12]}"


def _turn_changes(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, *, with_text: bool
) -> tuple[TurnChange, ...]:
    before, after = (
        {turn["turn_index"]: turn for turn in (side or {}).get("turns", ())} for side in (old, new)
    )
    changes = []
    for index in sorted(before.keys() | after.keys()):
        sides = before.get(index), after.get(index)
        if sides[0] == sides[1]:
            continue
        kind = "added" if sides[0] is None else "removed" if sides[1] is None else "changed"
        texts = [turn["text"] if turn and with_text else None for turn in sides]
        changes.append(TurnChange(index, kind, *texts))
    return tuple(changes)
