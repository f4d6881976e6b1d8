"""Building our two files from a draft: what it lacks from defaults, and all of it checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.datagen.dirty import to_json
from ingest.datagen.maker import uuid_of
from ingest.domain.conversation import (
    CONVERSATION_ID_PATTERN,
    SCHEMA_VERSION,
    TRANSCRIPT_SCHEMA_VERSION,
    FileKind,
    Metadata,
    Speaker,
)
from ingest.domain.faults import Fault, Severity
from ingest.domain.validation import check_delivery
from ingest.formats.engine import Draft
from ingest.formats.mapping import FIELDS
from ingest.formats.paths import MappingError
from ingest.formats.times import TimeError, in_offset, moment, number

_METADATA_FIELDS = tuple(Metadata.model_fields)
_OVERHANG_SEC = 1
_FIRST_YEAR, _LAST_YEAR = 1990, 2100
_LATE_SEC, _TOGETHER_SEC = 1_000, 1
_LEAST_SAME = 2


@dataclass(frozen=True, slots=True)
class Built:
    """One conversation as it is written."""

    conversation_id: str
    batch_date: dt.date
    contents: dict[str, bytes]
    """By the file's name."""
    faults: tuple[Fault, ...]


def identity(source_id: str) -> tuple[str, dict[str, str]]:
    """Return our id of a foreign one, and the label that keeps the foreign one if it differs.

    An id that Insights doesn't accept becomes a UUID made from it: the same at every conversion.
    """
    for candidate in (source_id, source_id.lower()):
        if CONVERSATION_ID_PATTERN.fullmatch(candidate):
            return candidate, {}
    return uuid_of(source_id), {"source_id": source_id[:256]}


def build(
    draft: Draft,
    defaults: Sequence[Mapping[str, Any]],
    source: Mapping[str, Any],
    max_hours: float,
) -> Built:
    """Return the conversation and every fault of it.

    What the draft says wins over `defaults`, of which later ones win over earlier ones. `source` is
    kept in metadata.json. Raises MappingError for a time that can't be.
    """
    conversation_id, label = identity(draft.source_id)
    fields = _fields(draft, defaults, max_hours)
    fields["labels"] = _section(defaults, "labels") | draft.labels | label
    custom = _section(defaults, "custom") | draft.custom
    kept = dict(source)
    if custom:
        (fields if "custom" in _METADATA_FIELDS else kept)["custom"] = custom
    ids = {"schema_version": SCHEMA_VERSION, "conversation_id": conversation_id}
    of_talk = ids | {"schema_version": TRANSCRIPT_SCHEMA_VERSION}
    metadata = {**ids, **_ordered(fields), "source": kept}
    contents = {
        "metadata.json": to_json(metadata),
        "transcription.json": to_json({**of_talk, "turns": draft.turns}),
    }
    if draft.expected:
        contents["expected.json"] = to_json({**ids, **_expected(draft.expected)})
    started_at = fields.get("started_at")
    date = started_at.date() if isinstance(started_at, dt.datetime) else dt.date.min
    files = {kind: contents[f"{kind.value}.json"] for kind in FileKind}
    delivery = check_delivery(conversation_id, date, files, ())
    return Built(conversation_id, date, contents, (*_says_same(draft), *delivery.faults))


