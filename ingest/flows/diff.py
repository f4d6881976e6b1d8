"""What differs between two analyses, or between two versions of the files, of one conversation."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.domain.conversation import json_sha256
from ingest.domain.raw_records import ANY_PARTITION
from ingest.errors import InputError
from ingest.flows.transcript import Match, Talk, read_matchers, talk_of_state
from ingest.ports.inspect import Warehouse


@dataclass(frozen=True)
class ListedAnalysis:
    """An analysis that has landed."""

    analysis_id: str
    landed_at: dt.datetime
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class MatchChange:
    """A phrase match that only one of the two analyses has."""

    is_added: bool
    turn_index: int
    phrase_matcher: str
    phrase: str | None


@dataclass(frozen=True)
class SentimentChange:
    """A turn whose sentiment differs."""

    turn_index: int
    before: float | None
    after: float | None


@dataclass(frozen=True)
class AnalysisDifference:
    """Two analyses against each other."""

    conversation_id: str
    before: str
    after: str
    overall_sentiment: tuple[float | None, float | None]
    matches: tuple[MatchChange, ...]
    sentiments: tuple[SentimentChange, ...]
    entity_counts: Mapping[str, tuple[int, int]]

    @property
    def is_empty(self) -> bool:
        """Whether both say the same."""
        before, after = self.overall_sentiment
        return not (self.matches or self.sentiments or self.entity_counts) and before == after


def read_analyses(warehouse: Warehouse, conversation_id: str) -> tuple[ListedAnalysis, ...]:
    """Return every landed analysis, oldest first."""
    rows = warehouse.query(
        f"""
select analysis_name, min(_landed_at) as landed_at, any_value(payload) as payload
from {warehouse.raw("ci_conversations")}
where {ANY_PARTITION} and conversation_id = @conversation_id and analysis_name is not null
group by analysis_name
order by landed_at, analysis_name
""",
        {"conversation_id": conversation_id},
    ).rows
    return tuple(
        ListedAnalysis(row["analysis_name"].rsplit("/", 1)[-1], row["landed_at"], row["payload"])
        for row in rows
    )


def compare_analyses(
    warehouse: Warehouse, conversation_id: str, before: ListedAnalysis, after: ListedAnalysis
) -> AnalysisDifference:
    """Return what the later analysis says otherwise."""
    old, new = (
        talk_of_state(conversation_id, item.payload, read_matchers(warehouse, item.payload))
        for item in (before, after)
    )
    old_entities, new_entities = _entity_counts(before.payload), _entity_counts(after.payload)
    return AnalysisDifference(
        conversation_id=conversation_id,
        before=before.analysis_id,
        after=after.analysis_id,
        overall_sentiment=(old.overall_sentiment, new.overall_sentiment),
        matches=_match_changes(old, new),
        sentiments=_sentiment_changes(old, new),
        entity_counts={
            type_: (old_entities[type_], new_entities[type_])
            for type_ in sorted(old_entities | new_entities)
            if old_entities[type_] != new_entities[type_]
        },
    )


def chosen[Item](
    items: Sequence[Item],
    names: Sequence[str],
    name_of: Mapping[str, Item],
    what: str,
    conversation_id: str,
) -> tuple[Item, Item]:
    """Return the two that are named, or else the newest two; one alone is both.

    Raises InputError for a name that is none, and when nothing has landed.
    """
    if not names:
        if not items:
            raise InputError(
                f"no {what} of {conversation_id} has landed",
                f"see what is known of it with `ingest why {conversation_id}`",
            )
        return items[-2:][0], items[-1]
    if len(names) != 2:
        raise InputError(f"name two of a kind ({what}), or none for the newest two", "see --help")
    missing = [name for name in names if name not in name_of]
    if missing:
        known = ", ".join(name_of) or "none"
        raise InputError(f"there is no landed {what} {missing[0]}", f"known: {known}")
    return name_of[names[0]], name_of[names[1]]


def _match_changes(old: Talk, new: Talk) -> tuple[MatchChange, ...]:
    before, after = _match_counts(old), _match_counts(new)
    changes = [
        MatchChange(is_added, turn, match.phrase_matcher, match.phrase)
        for is_added, more, fewer in ((False, before, after), (True, after, before))
        for (turn, match), count in (more - fewer).items()
        for _ in range(count)
    ]
    return tuple(sorted(changes, key=lambda change: (change.turn_index, change.phrase_matcher)))


def _match_counts(talk: Talk) -> Counter[tuple[int, Match]]:
    return Counter((turn.turn_index, match) for turn in talk.turns for match in turn.matches)


def _sentiment_changes(old: Talk, new: Talk) -> tuple[SentimentChange, ...]:
    before = {turn.turn_index: turn.sentiment_score for turn in old.turns}
    after = {turn.turn_index: turn.sentiment_score for turn in new.turns}
    return tuple(
        SentimentChange(index, before.get(index), after.get(index))
        for index in sorted(before.keys() | after.keys())
        if before.get(index) != after.get(index)
    )


def _entity_counts(payload: Mapping[str, Any]) -> Counter[str]:
    result = (payload.get("latestAnalysis") or {}).get("analysisResult") or {}
    entities = (result.get("callAnalysisMetadata") or {}).get("entities") or {}
    return Counter(entity.get("type", "UNKNOWN") for entity in entities.values())


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
        "call_reason",
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
