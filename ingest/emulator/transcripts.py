"""CI's transcript file, read as strictly as a proto3 JSON parser does, and made into segments.

Format: conversation data format page; the parser's nature (both spellings, int64 as number or
string, unknown fields refused) is inferred from real files. What comes back per entry is observed:
one segment, words split at white space without offsets, role and channel by speaker, and the
settings' language whatever the conversation says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from ingest.emulator import protos, wire
from ingest.emulator.problems import ApiError, invalid
from ingest.emulator.times import LAST_MICROS

CUSTOMER_CHANNEL = 1
AGENT_CHANNEL = 2

_INT64_MAX = 2**63 - 1
_FILE_FIELDS = {
    "conversation_info": "conversation_info",
    "conversationInfo": "conversation_info",
    "entries": "entries",
}
_ENTRY_FIELDS = {
    "text": "text",
    "role": "role",
    "user_id": "user_id",
    "userId": "user_id",
    "start_timestamp_usec": "start_timestamp_usec",
    "startTimestampUsec": "start_timestamp_usec",
}
_PLAIN_FIELDS = frozenset(_ENTRY_FIELDS.values())
_ROLES = {
    "AGENT": ("HUMAN_AGENT", AGENT_CHANNEL),
    "AUTOMATED_AGENT": ("AUTOMATED_AGENT", AGENT_CHANNEL),
    "CUSTOMER": ("END_USER", CUSTOMER_CHANNEL),
    "END_USER": ("END_USER", CUSTOMER_CHANNEL),
}


@dataclass(frozen=True, slots=True)
class ParsedTranscript:
    """A transcript as CI keeps it."""

    serialized: bytes
    """A Conversation.Transcript message."""
    turn_count: int
    duration_micros: int
    """Last entry's time minus the first one's (observed on two real conversations)."""


def parse_transcript(content: bytes, language_code: str) -> ParsedTranscript:
    """Return the segments of a transcript file; raise INVALID_ARGUMENT "Failed to deserialize…"."""
    entries = _entries(content)
    starts = [_micros(entry, index) for index, entry in enumerate(entries)]
    for index in range(1, len(starts)):
        if starts[index] < starts[index - 1]:
            raise _failed(f"entries[{index}]: start_timestamp_usec is before the previous entry's")
    segments = [
        _segment(entry, index, start, language_code)
        for index, (entry, start) in enumerate(zip(entries, starts, strict=True))
    ]
    return ParsedTranscript(
        wire.repeated(protos.Transcript, "transcript_segments", segments),
        len(segments),
        starts[-1] - starts[0],
    )


def _entries(content: bytes) -> list[dict[str, Any]]:
    try:
        payload = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _failed(f"not valid JSON ({error.msg} at character {error.pos})") from error
    known = _known_fields(payload, _FILE_FIELDS, "transcript")
    _check_info(known.get("conversation_info"))
    entries = known.get("entries")
    if not isinstance(entries, list) or not entries:
        raise _failed("'entries' must be a list with at least one entry")
    return [
        entry
        if isinstance(entry, dict) and entry.keys() <= _PLAIN_FIELDS
        else _known_fields(entry, _ENTRY_FIELDS, f"entries[{index}]")
        for index, entry in enumerate(entries)
    ]


def _known_fields(value: Any, fields: Mapping[str, str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _failed(f"{where} must be an object")
    known: dict[str, Any] = {}
    for key, item in value.items():
        field = fields.get(key)
        if field is None:
            raise _failed(f"{where}: unknown field '{key}'")
        if field in known:
            raise _failed(f"{where}: field '{field}' is given twice")
        known[field] = item
    return known


def _check_info(info: Any) -> None:
    if info is None:
        return
    known = _known_fields(info, {"categories": "categories"}, "conversation_info")
    categories = known.get("categories") or []
    if not isinstance(categories, list):
        raise _failed("conversation_info.categories must be a list")
    names = {"display_name": "display_name", "displayName": "display_name"}
    for index, category in enumerate(categories):
        where = f"conversation_info.categories[{index}]"
        name = _known_fields(category, names, where).get("display_name")
        if not isinstance(name, str) or not name:
            raise _failed(f"{where}: display_name is required")


def _micros(entry: dict[str, Any], index: int) -> int:
    micros = _int64(entry.get("start_timestamp_usec"))
    if micros is None or not 0 <= micros <= LAST_MICROS:
        raise _failed(
            f"entries[{index}]: start_timestamp_usec must be microseconds since 1970, up to the"
            " year 9999"
        )
    return micros


def _int64(value: Any) -> int | None:
    """Return an int64 as proto3 JSON takes it: a number, an integral float or a decimal string."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        pass
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    elif isinstance(value, str):
        digits = value.removeprefix("-")
        value = int(value) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
    if not isinstance(value, int) or not -_INT64_MAX - 1 <= value <= _INT64_MAX:
        return None
    return value


def _segment(entry: dict[str, Any], index: int, start: int, language_code: str) -> bytes:
    text, role = entry.get("text"), entry.get("role")
    if not isinstance(text, str) or not text:
        raise _failed(f"entries[{index}]: text is required")
    if not isinstance(role, str) or role not in _ROLES:
        raise _failed(f"entries[{index}]: invalid role {role!r}; use one of {', '.join(_ROLES)}")
    user_id = _int64(entry.get("user_id"))
    if user_id is None:
        raise _failed(f"entries[{index}]: user_id must be an integer")
    return (
        wire.field(protos.Segment, "message_time", wire.timestamp(start))
        + wire.field(protos.Segment, "text", text.encode())
        + wire.words(text)
        + _speaker(role, user_id, language_code)
    )


@lru_cache(maxsize=4096)
def _speaker(role: str, user_id: int, language_code: str) -> bytes:
    """Return the fields of a segment that depend on the speaker alone."""
    participant_role, channel = _ROLES[role]
    segment = protos.Segment(language_code=language_code, channel_tag=channel)
    segment.segment_participant.role = _role_number(participant_role)
    segment.segment_participant.user_id = str(user_id)
    serialized: bytes = segment.SerializeToString()
    return serialized


def _role_number(role: str) -> int:
    field = protos.Segment.DESCRIPTOR.fields_by_name["segment_participant"]
    roles = field.message_type.fields_by_name["role"].enum_type
    return int(roles.values_by_name[role].number)


def _failed(reason: str) -> ApiError:
    """The opening words are observed; what follows them is ours."""
    return invalid(f"Failed to deserialize conversation transcript: {reason}.")
