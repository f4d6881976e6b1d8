"""proto3 JSON as the service's REST front reads and writes it.

Reading follows a message's descriptor: fields in either spelling, unknown ones refused with their
path, masks in snake case too, and fields that only REST knows kept with their message
(`wire.add_rest_fields`). Writing gives default values no room, as Google's front does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import json_format, message_factory, symbol_database

from ingest.emulator import protos, wire
from ingest.emulator.errors import ApiError, bad_field
from ingest.emulator.rest_digest import rest_only_fields, rest_only_values

Json = Any
Place = tuple[str | int, ...]
"""Where a message lies in the request: Python names of fields, indexes, and keys of maps."""
_MASK = protos.FieldMask.DESCRIPTOR.full_name
_WELL_KNOWN = "google.protobuf."
_ANY = protos.Any_.DESCRIPTOR.full_name
_JSON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str, "boolean": bool, "integer": (int, str), "object": dict, "array": list
}  # fmt: skip
_FAILED_FIELD = re.compile(r"Failed to parse (\w+) field")
_SNAKE = re.compile(r"_([a-z])")


def read_message(content: Json, message: protos.Pb) -> None:
    """Fill a message from JSON; raise INVALID_ARGUMENT with the path of what doesn't fit."""
    if not isinstance(content, dict):
        raise bad_json("", "the root must be an object")
    further: list[tuple[Place, dict[str, Json]]] = []
    plain = _checked(content, message.DESCRIPTOR, (), further)
    try:
        json_format.ParseDict(plain, message)
    except json_format.ParseError as error:
        where = ".".join(_FAILED_FIELD.findall(str(error)))
        raise bad_json(where, _reason(error)) from error
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise bad_json("", type(error).__name__) from error
    for place, fields in further:
        wire.add_rest_fields(_at(message, place), fields)


def read_query(given: Iterator[tuple[str, str]], message: protos.Pb) -> dict[str, Json]:
    """Return query parameters as the JSON of a message; a repeated field takes each value."""
    tree: dict[str, Json] = {}
    for path, value in given:
        target, descriptor = tree, message.DESCRIPTOR
        *parents, name = path.split(".")
        for parent in parents:
            field = _field(descriptor, parent)
            if field is None or field.message_type is None or not _may_nest(field):
                raise _unknown(path, "")
            target = target.setdefault(field.json_name, {})
            descriptor = field.message_type
        field = _field(descriptor, name)
        if field is None or (field.message_type and not _is_scalar(field.message_type)):
            raise _unknown(path, "")
        parsed: Json = value
        if field.type == field.TYPE_BOOL:
            if value not in ("true", "false"):
                raise bad_json(path, f"'{value}' is neither true nor false")
            parsed = value == "true"
        if field.is_repeated:
            target.setdefault(field.json_name, []).append(parsed)
        else:
            target[field.json_name] = parsed
    return tree


def write_message(message: protos.Pb, serialized: bytes, enums_as_ints: bool) -> dict[str, Json]:
    """Return a message as JSON, with what only REST knows of it."""
    content: dict[str, Json] = json_format.MessageToDict(
        message, use_integers_for_enums=enums_as_ints
    )
    if wire.REST_TAG in serialized:
        _add_rest_fields(content, message)
    return content


def select(content: Json, fields: str) -> Json:
    """Return what a `fields` parameter names: `a,b(c,d),e/f`, or `*` for everything."""
    tree, rest = _selection(fields)
    if rest:
        raise bad_json("fields", f"Invalid field selection {fields}")
    return _selected(content, tree)


def bad_json(where: str, reason: str) -> ApiError:
    """Return INVALID_ARGUMENT with google.rpc.BadRequest, as Google's front refuses a payload."""
    return bad_field(where, f"Invalid JSON payload received. {reason}.")


def _unknown(name: str, where: str) -> ApiError:
    at = f" at '{where}'" if where else ""
    return bad_json(where, f'Unknown name "{name}"{at}: Cannot find field')


def _reason(error: json_format.ParseError) -> str:
    """Return the library's reason without a final full stop, and never too long."""
    return str(error).strip().rstrip(".")[:400]


def _field(descriptor: Any, name: str) -> Any:
    for field in descriptor.fields:
        if name in (field.json_name, field.name, field.name.rstrip("_")):
            return field
    return None


def _may_nest(field: Any) -> bool:
    return not field.is_repeated and not field.message_type.full_name.startswith(_WELL_KNOWN)


def _is_scalar(message_type: Any) -> bool:
    """Return whether a message is a single value in JSON: a time, a duration, a mask, a wrapper."""
    name = message_type.full_name
    return bool(
        name.startswith(_WELL_KNOWN)
        and name not in ("google.protobuf.Struct", "google.protobuf.Any")
    )


