"""Google Conversational Insights transcript files.

Source: Conversational Insights, "Conversation data format": `entries` with text, role, user_id and
start_timestamp_usec, in either JSON spelling. The format has no id: the file's name is the id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.domain.conversation import Speaker
from ingest.errors import InputError
from ingest.formats.conversion import ForeignConversation, ForeignTurn, epoch, required, seconds

_SPEAKERS = {
    "AGENT": Speaker.AGENT,
    "HUMAN_AGENT": Speaker.AGENT,
    "AUTOMATED_AGENT": Speaker.AUTOMATED_AGENT,
    "CUSTOMER": Speaker.CUSTOMER,
    "END_USER": Speaker.CUSTOMER,
}
_EPOCH_FROM_USEC = 100_000_000_000_000
"""Larger counts of microseconds are moments (after 1973); smaller ones are offsets."""


def read_google_ci(data: Any, name: str) -> ForeignConversation:
    """Return what the file says; the first entry's time is the start."""
    entries = required(data, "entries")
    times = [_usec(entry) for entry in entries]
    if not times:
        raise InputError("the transcript has no entries", "leave the file out")
    is_epoch = times[0] >= _EPOCH_FROM_USEC
    start = times[0] if is_epoch else 0
    agents = list(
        dict.fromkeys(
            user for user in (_user_id(entry) for entry in entries if _is_agent(entry)) if user
        )
    )
    turns = []
    for entry, usec in zip(entries, times, strict=True):
        role = entry.get("role")
        if role not in _SPEAKERS:
            raise InputError(
                "an entry's role isn't one that the format documents",
                f"it must be one of {', '.join(_SPEAKERS)}",
            )
        at = seconds(usec - start, 1_000_000)
        who = _user_id(entry) if len(agents) > 1 and _is_agent(entry) else None
        turns.append(ForeignTurn(_SPEAKERS[role], at, at, required(entry, "text"), who))
    return ForeignConversation(
        source_id=name,
        started_at=epoch(start, 1_000_000) if is_epoch else None,
        duration_sec=None,
        turns=turns,
        context={},
    )


def _is_agent(entry: Mapping[str, Any]) -> bool:
    return _SPEAKERS.get(entry.get("role", "")) is Speaker.AGENT


def _user_id(entry: Mapping[str, Any]) -> str | None:
    value = entry.get("user_id", entry.get("userId"))
    return None if value is None else str(value)


def _usec(entry: Any) -> int:
    key = "start_timestamp_usec" if "start_timestamp_usec" in entry else "startTimestampUsec"
    try:
        return int(required(entry, key))
    except (TypeError, ValueError) as error:
        raise InputError("an entry's start time is no integer", "write microseconds") from error
