"""Protobuf messages as the REST JSON that Google's API itself answers with.

Same result as `google.protobuf.json_format.MessageToDict`, several times faster: how a message
type is written is worked out once, from its descriptor. A field that the client's message type
doesn't know is kept too, under `@unknownFields`, since raw tables drop nothing.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

UNKNOWN_FIELDS = "@unknownFields"
_TEXT_TIMES = {"google.protobuf.Timestamp", "google.protobuf.Duration"}
_INT64 = {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}
_FLOATS = {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}
_FLOAT32 = struct.Struct("<f")

_Writer = Callable[[Any], Any]


def rest_json(message: Message) -> dict[str, Any]:
    """Return the message as REST JSON: lowerCamelCase, int64 as text, zero values absent."""
    result: dict[str, Any] = {}
    writers = _writers(message.DESCRIPTOR)
    for field, value in message.ListFields():
        name, write = writers[field.number]
        result[name] = write(value)
    return result


def rest_json_whole(message: Message) -> dict[str, Any]:
    """Return `rest_json` plus, anywhere in it, the fields that the message types don't know."""
    result = rest_json(message)
    unknown = _unknown_fields(message, "")
    if unknown:
        result[UNKNOWN_FIELDS] = unknown
    return result


@cache
def _writers(descriptor: Descriptor) -> Mapping[int, tuple[str, _Writer]]:
    return {field.number: (field.json_name, _field_writer(field)) for field in descriptor.fields}


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _field_writer(field: FieldDescriptor) -> _Writer:
    if _is_map(field):
        write_value = _value_writer(field.message_type.fields_by_name["value"])
        return lambda entries: {_map_key(key): write_value(entries[key]) for key in entries}
    write = _value_writer(field)
    if field.is_repeated:
        return lambda items: [write(item) for item in items]
    return write


def _value_writer(field: FieldDescriptor) -> _Writer:
    if field.message_type is not None:
        return _message_writer(field.message_type)
    if field.enum_type is not None:
        return _enum_writer(field.enum_type)
    if field.cpp_type in _INT64:
        return str
    if field.cpp_type in _FLOATS:
        is_single = field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT
        return lambda value: _float(value, is_single)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda content: base64.b64encode(content).decode()
    return lambda value: value


def _message_writer(descriptor: Descriptor) -> _Writer:
    if descriptor.full_name in _TEXT_TIMES:
        return lambda message: message.ToJsonString()
    if descriptor.full_name.startswith("google.protobuf."):
        return json_format.MessageToDict
    return rest_json


def _enum_writer(descriptor: EnumDescriptor) -> _Writer:
    names = {value.number: value.name for value in descriptor.values}
    return lambda number: names.get(number, number)


def _float(value: float, is_single: bool) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return _shortest_single(value) if is_single else value


def _shortest_single(value: float) -> float:
    packed = _FLOAT32.pack(value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if _FLOAT32.pack(short) == packed:
            return short
    return float(f"{value:.9g}")


def _map_key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)


def _unknown_fields(message: Message, path: str) -> list[dict[str, Any]]:
    """Return unknown fields of the message and, but for words, of all messages within it."""
    found = [
        {"path": path, "number": field.field_number, "data": _plain(field.data)}
        for field in UnknownFieldSet(message)
    ]
    for field, value in message.ListFields():
        if field.message_type is None or field.name == "words":
            continue
        for step, inner in _inner_messages(field, value):
            found += _unknown_fields(inner, f"{path}/{step}")
    return found


def _inner_messages(field: FieldDescriptor, value: Any) -> list[tuple[str, Message]]:
    if _is_map(field):
        if field.message_type.fields_by_name["value"].message_type is None:
            return []
        return [(f"{field.json_name}/{key}", value[key]) for key in value]
    if field.is_repeated:
        return [(f"{field.json_name}/{index}", item) for index, item in enumerate(value)]
    return [(field.json_name, value)]


def _plain(data: Any) -> Any:
    if isinstance(data, bytes):
        return {"base64": base64.b64encode(data).decode()}
    if isinstance(data, int):
        return str(data)
    return [{"number": field.field_number, "data": _plain(field.data)} for field in data]