def _checked(
    content: dict[str, Json], descriptor: Any, place: Place, further: list[Any]
) -> dict[str, Json]:
    """Return the JSON that protobuf knows how to read; collect what only REST knows."""
    plain: dict[str, Json] = {}
    rest_only: dict[str, Json] = {}
    known = rest_only_fields(descriptor.full_name)
    values = rest_only_values(descriptor.full_name)
    for key, value in content.items():
        field = _field(descriptor, key)
        if field is None and key in known:
            if value is not None and not isinstance(value, _JSON_TYPES[known[key]]):
                raise bad_json(_dotted((*place, key)), f"'{key}' takes {known[key]}")
            rest_only[key] = value
        elif field is None:
            raise _unknown(key, _dotted(place))
        elif value is None:
            continue
        elif isinstance(value, str) and value in values.get(field.json_name, ()):
            rest_only[field.json_name] = value
        else:
            plain[field.json_name] = _checked_value(value, field, (*place, field.name), further)
    if rest_only:
        further.append((place, rest_only))
    return plain


def _checked_value(value: Json, field: Any, place: Place, further: list[Any]) -> Json:
    message_type = field.message_type
    if message_type is None:
        return value
    if message_type.GetOptions().map_entry:
        inner = message_type.fields_by_name["value"]
        if inner.message_type is None or not isinstance(value, dict):
            return value
        return {
            k: _checked_one(v, inner.message_type, (*place, k), further) for k, v in value.items()
        }
    if field.is_repeated:
        if not isinstance(value, list):
            raise bad_json(_dotted(place), f"'{field.json_name}' takes a list")
        return [
            _checked_one(each, message_type, (*place, index), further)
            for index, each in enumerate(value)
        ]
    return _checked_one(value, message_type, place, further)


def _checked_one(value: Json, message_type: Any, place: Place, further: list[Any]) -> Json:
    if message_type.full_name == _MASK:
        return camel_mask(value) if isinstance(value, str) else value
    if message_type.full_name.startswith(_WELL_KNOWN):
        return value
    if not isinstance(value, dict):
        raise bad_json(_dotted(place), f"'{_dotted(place)}' takes an object")
    if len(place) > 100:
        raise bad_json(_dotted(place[:3]), "nested too deep")
    return _checked(value, message_type, place, further)


def camel_mask(mask: str) -> str:
    """Return a mask as proto3 JSON writes it; clients send snake case as well."""
    return _SNAKE.sub(lambda found: found[1].upper(), mask)


def _dotted(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _at(message: protos.Pb, place: Place) -> protos.Pb:
    for part in place:
        try:
            message = getattr(message, part) if isinstance(part, str) else message[part]
        except AttributeError:
            message = message[part]
    if not place:
        return message
    if hasattr(message, "SetInParent"):
        message.SetInParent()
    return message


def _add_rest_fields(content: dict[str, Json], message: protos.Pb) -> None:
    content.update(wire.rest_fields(message))
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.full_name == _ANY:
            if not field.is_repeated:
                _add_rest_fields(content[field.json_name], unpacked(value))
            continue
        if field.message_type is None or field.message_type.full_name.startswith(_WELL_KNOWN):
            continue
        inner = content[field.json_name]
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for key in value:
                    _add_rest_fields(inner[str(key)], value[key])
        elif field.is_repeated:
            for each, item in zip(inner, value, strict=True):
                _add_rest_fields(each, item)
        else:
            _add_rest_fields(inner, value)


def unpacked(wrapped: protos.Pb) -> protos.Pb:
    """Return the message in an Any."""
    known = symbol_database.Default().pool.FindMessageTypeByName(wrapped.TypeName())
    return message_factory.GetMessageClass(known).FromString(wrapped.value)


def _selection(text: str, depth: int = 0) -> tuple[dict[str, Json], str]:
    """Return the tree of a selection, and what stands behind it."""
    tree: dict[str, Json] = {}
    while True:
        found = re.match(r"\s*([A-Za-z0-9_*]+(?:/[A-Za-z0-9_*]+)*)\s*", text)
        if not found or depth > 20:
            raise bad_json("fields", "Invalid field selection")
        text, inner = text[found.end() :], None
        if text.startswith("("):
            inner, text = _selection(text[1:], depth + 1)
            if not text.startswith(")"):
                raise bad_json("fields", "Invalid field selection")
            text = text[1:].lstrip()
        first, *rest = found[1].split("/")
        for name in reversed(rest):
            inner = {name: inner}
        _join(tree, {first: inner})
        if not text.startswith(","):
            return tree, text
        text = text[1:]


def _join(tree: dict[str, Json], other: dict[str, Json]) -> None:
    """Add a selection to another; what is wanted whole stays whole."""
    for name, inner in other.items():
        if name in tree and tree[name] is not None and inner is not None:
            _join(tree[name], inner)
        else:
            tree[name] = None if name in tree else inner


def _selected(content: Json, tree: Mapping[str, Json] | None) -> Json:
    if not tree or "*" in tree:
        return content
    if isinstance(content, list):
        return [_selected(each, tree) for each in content]
    if not isinstance(content, dict):
        return content
    return {key: _selected(content[key], tree[key]) for key in content if key in tree}
