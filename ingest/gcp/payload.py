"""Protobuf messages as the REST JSON that Google's API itself answers with.

lowerCamelCase, int64 as text, zero values absent: what `MessageToDict` gives. A field that the
client's message type doesn't know is kept too, under `@unknownFields`, since raw tables drop
nothing.
"""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

UNKNOWN_FIELDS = "@unknownFields"
_LONGEST_PLAIN_WORD = 127
"""Bytes that protobuf tells the length of in one byte."""


def rest_json(message: Message) -> dict[str, Any]:
    """Return the message as REST JSON, whole."""
    result: dict[str, Any] = MessageToDict(message)
    _keep_unknown_fields(message, result)
    return result


def conversation_json(conversation: Any) -> dict[str, Any]:
    """Return a conversation as REST JSON, whole.

    The words of its transcript, some thousand messages of one field each, take most of the time
    of a conversion; they're written apart, which gives the same JSON in half the time.
    """
    wordless = type(conversation)()
    wordless.CopyFrom(conversation)
    for segment in wordless.transcript.transcript_segments:
        segment.ClearField("words")
    result: dict[str, Any] = MessageToDict(wordless)
    written = result.get("transcript", {}).get("transcriptSegments", ())
    for segment, target in zip(conversation.transcript.transcript_segments, written, strict=True):
        if segment.words:
            target["words"] = [_word_json(word) for word in segment.words]
    _keep_unknown_fields(conversation, result)
    return result


def _word_json(word: Any) -> dict[str, Any]:
    text = word.word
    size = len(text.encode())
    # A message of this size holds the text (its tag, its length, its bytes) and nothing else.
    if 0 < size <= _LONGEST_PLAIN_WORD and word.ByteSize() == size + 2:
        return {"word": text}
    written: dict[str, Any] = MessageToDict(word)
    return written


def _keep_unknown_fields(message: Message, result: dict[str, Any]) -> None:
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    if known.ByteSize() != message.ByteSize():
        result[UNKNOWN_FIELDS] = _unknown_fields(message, "")


def _unknown_fields(message: Message, path: str) -> list[dict[str, Any]]:
    found = [
        {"path": path, "number": field.field_number, "data": _plain(field.data)}
        for field in UnknownFieldSet(message)
    ]
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            is_message = field.message_type.fields_by_name["value"].message_type is not None
            inner = [(key, value[key]) for key in value] if is_message else []
        elif field.is_repeated:
            inner = list(enumerate(value))
        else:
            inner = [(None, value)]
        for key, item in inner:
            step = field.json_name if key is None else f"{field.json_name}/{key}"
            found += _unknown_fields(item, f"{path}/{step}")
    return found


def _plain(data: Any) -> Any:
    if isinstance(data, bytes):
        return {"base64": base64.b64encode(data).decode()}
    if isinstance(data, int):
        return str(data)
    return [{"number": field.field_number, "data": _plain(field.data)} for field in data]
