"""What every adapter shares: the context that formats lack, and building our two files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ingest.datagen.maker import uuid_of
from ingest.domain.conversation import (
    CONVERSATION_ID_PATTERN,
    SCHEMA_VERSION,
    Metadata,
    Speaker,
    Transcription,
)
from ingest.errors import InputError

_DURATION_OVERHANG_SEC = 1


@dataclass(frozen=True, slots=True)
class ForeignTurn:
    """One utterance as a foreign format gives it."""

    speaker: Speaker
    start_sec: float
    end_sec: float
    text: str
    participant_id: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignConversation:
    """What a foreign format says; `context` holds the metadata fields that it knows."""

    source_id: str
    started_at: dt.datetime | None
    duration_sec: float | None
    turns: Sequence[ForeignTurn]
    context: Mapping[str, Any]


Reader = Callable[[Any, str], ForeignConversation]
"""Reads parsed JSON; the text is the file's name without its ending, for formats without an id."""


def convert(
    foreign: ForeignConversation, defaults: Mapping[str, Any]
) -> tuple[Metadata, Transcription]:
    """Return our two files.

    What the format says wins over `defaults`; `started_at` may come from either. Turns are put in
    the order of time, empty ones are left out. An id that Insights refuses becomes a UUID made
    from it, so converting again gives the same id, and the original goes to the label `source_id`.
    Raises InputError naming the fields that neither side gives.
    """
    turns = sorted(
        (turn for turn in foreign.turns if turn.text.strip()), key=lambda turn: turn.start_sec
    )
    if not turns:
        raise InputError("the transcript has no turn with text", "leave the file out")
    conversation_id, labels = _identity(foreign.source_id)
    fields = _metadata_fields(foreign, turns, defaults, labels) | {
        "conversation_id": conversation_id
    }
    try:
        metadata = Metadata.model_validate(fields)
        transcription = Transcription.model_validate(
            {
                "schema_version": SCHEMA_VERSION,
                "conversation_id": conversation_id,
                "turns": [_turn(index, turn) for index, turn in enumerate(turns)],
            }
        )
    except ValidationError as error:
        names = sorted({".".join(map(str, fault["loc"])) for fault in error.errors()})
        raise InputError(
            f"neither the transcript nor the defaults give a usable {', '.join(names)}",
            "add the fields to the --defaults file; ingest/schemas/metadata.schema.json lists them",
        ) from error
    return metadata, transcription


def _metadata_fields(
    foreign: ForeignConversation,
    turns: Sequence[ForeignTurn],
    defaults: Mapping[str, Any],
    labels: Mapping[str, str],
) -> dict[str, Any]:
    fields: dict[str, Any] = {**defaults, **foreign.context}
    fields["labels"] = {**(defaults.get("labels") or {}), **labels}
    if foreign.started_at is not None:
        fields["started_at"] = _in_zone_of_defaults(foreign.started_at, defaults)
    started_at = _moment(fields.get("started_at"))
    last = max(turn.end_sec for turn in turns)
    duration = max(foreign.duration_sec or 0.0, last)
    if foreign.duration_sec is None:
        duration = float(int(last) + _DURATION_OVERHANG_SEC)
    return fields | {
        "schema_version": SCHEMA_VERSION,
        "started_at": started_at,
        "ended_at": started_at and started_at + dt.timedelta(seconds=duration),
        "duration_sec": duration,
    }


def required(data: Any, *keys: str | int) -> Any:
    """Return the value at the path; raise InputError that names the path, never the value."""
    value = data
    for key in keys:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError) as error:
            path = "/".join(map(str, keys))
            raise InputError(
                f"the transcript has no {path}", "is it really in the format given with --from?"
            ) from error
    return value


def seconds(value: Any, per_second: int = 1) -> float:
    """Return a number of seconds, to the millisecond; raise InputError when it is none."""
    try:
        return round(float(value) / per_second, 3)
    except (TypeError, ValueError) as error:
        raise InputError(
            "a time in the transcript is no number", "is it really in the format given with --from?"
        ) from error


def epoch(value: Any, per_second: int) -> dt.datetime:
    """Return the UTC moment of a count of seconds, milliseconds or microseconds since 1970."""
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(seconds=seconds(value, per_second))


def _identity(source_id: str) -> tuple[str, dict[str, str]]:
    if CONVERSATION_ID_PATTERN.fullmatch(source_id):
        return source_id, {}
    lower = source_id.lower()
    if CONVERSATION_ID_PATTERN.fullmatch(lower):
        return lower, {}
    return uuid_of(source_id), {"source_id": source_id[:256]}


def _in_zone_of_defaults(moment: dt.datetime, defaults: Mapping[str, Any]) -> dt.datetime:
    """Return the moment in the offset of the defaults' `started_at`, or as it is.

    Foreign formats keep UTC; our folders are named by the call's own date.
    """
    given = _moment(defaults.get("started_at"))
    return moment if given is None else moment.astimezone(given.tzinfo)


def _moment(value: Any) -> dt.datetime | None:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, dt.datetime) else None


def _turn(index: int, turn: ForeignTurn) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "turn_index": index,
        "speaker": turn.speaker,
        "start_offset_sec": turn.start_sec,
        "text": turn.text.strip(),
    }
    if turn.participant_id is not None:
        fields["participant_id"] = turn.participant_id
    return fields
