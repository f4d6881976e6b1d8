"""What callers may say of a conversation, and its transcript file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from ingest.emulator import protos, wire
from ingest.emulator.errors import ApiError, invalid, unimplemented
from ingest.emulator.request_fields import (
    LAST_MICROS,
    UpdateRule,
    check_duration,
    check_timestamp,
    check_ttl,
    copy_field,
)

MAX_LABELS = 100
MAX_LABEL_CHARS = 256
"""For key and value alike; the documents don't say which of the two they mean."""

_MEDIA = frozenset(int(medium) for medium in protos.Medium)
_OUTPUT_ONLY = (
    "name", "create_time", "update_time", "transcript", "duration", "turn_count",
    "latest_analysis", "latest_summary", "runtime_annotations", "dialogflow_intents",
)  # fmt: skip
_INPUT_ONLY = ("metadata_json",)
UPDATE_RULE = UpdateRule(
    protos.Conversation,
    updatable=(
        "agent_id", "language_code", "labels", "quality_metadata", "call_metadata", "start_time",
        "expire_time", "ttl", "data_source.gcs_source.audio_uri",
        "data_source.dialogflow_source.audio_uri",
    ),
    immutable=("data_source.gcs_source.transcript_uri", "medium"),
    aliases={"metadata": "quality_metadata"},
)  # fmt: skip
"""The mask's documented `metadata` names no field that comes back; taken for quality_metadata."""


def prepared(given: protos.Pb, name: str, now: int, default_ttl_us: int) -> protos.Pb:
    """Return a new conversation as the server keeps it, or raise INVALID_ARGUMENT.

    Output-only fields are dropped, as AIP-203 asks; `duration` of a caller is ignored (observed).
    """
    body = protos.Conversation()
    body.CopyFrom(given)
    for field in (*_OUTPUT_ONLY, *_INPUT_ONLY):
        body.ClearField(field)
    if body.data_source.WhichOneof("source") == "dialogflow_source":
        raise unimplemented("A conversation from dialogflow_source")
    if not body.data_source.gcs_source.transcript_uri:
        raise invalid("GCS source not provided.")
    body.name = name
    body.medium = checked_medium(body.medium) or int(protos.Medium.PHONE_CALL)
    body.create_time.CopyFrom(protos.timestamp(now))
    _set_expiry(body, now, default_ttl_us)
    return checked(body)


def checked_medium(medium: int) -> int:
    """Return the medium, or raise INVALID_ARGUMENT for a number that stands for none."""
    if medium not in _MEDIA:
        raise invalid(f"Invalid medium {medium}: use PHONE_CALL or CHAT.")
    return medium


def updated(current: protos.Pb, given: protos.Pb, mask: Sequence[str], now: int) -> protos.Pb:
    """Return the conversation after an update.

    The mask's paths are the documented ones. A field in the mask that the request leaves out is
    cleared; `labels` are replaced as a whole (inferred).
    """
    body = protos.Conversation()
    body.CopyFrom(current)
    paths = UPDATE_RULE.paths(current, given, mask)
    for path in paths:
        if _applies(current, given, path):
            copy_field(body, given, path)
        elif path in mask and path.startswith("data_source."):
            raise invalid(
                f"Invalid update_mask path '{path}': the conversation has another data source."
            )
    changed = {path.split(".")[0] for path in paths}
    if "ttl" in changed:
        named = any(path.split(".")[0] == "ttl" for path in mask)
        if named and "expire_time" not in changed and not given.HasField("ttl"):
            body.ClearField("expire_time")
        _set_expiry(body, now, 0)
    return checked(body)


def checked(body: protos.Pb) -> protos.Pb:
    """Return the conversation with the server's agent entry, or raise INVALID_ARGUMENT."""
    if len(body.labels) > MAX_LABELS:
        raise invalid(f"Too many labels: {len(body.labels)}, at most {MAX_LABELS} are allowed.")
    for key, value in body.labels.items():
        if not key or len(key) > MAX_LABEL_CHARS or len(value) > MAX_LABEL_CHARS:
            raise invalid(
                f"Invalid label '{key[:40]}': key and value may have {MAX_LABEL_CHARS} characters."
            )
    for field in ("start_time", "expire_time"):
        if body.HasField(field):
            check_timestamp(getattr(body, field), field)
    if body.quality_metadata.HasField("wait_duration"):
        check_duration(body.quality_metadata.wait_duration, "quality_metadata.wait_duration")
    _fill_agent(body)
    return body


def _fill_agent(body: protos.Pb) -> None:
    """A conversation with agent_id has that agent in quality_metadata.agent_info (observed)."""
    if not body.agent_id:
        return
    agents = body.quality_metadata.agent_info
    own = next((agent for agent in agents if agent.agent_id == body.agent_id), None)
    if own is None:
        own = agents.add(agent_id=body.agent_id)
    if own.agent_type == 0:
        agent_types = own.DESCRIPTOR.fields_by_name["agent_type"].enum_type.values_by_name
        own.agent_type = agent_types["HUMAN_AGENT"].number


def _set_expiry(body: protos.Pb, now: int, default_ttl_us: int) -> None:
    if body.HasField("expire_time"):
        return
    ttl_us = default_ttl_us
    if body.HasField("ttl"):
        check_ttl(body.ttl, now, "ttl")
        ttl_us = protos.duration_micros(body.ttl)
        body.ClearField("ttl")
    if ttl_us:
        body.expire_time.CopyFrom(protos.timestamp(min(now + ttl_us, LAST_MICROS)))


def _applies(current: protos.Pb, given: protos.Pb, path: str) -> bool:
    """With `*`, only the source that the conversation has and the expiry that is given count."""
    if path.startswith("data_source."):
        return current.data_source.WhichOneof("source") == path.split(".")[1]
    if path in ("expire_time", "ttl"):
        return bool(given.WhichOneof("expiration") in (path, None))
    return True


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
    """A transcript as Insights keeps it."""

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
