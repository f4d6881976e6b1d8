"""Protobuf messages put together from serialized parts.

A serialized message is the concatenation of its fields (protobuf encoding guide, "Last One Wins"
and embedded messages), so a stored transcript or analysis becomes part of a reply without being
parsed. Only length-delimited fields and times are written here; the rest is left to protobuf.

What only REST knows of a message travels in it as JSON, in one field with the highest number there
is. To gRPC clients that is an unknown field, as such fields of the real service are to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import orjson
from google.protobuf import unknown_fields

from ingest.emulator import protos

_LENGTH_DELIMITED = 2
_LAST = [bytes([bits]) for bits in range(0x80)]
_MORE = [bytes([bits | 0x80]) for bits in range(0x80)]
"""Seven bits as the last byte of a varint, and as one that another follows."""
_REST_NUMBER = 536_870_911
_SECONDS, _NANOS = b"\x08", b"\x10"
"""Tags of the two varint fields of google.protobuf.Timestamp."""


def varint(value: int) -> bytes:
    """Return the base-128 encoding of a non-negative integer."""
    if value < 0x80:
        return _LAST[value]
    if value < 0x4000:
        return _MORE[value & 0x7F] + _LAST[value >> 7]
    return _MORE[value & 0x7F] + _MORE[value >> 7 & 0x7F] + varint(value >> 14)


REST_TAG = varint(_REST_NUMBER << 3 | _LENGTH_DELIMITED)
"""Serialized messages without these bytes have no field that only REST knows."""


def add_rest_fields(message: protos.Pb, fields: Mapping[str, Any]) -> None:
    """Put fields that only REST knows into a message; later ones replace earlier ones."""
    content = orjson.dumps(fields)
    message.MergeFromString(REST_TAG + varint(len(content)) + content)


def rest_fields(message: protos.Pb) -> dict[str, Any]:
    """Return the fields of a message that only REST knows, by their JSON names."""
    found: dict[str, Any] = {}
    for each in unknown_fields.UnknownFieldSet(message):
        if each.field_number == _REST_NUMBER and isinstance(each.data, bytes):
            with suppress(orjson.JSONDecodeError, TypeError, ValueError):
                found.update(orjson.loads(each.data))
    return found


def field(message: protos.Pb, name: str, payload: bytes) -> bytes:
    """Return `payload` as the length-delimited field `name` of the message class."""
    return _tag(message, name) + varint(len(payload)) + payload


def timestamp(micros: int) -> bytes:
    """Return the serialized Timestamp of non-negative microseconds since the epoch."""
    seconds, rest = divmod(micros, 1_000_000)
    encoded = _SECONDS + varint(seconds) if seconds else b""
    return encoded + _NANOS + varint(rest * 1000) if rest else encoded


def words(text: str) -> bytes:
    """Return the serialized `words` of a segment: its text split at white space, no offsets."""
    return b"".join(map(_word, text.split()))


def repeated(message: protos.Pb, name: str, payloads: Iterable[bytes]) -> bytes:
    """Return each payload as one item of the repeated field `name`."""
    tag = _tag(message, name)
    return b"".join(tag + varint(len(payload)) + payload for payload in payloads)


@lru_cache(maxsize=64)
def _tag(message: protos.Pb, name: str) -> bytes:
    number: int = message.DESCRIPTOR.fields_by_name[name].number
    return varint(number << 3 | _LENGTH_DELIMITED)


@lru_cache(maxsize=20_000)
def _word(word: str) -> bytes:
    return field(protos.Segment, "words", field(protos.Word, "word", word.encode()))
