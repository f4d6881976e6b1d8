"""Twilio Conversational Intelligence transcripts: a Transcript resource with its Sentences.

Source: Twilio documentation, "Transcript" and "Transcript Sentence" resources. The API serves the
two apart; the file joins them as `{"transcript": {…}, "sentences": […]}`. Times of sentences are
seconds, as text; who speaks on a channel is in `transcript.channel.participants`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from ingest.domain.conversation import Medium, Speaker
from ingest.errors import InputError
from ingest.formats.conversion import ForeignConversation, ForeignTurn, required, seconds

_SPEAKERS = {
    "agent": Speaker.AGENT,
    "customer": Speaker.CUSTOMER,
    "bot": Speaker.AUTOMATED_AGENT,
    "virtual_agent": Speaker.AUTOMATED_AGENT,
}


def read_twilio(data: Any, name: str) -> ForeignConversation:
    """Return what the joined file says."""
    transcript = required(data, "transcript")
    speakers: dict[int, Speaker] = {}
    context: dict[str, Any] = {"medium": Medium.PHONE_CALL}
    for participant in required(transcript, "channel", "participants"):
        role = str(participant.get("role", "")).lower()
        if role not in _SPEAKERS:
            raise InputError(
                "a participant has no role that the format documents",
                f"transcript/channel/participants must give one of {', '.join(_SPEAKERS)}",
            )
        speakers[int(required(participant, "channel_participant"))] = _SPEAKERS[role]
        if role == "agent":
            for ours, theirs in (("agent_id", "user_id"), ("agent_name", "full_name")):
                if participant.get(theirs):
                    context[ours] = participant[theirs]
    if transcript.get("language_code"):
        context["language_code"] = transcript["language_code"]
    started_at = transcript.get("media_start_time")
    return ForeignConversation(
        source_id=transcript.get("sid") or name,
        started_at=None if started_at is None else _time(started_at),
        duration_sec=(
            None if transcript.get("duration") is None else seconds(transcript["duration"])
        ),
        turns=[_turn(sentence, speakers) for sentence in required(data, "sentences")],
        context=context,
    )


def _turn(sentence: Any, speakers: dict[int, Speaker]) -> ForeignTurn:
    channel = required(sentence, "media_channel")
    if channel not in speakers:
        raise InputError(
            "a sentence is on a channel without a participant",
            "transcript/channel/participants must name every channel",
        )
    start = seconds(required(sentence, "start_time"))
    end = seconds(sentence.get("end_time") or start)
    return ForeignTurn(speakers[channel], start, end, required(sentence, "transcript"))


def _time(value: Any) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise InputError("media_start_time is no ISO 8601 time", "export it again") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
