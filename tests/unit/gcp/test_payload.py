from __future__ import annotations

import math
from typing import Any

import orjson
from google.cloud import contact_center_insights_v1 as insights
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.gcp.insights_messages import UNKNOWN_FIELDS, conversation_json, rest_json

CONVERSATION = insights.Conversation.pb()
OPTIONS = settings(max_examples=40, deadline=None)
_MOST_DEPTH = 5
_FLOATS = st.floats(width=32, min_value=-(2.0**126), max_value=2.0**126) | st.sampled_from(
    [math.inf, -math.inf, math.nan]
)
"""Without the outermost: json_format writes them shortened and refuses to read that."""
_SCALARS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_FLOAT: _FLOATS,
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
}


def scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        is_bytes = field.type == FieldDescriptor.TYPE_BYTES
        return st.binary(max_size=6) if is_bytes else st.text(max_size=6)
    return _SCALARS[field.cpp_type]


def fill(draw: st.DrawFn, message: Any, depth: int) -> None:
    """Set some fields of a message, messages within it too, to values of their types."""
    descriptor: Descriptor = message.DESCRIPTOR
    if descriptor.full_name == "google.protobuf.Timestamp":
        message.seconds = draw(st.integers(-62_135_596_800, 253_402_300_799))
        message.nanos = draw(st.integers(0, 999_999_999))
        return
    if descriptor.full_name == "google.protobuf.Duration":
        message.seconds = draw(st.integers(0, 10**9))
        message.nanos = draw(st.integers(0, 999_999_999))
        return
    if descriptor.full_name.startswith("google.protobuf."):
        return
    fields = [field for field in descriptor.fields if depth < _MOST_DEPTH or not field.message_type]
    chosen = draw(st.lists(st.sampled_from(fields), max_size=4, unique_by=id)) if fields else []
    for field in chosen:
        fill_field(draw, message, field, depth)


def fill_field(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    if is_map:
        value_field = field.message_type.fields_by_name["value"]
        key = draw(scalar(field.message_type.fields_by_name["key"]))
        entries = getattr(message, field.name)
        if value_field.message_type is not None:
            fill(draw, entries[key], depth + 1)
        else:
            entries[key] = draw(scalar(value_field))
    elif field.message_type is not None and field.is_repeated:
        for _ in range(draw(st.integers(1, 2))):
            fill(draw, getattr(message, field.name).add(), depth + 1)
    elif field.message_type is not None:
        getattr(message, field.name).SetInParent()
        fill(draw, getattr(message, field.name), depth + 1)
    elif field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(scalar(field), max_size=2)))
    else:
        setattr(message, field.name, draw(scalar(field)))


@st.composite
def messages(draw: st.DrawFn, kind: Any) -> Any:
    message = kind()
    fill(draw, message, 0)
    return message


@st.composite
def talks(draw: st.DrawFn) -> Any:
    """A conversation whose transcript has segments with words of every shape."""
    conversation = draw(messages(CONVERSATION))
    for _ in range(draw(st.integers(0, 3))):
        segment = conversation.transcript.transcript_segments.add()
        fill(draw, segment, 3)
        for _ in range(draw(st.integers(0, 3))):
            fill(draw, segment.words.add(), 4)
    return conversation


@OPTIONS
@given(talks())
def test_a_conversation_is_written_as_protobuf_itself_writes_it(conversation: Any) -> None:
    before = conversation.SerializeToString(deterministic=True)

    written = conversation_json(conversation)

    expected = json_format.MessageToDict(conversation)
    assert repr(written) == repr(expected) or written == expected
    assert conversation.SerializeToString(deterministic=True) == before


@OPTIONS
@given(messages(insights.PhraseMatcher.pb()))
def test_a_phrase_matcher_is_written_as_protobuf_itself_writes_it(matcher: Any) -> None:
    assert rest_json(matcher) == json_format.MessageToDict(matcher)


@OPTIONS
@given(talks())
def test_what_is_written_is_json_and_reads_back_to_the_same_message(conversation: Any) -> None:
    text = orjson.dumps(conversation_json(conversation))

    read = json_format.ParseDict(orjson.loads(text), CONVERSATION())

    assert json_format.MessageToDict(read) == json_format.MessageToDict(conversation)


def with_unknown_field(message: Any) -> None:
    message.MergeFromString(b"\xfa\x3e\x03abc")


def test_fields_that_the_client_does_not_know_are_kept_wherever_they_are() -> None:
    conversation = CONVERSATION(name="c")
    with_unknown_field(conversation)
    word = conversation.transcript.transcript_segments.add().words.add(word="hi")
    with_unknown_field(word)

    written = conversation_json(conversation)

    assert written == {
        "name": "c",
        "transcript": {"transcriptSegments": [{"words": [{"word": "hi"}]}]},
        UNKNOWN_FIELDS: [
            {"path": "", "number": 1007, "data": {"base64": "YWJj"}},
            {
                "path": "/transcript/transcriptSegments/0/words/0",
                "number": 1007,
                "data": {"base64": "YWJj"},
            },
        ],
    }
