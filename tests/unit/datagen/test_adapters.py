from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingest.datagen.dirty import to_json
from ingest.datagen.maker import Maker
from ingest.datagen.profile import load_profile
from ingest.domain.conversation import FileKind, Metadata, Transcription
from ingest.domain.insights_format import ci_transcript
from ingest.domain.validation import check_conversation, parse_file
from ingest.errors import InputError
from ingest.formats.readers import READERS, convert_file

SEEDS = Path(__file__).parents[3] / "seeds"
SAMPLES = Path(__file__).parents[2] / "fixtures" / "foreign_transcripts"
DEFAULTS = {
    "direction": "INBOUND",
    "business_line": "LOANS",
    "medium": "PHONE_CALL",
    "language_code": "en-AU",
    "queue": "support",
    "agent_id": "A-1",
    "agent_name": "Kim Lee",
    "agent_team": "Support",
    "agent_site": "Perth",
    "campaign_id": "C-1",
    "call_outcome": "INFORMATION_GIVEN",
    "started_at": "2026-01-05T10:00:00+08:00",
}
STATED_BY = {
    "contact-lens": "9c2b7f1e-4d0a-4a63-8f7e-0b5f3f0d2a11",
    "genesys": "2f1c9a54-7d3e-4b52-9a6f-3c8f2b7d6e10",
    "twilio": "gt0123456789abcdef0123456789abcdef",
    "google-ci": "google-ci",
}


@cache
def our_conversations() -> list[tuple[Metadata, Transcription]]:
    profile = load_profile().model_copy(update={"turn_ends_share": 0.0})
    maker = Maker(5, profile, dt.date(2026, 1, 5), 1, SEEDS)
    return [
        (
            Metadata.model_validate(made.metadata),
            Transcription.model_validate(made.transcription),
        )
        for made in (maker.make(index) for index in range(60))
        if made.metadata["medium"] == "PHONE_CALL" and "transferred" not in made.expected["flags"]
    ]


def as_contact_lens(metadata: Metadata, talk: Transcription) -> dict[str, Any]:
    roles = {"AGENT": "AGENT", "CUSTOMER": "CUSTOMER", "AUTOMATED_AGENT": "SYSTEM"}
    return {
        "Channel": "VOICE",
        "CustomerMetadata": {"ContactId": metadata.conversation_id},
        "LanguageCode": metadata.language_code,
        "Participants": [{"ParticipantId": f"p-{r}", "ParticipantRole": r} for r in roles.values()],
        "ConversationCharacteristics": {
            "TotalConversationDurationMillis": int(metadata.duration_sec * 1000)
        },
        "Transcript": [
            {
                "ParticipantId": f"p-{roles[turn.speaker.value]}",
                "Id": str(turn.turn_index),
                "Content": turn.text,
                "BeginOffsetMillis": round(turn.start_offset_sec * 1000),
                "EndOffsetMillis": round(turn.start_offset_sec * 1000) + 100,
            }
            for turn in talk.turns
        ],
    }


def as_genesys(metadata: Metadata, talk: Transcription) -> dict[str, Any]:
    start = round(metadata.started_at.timestamp() * 1000)
    purposes = {"AGENT": "internal", "CUSTOMER": "external", "AUTOMATED_AGENT": "ivr"}
    return {
        "conversationId": metadata.conversation_id,
        "mediaType": "call",
        "startTime": start,
        "duration": {"milliseconds": int(metadata.duration_sec * 1000)},
        "transcripts": [
            {
                "language": metadata.language_code,
                "phrases": [
                    {
                        "phraseIndex": turn.turn_index,
                        "participantPurpose": purposes[turn.speaker.value],
                        "text": turn.text.lower(),
                        "decoratedText": turn.text,
                        "startTimeMs": start + round(turn.start_offset_sec * 1000),
                        "duration": {"milliseconds": 100},
                    }
                    for turn in talk.turns
                ],
            }
        ],
    }


def as_twilio(metadata: Metadata, talk: Transcription) -> dict[str, Any]:
    channels = {"CUSTOMER": 1, "AGENT": 2, "AUTOMATED_AGENT": 3}
    roles = {1: "customer", 2: "agent", 3: "virtual_agent"}
    return {
        "transcript": {
            "sid": metadata.conversation_id,
            "media_start_time": metadata.started_at.astimezone(dt.UTC).isoformat(),
            "duration": int(metadata.duration_sec),
            "language_code": metadata.language_code,
            "channel": {
                "participants": [
                    {"channel_participant": number, "role": role} for number, role in roles.items()
                ]
            },
        },
        "sentences": [
            {
                "media_channel": channels[turn.speaker.value],
                "sentence_index": turn.turn_index,
                "start_time": str(turn.start_offset_sec),
                "end_time": str(round(turn.start_offset_sec + 0.1, 3)),
                "transcript": turn.text,
            }
            for turn in talk.turns
        ],
    }


WRITERS: dict[str, Callable[[Metadata, Transcription], dict[str, Any]]] = {
    "contact-lens": as_contact_lens,
    "genesys": as_genesys,
    "twilio": as_twilio,
}


