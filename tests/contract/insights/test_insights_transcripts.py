"""What a transcript file may hold, and what becomes of it."""

from __future__ import annotations

import json

import pytest
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from insights_service import START_USEC, Service, entry

END_USER = insights.ConversationParticipant.Role.END_USER
HUMAN_AGENT = insights.ConversationParticipant.Role.HUMAN_AGENT
AUTOMATED_AGENT = insights.ConversationParticipant.Role.AUTOMATED_AGENT


@pytest.mark.fact("observed", "real GetConversation reply, 39 of 39 segments")
def test_each_entry_becomes_one_segment_with_words_and_no_offsets(service: Service) -> None:
    text = "It's Chen,  yes: 12/4 -- don't you see?"
    created = service.talk(("CUSTOMER", text), ("AGENT", "I see."), language_code="en-AU")
    segments = service.client.get_conversation(name=created.name).transcript.transcript_segments
    assert json.loads(insights.Conversation.Transcript.TranscriptSegment.to_json(
        segments[0], always_print_fields_with_no_presence=False, use_integers_for_enums=False
    )) == {
        "messageTime": "2025-12-28T03:20:02Z",
        "text": text,
        "words": [{"word": word} for word in text.split()],
        "languageCode": "en-US",
        "channelTag": 1,
        "segmentParticipant": {"role": "END_USER", "userId": "1"},
    }  # fmt: skip


@pytest.mark.fact("observed", "roles, channels and user ids of a real reply; bots inferred")
def test_roles_and_channels_follow_the_speaker(service: Service) -> None:
    created = service.talk(
        ("AUTOMATED_AGENT", "Press one."),
        ("CUSTOMER", "One."),
        ("AGENT", "Hi."),
        ("END_USER", "Hi."),
    )
    segments = service.client.get_conversation(name=created.name).transcript.transcript_segments
    assert [(s.segment_participant.role, s.channel_tag) for s in segments] == [
        (AUTOMATED_AGENT, 2),
        (END_USER, 1),
        (HUMAN_AGENT, 2),
        (END_USER, 1),
    ]


@pytest.mark.fact("observed", "two real files in camelCase with numbers as strings")
def test_both_spellings_and_numbers_as_strings_are_read(service: Service) -> None:
    camel = {
        "role": "CUSTOMER", "text": "Hi.", "userId": "1", "startTimestampUsec": str(START_USEC)
    }  # fmt: skip
    uri = service.transcript_file({"entries": [camel, entry("AGENT", "Hello.", 1)]})
    assert service.create(uri).turn_count == 2


@pytest.mark.fact("documented", "conversation data format: conversation_info")
def test_conversation_info_is_taken_and_leaves_no_trace(service: Service) -> None:
    info = {"categories": [{"display_name": "hardship"}]}
    uri = service.transcript_file({"conversation_info": info, "entries": [entry("AGENT", "Hi.")]})
    assert service.create(uri).turn_count == 1


BAD_FILES = {
    "no JSON": b"{",
    "wrong UTF-8": b'{"entries": [{"text": "\xff"}]}',
    "a list": [],
    "no entries": {},
    "empty entries": {"entries": []},
    "an unknown role": {"entries": [{**entry("AGENT", "Hi."), "role": "HUMAN_AGENT"}]},
    "no role": {"entries": [{"text": "Hi.", "user_id": 1, "start_timestamp_usec": 1}]},
    "no text": {"entries": [{**entry("AGENT", "Hi."), "text": None}]},
    "a word as time": {"entries": [{**entry("AGENT", "Hi."), "start_timestamp_usec": "soon"}]},
    "a fraction as time": {"entries": [{**entry("AGENT", "Hi."), "start_timestamp_usec": 1.5}]},
    "a negative time": {"entries": [{**entry("AGENT", "Hi."), "start_timestamp_usec": -1}]},
    "a name as user": {"entries": [{**entry("AGENT", "Hi."), "user_id": "Sarah"}]},
    "an unknown field": {"entries": [{**entry("AGENT", "Hi."), "confidence": 1}]},
    "an unknown top field": {"entries": [entry("AGENT", "Hi.")], "version": 1},
    "a field twice": {"entries": [{**entry("AGENT", "Hi."), "userId": 2}]},
    "entries out of order": {"entries": [entry("AGENT", "Hi.", 2), entry("CUSTOMER", "Hi.", 1)]},
    "a nameless category": {
        "conversation_info": {"categories": [{}]},
        "entries": [entry("AGENT", "Hi.")],
    },
}


@pytest.mark.parametrize("fault", BAD_FILES)
@pytest.mark.fact("observed", "'Failed to deserialize' for a bad role or time; the rest assumed")
def test_a_broken_transcript_is_refused(service: Service, fault: str) -> None:
    content = BAD_FILES[fault]
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    uri = service.upload("contract/broken.json", body)
    with service.refused(exceptions.InvalidArgument, match="Failed to deserialize"):
        service.create(uri)


@pytest.mark.fact("observed", "'GCS source not provided'; status assumed")
def test_a_conversation_without_a_source_is_refused(service: Service) -> None:
    with service.refused(exceptions.InvalidArgument, match="GCS source not provided"):
        service.client.create_conversation(
            parent=service.parent, conversation=insights.Conversation()
        )


@pytest.mark.parametrize("uri", ["https://example.com/a.json", "gs://", "gs://bucket", "a.json"])
@pytest.mark.fact("assumed", "the status of a source that is no object")
def test_a_source_that_is_no_object_is_refused(service: Service, uri: str) -> None:
    with service.refused(exceptions.InvalidArgument):
        service.create(uri)


@pytest.mark.fact("assumed", "the status of an object that is missing")
def test_a_missing_object_is_refused(service: Service) -> None:
    uri = service.transcript(("AGENT", "Hi.")).replace(".json", "-missing.json")
    with service.refused(exceptions.InvalidArgument):
        service.create(uri)


@pytest.mark.fact("assumed", "a case leaves a bucket as it found it")
def test_what_a_case_makes_is_deleted_again(service: Service) -> None:
    removed: list[str] = []
    stored: list[str] = []

    def put(name: str, content: bytes) -> str:
        stored.append(name)
        return service.put(name, content)

    case = Service(
        service.client,
        service.parent,
        put,
        lambda name: (removed.append(name), service.remove(name)),
    )
    created = case.talk(("AGENT", "Hello."))
    case.clean()
    assert removed == stored != []
    with service.refused(exceptions.NotFound):
        service.client.get_conversation(name=created.name)