def _section(defaults: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for each in defaults:
        merged |= each.get(name) or {}
    return merged


def _fields(
    draft: Draft, defaults: Sequence[Mapping[str, Any]], max_hours: float
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for each in defaults:
        fields |= {name: value for name, value in each.items() if name in FIELDS}
    fields |= draft.fields
    given = _moment(fields, "started_at", draft.zone)
    started_at = draft.started_at or given
    if draft.started_at is not None and draft.zone is None and given is not None:
        # Foreign formats keep UTC; our folders are named by the call's own date.
        started_at = _in_offset(draft.started_at, given.tzinfo)
    duration = _duration(draft, fields, started_at)
    fields |= {"started_at": started_at, "duration_sec": duration}
    _check_times(draft, fields, max_hours)
    fields["ended_at"] = started_at and started_at + dt.timedelta(seconds=duration)
    return fields


def _duration(draft: Draft, fields: Mapping[str, Any], started_at: dt.datetime | None) -> float:
    """Return the length in seconds: as given, but never shorter than what is said."""
    last = max(draft.turns, key=lambda turn: turn.get("end_offset_sec", turn["start_offset_sec"]))
    end = last.get("end_offset_sec")
    said = float(end) if end is not None else float(int(last["start_offset_sec"]) + _OVERHANG_SEC)
    given = fields.get("duration_sec")
    ended_at = _moment(fields, "ended_at", draft.zone)
    if given is None and ended_at is not None and started_at is not None:
        given = (ended_at - started_at).total_seconds()
    try:
        return said if given is None else max(number(given), last["start_offset_sec"], end or 0.0)
    except TimeError as error:
        raise MappingError("conversation.duration_sec", error.reason, error.hint) from None


def _moment(fields: Mapping[str, Any], name: str, zone: str | None) -> dt.datetime | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        return moment(value, "iso", zone, None)
    except TimeError as error:
        raise MappingError(f"conversation.{name}", error.reason, error.hint) from None


def _in_offset(moment: dt.datetime, zone: dt.tzinfo | None) -> dt.datetime:
    try:
        return in_offset(moment, zone)
    except TimeError as error:
        raise MappingError("conversation.started_at", error.reason, error.hint) from None


def _check_times(draft: Draft, fields: Mapping[str, Any], max_hours: float) -> None:
    """Raise MappingError for times that no call has: most often a wrong unit."""
    started_at, duration = fields["started_at"], fields["duration_sec"]
    if started_at is not None and not _FIRST_YEAR <= started_at.year < _LAST_YEAR:
        raise MappingError(
            "conversation.started_at",
            f"the call would be of the year {started_at.year}",
            "check the unit: epoch_s, epoch_ms or epoch_us",
        )
    if duration > max_hours * 3600:
        raise MappingError(
            "turns.start",
            f"the call would last {duration / 3600:,.0f} hours",
            f"check the units of turns and duration_sec; max_hours is {max_hours:g}",
        )
    first, last = draft.turns[0]["start_offset_sec"], draft.turns[-1]["start_offset_sec"]
    if len(draft.turns) > 1 and first > _LATE_SEC and last - first < _TOGETHER_SEC:
        raise MappingError(
            "turns.start",
            f"all utterances would lie within one second, {first:,.0f} s after the start",
            "check the unit: seconds since 1970 may stand where smaller units are expected",
        )


def _ordered(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value, in the order of the schema."""
    names = dict.fromkeys((*_METADATA_FIELDS, *fields))
    return {name: fields[name] for name in names if fields.get(name) not in (None, {})}


def _expected(expected: Mapping[str, Any]) -> dict[str, Any]:
    def listed(name: str) -> list[str]:
        value = expected.get(name, [])
        return [_snake(each) for each in (value if isinstance(value, list) else [value])]

    return {
        "scenario": _snake(expected.get("scenario", "converted")),
        "flags": listed("flags"),
        "next_actions": listed("next_actions"),
    }


def _snake(value: Any) -> str:
    words = "".join(
        each if each.isascii() and each.isalnum() else " " for each in str(value).lower()
    )
    return "_".join(words.split()) or "none"


def _says_same(draft: Draft) -> list[Fault]:
    """Return a warning when both sides say the same: one channel was recorded as two."""
    ours, theirs = (
        [turn["text"] for turn in draft.turns if turn["speaker"] == side.value]
        for side in (Speaker.AGENT, Speaker.CUSTOMER)
    )
    if len(ours) < _LEAST_SAME or sorted(ours) != sorted(theirs):
        return []
    return [
        Fault(
            "transcription.json",
            "/turns",
            "same_talk_on_both_sides",
            "agent and customer say the same words",
            "check the recording: both channels may hold both voices",
            Severity.WARNING,
        )
    ]