@pytest.mark.parametrize("format_name", sorted(WRITERS))
def test_a_conversation_written_in_a_foreign_format_reads_back_the_same(format_name: str) -> None:
    for metadata, talk in our_conversations():
        foreign = orjson.dumps(WRITERS[format_name](metadata, talk))
        context = metadata.model_dump(mode="json")

        read, read_talk = convert_file(format_name, foreign, "file", context)

        assert read_talk.turns == tuple(
            turn.model_copy(update={"text": turn.text.strip()}) for turn in talk.turns
        )
        assert read == metadata


def test_a_transcript_in_ci_format_reads_back_the_same_talk() -> None:
    for metadata, talk in our_conversations():
        context = metadata.model_dump(mode="json")

        read, read_talk = convert_file(
            "google-ci", ci_transcript(metadata, talk), metadata.conversation_id, context
        )

        first = talk.turns[0].start_offset_sec
        assert [(t.speaker, t.text) for t in read_talk.turns] == [
            (t.speaker, t.text) for t in talk.turns
        ]
        assert [t.start_offset_sec for t in read_talk.turns] == [
            round(t.start_offset_sec - first, 3) for t in talk.turns
        ]
        assert read.started_at == metadata.started_at + dt.timedelta(seconds=first)
        assert read.conversation_id == metadata.conversation_id


def sample(format_name: str) -> bytes:
    return (SAMPLES / f"{format_name}.json").read_bytes()


@pytest.mark.parametrize("format_name", sorted(READERS))
def test_the_sample_of_a_format_becomes_two_valid_files(format_name: str) -> None:
    metadata, talk = convert_file(format_name, sample(format_name), format_name, DEFAULTS)

    texts = [(turn.speaker.value, turn.start_offset_sec, turn.text) for turn in talk.turns]
    assert texts == [
        ("AGENT", 0.0, "Thanks for calling, this call is being recorded."),
        ("CUSTOMER", 4.25, "Hi, what's my payout figure?"),
        ("AGENT", 7.9, "Let me look that up for you."),
    ]
    assert metadata.conversation_id == STATED_BY[format_name]
    for kind, model in ((FileKind.METADATA, metadata), (FileKind.TRANSCRIPTION, talk)):
        content = to_json(model.model_dump(mode="json", exclude_none=True))
        assert parse_file(kind, content, "f") == (model, [])
    faults = check_conversation(
        metadata.conversation_id, metadata.started_at.date(), metadata, talk
    )
    assert {fault.rule for fault in faults} <= {"id_not_uuid"}


def test_the_call_keeps_its_own_zone_from_the_defaults() -> None:
    metadata, _ = convert_file("genesys", sample("genesys"), "x", DEFAULTS)

    assert metadata.started_at.isoformat() == "2026-01-06T07:30:00+08:00"


def test_transcribe_call_analytics_names_roles_in_each_turn() -> None:
    data = {
        "JobName": "Job_1 (retry)",
        "LanguageCode": "en-AU",
        "Transcript": [
            {"ParticipantRole": "CUSTOMER", "Content": "Hi.", "BeginOffsetMillis": 440},
            {"ParticipantRole": "AGENT", "Content": "Hello.", "BeginOffsetMillis": 100},
        ],
    }

    metadata, talk = convert_file("contact-lens", orjson.dumps(data), "x", DEFAULTS)

    assert [turn.text for turn in talk.turns] == ["Hello.", "Hi."]
    assert metadata.labels == {"source_id": "Job_1 (retry)"}
    assert metadata.duration_sec == 1.0


def test_a_contact_lens_chat_has_times_and_leaves_events_out() -> None:
    data = {
        "Channel": "CHAT",
        "CustomerMetadata": {"ContactId": "chat-0001"},
        "Participants": [
            {"ParticipantId": "a", "ParticipantRole": "AGENT"},
            {"ParticipantId": "c", "ParticipantRole": "CUSTOMER"},
        ],
        "Transcript": [
            {"ParticipantId": "c", "Type": "EVENT", "AbsoluteTime": "2026-01-05T01:00:00Z"},
            {
                "ParticipantId": "c",
                "Type": "MESSAGE",
                "Content": "hi",
                "AbsoluteTime": "2026-01-05T01:00:02.5Z",
            },
        ],
    }

    metadata, talk = convert_file("contact-lens", orjson.dumps(data), "x", DEFAULTS)

    assert metadata.medium.value == "CHAT"
    assert metadata.started_at == dt.datetime(2026, 1, 5, 1, tzinfo=dt.UTC)
    assert [(turn.start_offset_sec, turn.text) for turn in talk.turns] == [(2.5, "hi")]


def test_missing_context_is_named() -> None:
    with pytest.raises(InputError, match="agent_id, agent_name"):
        convert_file("genesys", sample("genesys"), "x", {})


@pytest.mark.parametrize("format_name", sorted(READERS))
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"Transcript": [1]}', b'{"entries": []}'])
def test_another_file_is_refused_without_a_traceback(format_name: str, content: bytes) -> None:
    with pytest.raises(InputError):
        convert_file(format_name, content, "x", DEFAULTS)


def test_an_unknown_role_is_refused_without_quoting_it() -> None:
    data = {"entries": [{"role": "SECRET", "text": "x", "start_timestamp_usec": 1, "user_id": 1}]}

    with pytest.raises(InputError) as caught:
        convert_file("google-ci", orjson.dumps(data), "x", DEFAULTS)

    assert "SECRET" not in caught.value.message
