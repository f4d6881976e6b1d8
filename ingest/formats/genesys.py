"""Genesys Cloud transcripts, as the speech and text analytics transcript URL serves them.

Source: Genesys Cloud developer centre, "Transcript URL" (transcript schema). Times are epoch
milliseconds; `participantPurpose` of a phrase is `internal` (our side) or `external`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.domain.conversation import Medium, Speaker
from ingest.errors import InputError
from ingest.formats.conversion import ForeignConversation, ForeignTurn, epoch, required, seconds

_SPEAKERS = {
    "internal": Speaker.AGENT,
    "agent": Speaker.AGENT,
    "user": Speaker.AGENT,
    "external": Speaker.CUSTOMER,
    "customer": Speaker.CUSTOMER,
    "acd": Speaker.AUTOMATED_AGENT,
    "ivr": Speaker.AUTOMATED_AGENT,
    "bot": Speaker.AUTOMATED_AGENT,
    "workflow": Speaker.AUTOMATED_AGENT,
}
_EPOCH_FROM_MS = 100_000_000_000
"""Larger counts of milliseconds are moments (after 1973); smaller ones are offsets."""


def read_genesys(data: Any, name: str) -> ForeignConversation:
    """Return what the transcript says; several transcripts of one conversation are joined."""
    transcripts = required(data, "transcripts")
    first = required(transcripts, 0)
    start_ms = (
        data.get("startTime") or data.get("conversationStartTime") or first.get("startTime") or 0
    )
    turns = [
        _turn(phrase, start_ms)
        for transcript in transcripts
        for phrase in required(transcript, "phrases")
    ]
    media = str(data.get("mediaType", "call")).lower()
    context: dict[str, Any] = {
        "medium": Medium.PHONE_CALL if media in ("call", "voice") else Medium.CHAT
    }
    if first.get("language"):
        context["language_code"] = first["language"]
    length = data.get("duration", {}).get("milliseconds")
    return ForeignConversation(
        source_id=data.get("conversationId") or name,
        started_at=epoch(start_ms, 1000) if start_ms else None,
        duration_sec=None if length is None else seconds(length, 1000),
        turns=turns,
        context=context,
    )


def _turn(phrase: Mapping[str, Any], start_ms: int) -> ForeignTurn:
    purpose = str(phrase.get("participantPurpose", "")).lower()
    if purpose not in _SPEAKERS:
        raise InputError(
            "a phrase's participantPurpose isn't one that the format documents",
            f"it must be one of {', '.join(_SPEAKERS)}",
        )
    at_ms = required(phrase, "startTimeMs")
    start = seconds(at_ms, 1000)
    if start * 1000 >= _EPOCH_FROM_MS:
        start = round(start - seconds(start_ms, 1000), 3)
    length = seconds(phrase.get("duration", {}).get("milliseconds", 0), 1000)
    text = phrase.get("decoratedText") or required(phrase, "text")
    return ForeignTurn(_SPEAKERS[purpose], max(0.0, start), round(start + length, 3), text)
