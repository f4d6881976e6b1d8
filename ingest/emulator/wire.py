"""Protobuf messages put together from serialized parts.

A serialized message is the concatenation of its fields (protobuf encoding guide, "Last One Wins"
and embedded messages), so a stored transcript or analysis becomes part of a reply without being
parsed. Only length-delimited fields and times are written here; the rest is left to protobuf.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ingest.emulator import protos

_LENGTH_DELIMITED = 2
_LAST = [bytes([bits]) for bits in range(0x80)]
_MORE = [bytes([bits | 0x80]) for bits in range(0x80)]
"""Seven bits as the last byte of a varint, and as one that another follows."""
_SECONDS, _NANOS = b"\x08", b"\x10"
"""Tags of the two varint fields of google.protobuf.Timestamp."""


def varint(value: int) -> bytes:
    """Return the base-128 encoding of a non-negative integer."""
    if value < 0x80:
        return _LAST[value]
    if value < 0x4000:
        return _MORE[value & 0x7F] + _LAST[value >> 7]
    return _MORE[value & 0x7F] + _MORE[value >> 7 & 0x7F] + varint(value >> 14)


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
