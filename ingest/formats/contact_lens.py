"""Amazon Contact Lens output files, and those of Amazon Transcribe Call Analytics.

Sources: Amazon Connect administrator guide, "Example Contact Lens output files" (calls and chats);
Amazon Transcribe developer guide, "Post-call analytics output". Calls give offsets in
milliseconds; chats give `AbsoluteTime` and items that aren't messages (joins, attachments).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from ingest.domain.conversation import Medium, Speaker
from ingest.errors import InputError
from ingest.formats.conversion import ForeignConversation, ForeignTurn, required, seconds

_SPEAKERS = {
    "AGENT": Speaker.AGENT,
    "SUPERVISOR": Speaker.AGENT,
    "CUSTOMER": Speaker.CUSTOMER,
    "SYSTEM": Speaker.AUTOMATED_AGENT,
    "CUSTOM_BOT": Speaker.AUTOMATED_AGENT,
}


def read_contact_lens(data: Any, name: str) -> ForeignConversation:
    """Return what the output file says; without ContactId or JobName the file's name is the id."""
    roles = {
        participant.get("ParticipantId"): participant.get("ParticipantRole")
        for participant in data.get("Participants", [])
        if isinstance(participant, Mapping)
    }
    is_chat = data.get("Channel") == "CHAT"
    items = required(data, "Transcript")
    started_at = _first_time(items) if is_chat else None
    turns = [
        _turn(item, roles, started_at)
        for item in items
        if item.get("Content") and item.get("Type", "MESSAGE") == "MESSAGE"
    ]
    context: dict[str, Any] = {"medium": Medium.CHAT if is_chat else Medium.PHONE_CALL}
    if data.get("LanguageCode"):
        context["language_code"] = data["LanguageCode"]
    length = data.get("ConversationCharacteristics", {}).get("TotalConversationDurationMillis")
    contact_id = data.get("CustomerMetadata", {}).get("ContactId")
    return ForeignConversation(
        source_id=contact_id or data.get("JobName") or name,
        started_at=started_at,
        duration_sec=None if length is None else seconds(length, 1000),
        turns=turns,
        context=context,
    )


def _turn(
    item: Mapping[str, Any], roles: Mapping[str | None, str | None], started_at: dt.datetime | None
) -> ForeignTurn:
    role = item.get("ParticipantRole") or roles.get(item.get("ParticipantId")) or ""
    if role not in _SPEAKERS:
        raise InputError(
            "a turn's participant has no role that the format documents",
            f"Participants must name each with one of {', '.join(_SPEAKERS)}",
        )
    if started_at is not None:
        start = end = (_time(item) - started_at).total_seconds()
    else:
        start = seconds(required(item, "BeginOffsetMillis"), 1000)
        end = seconds(item.get("EndOffsetMillis", item["BeginOffsetMillis"]), 1000)
    return ForeignTurn(_SPEAKERS[role], start, end, item["Content"])


def _first_time(items: list[Mapping[str, Any]]) -> dt.datetime:
    times = [_time(item) for item in items if item.get("AbsoluteTime")]
    if not times:
        raise InputError("the chat has no AbsoluteTime", "export it again with times")
    return min(times)


def _time(item: Mapping[str, Any]) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(required(item, "AbsoluteTime"))
    except (TypeError, ValueError) as error:
        raise InputError("an AbsoluteTime is no ISO 8601 time", "export the chat again") from error
