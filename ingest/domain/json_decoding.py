"""The JSON of a delivered file as BigQuery can hold it, or every fault of its bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson

from ingest.domain.faults import Fault, json_pointer

MAX_JSON_DEPTH = 500
"""Levels that BigQuery's JSON type holds (its documentation, "JSON data type")."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SHAPE = bytes(
    b"0"[0]
    if byte in b"0123456789."
    else b"e"[0]
    if byte in b"eE"
    else byte
    if byte == b"-"[0]
    else b":"[0]
    if byte in b":,[ \t\r\n"
    else b"x"[0]
    for byte in range(256)
)
"""Digits become 0, and what may stand before a number a colon: so numbers are found by bytes."""
_LONG = b"0" * 16
_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**64 - 1
"""What BigQuery's JSON type holds exactly: INT64 and UINT64; the rest it rounds to FLOAT64."""


def decode_json(content: bytes, path: str) -> tuple[Any, list[Fault]]:
    """Return the JSON value of a file's bytes, or why BigQuery couldn't hold it exactly.

    A byte order mark is fine. Refused are: what isn't UTF-8 or JSON, keys that come twice in one
    object (only one would stay), numbers that BigQuery would round, half characters, and nesting
    beyond its limit.
    """
    content = content.removeprefix(BYTE_ORDER_MARK)
    brackets = content.count(b"[") + content.count(b"{")
    if brackets > MAX_JSON_DEPTH and _depth(content) > MAX_JSON_DEPTH:
        return None, [_depth_fault(path)]
    found: list[_Odd] = []
    hooks: dict[str, Any] = {}
    if has_long_number(content):
        hooks = {"parse_int": _integer, "parse_float": _decimal}
    try:
        if not hooks and b"\\u" not in content:
            value = orjson.loads(content)
            if _has_each_key_once(content, value):
                return value, []
        if b"\\u" in content:
            # The standard library's parser lets half a surrogate pair pass.
            orjson.loads(content)
        value = json.loads(
            content.decode(),
            object_pairs_hook=lambda pairs: _object(pairs, found),
            parse_constant=_no_number,
            **hooks,
        )
    except ValueError:
        return None, [_json_fault(content, path)]
    faults = [] if not found and not hooks else list(_odd_values(value, (), path))
    return (None if faults else value), faults


_BLANK_BEFORE_COLON = re.compile(rb'"\s+:')


def _has_each_key_once(content: bytes, value: Any) -> bool:
    """Return whether no key surely came twice: as many end in the file as in its value.

    What looks like the end of a key in a text looks so in both, but for escapes and blanks, with
    which this says no. It takes a third of the time of looking at each object.
    """
    written = orjson.dumps(value)
    return (
        content.count(b'":') == written.count(b'":') and _BLANK_BEFORE_COLON.search(content) is None
    )


def has_long_number(content: bytes) -> bool:
    """Return whether JSON may hold a number of more digits than a float keeps, or an exponent."""
    shape = (b":" + content).translate(_SHAPE)
    if b":" + _LONG in shape or b":-" + _LONG in shape:
        return True
    at = shape.find(b"0e")
    while at >= 0:
        # An id may hold 1e too; a number stands behind a colon, a comma, a bracket or a blank.
        before = shape[max(0, at - 40) : at].rstrip(b"0")
        if not before or before.endswith((b":", b":-")):
            return True
        at = shape.find(b"0e", at + 2)
    return False


def _no_number(name: str) -> Any:
    raise ValueError(name)


_TOO_WIDE = (
    "BigQuery's JSON can't hold this number exactly and would round it",
    "send it as a string, or with fewer digits",
)


class _Odd:
    """Stands in a parsed value for a part that must be refused."""

    def __init__(self, rule: str, value: Any = None) -> None:
        self.rule = rule
        self.value = value


def _object(pairs: list[tuple[str, Any]], found: list[_Odd]) -> Any:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    seen = set[str]()
    for key, each in pairs:
        if key in seen:
            found.append(odd := _Odd("duplicate_key", each))
            value[key] = odd
        seen.add(key)
    return value


def _integer(text: str) -> Any:
    # Python refuses to read integers of more than 4,300 digits.
    if len(text) <= 20 and _SMALLEST_INTEGER <= (number := int(text)) <= _LARGEST_INTEGER:
        return number
    return _Odd("number_too_wide")


def _decimal(text: str) -> Any:
    number = float(text)
    return number if Decimal(text) == Decimal(repr(number)) else _Odd("number_too_wide")


def _odd_values(value: Any, keys: tuple[str | int, ...], path: str) -> Iterator[Fault]:
    if isinstance(value, _Odd):
        yield _odd_fault(value, keys, path)
        value = value.value
    inner = enumerate(value) if isinstance(value, list) else ()
    for key, each in value.items() if isinstance(value, dict) else inner:
        if isinstance(each, (dict, list, _Odd)):
            yield from _odd_values(each, (*keys, key), path)


def _odd_fault(odd: _Odd, keys: tuple[str | int, ...], path: str) -> Fault:
    if odd.rule == "duplicate_key":
        message, hint = "the key comes twice in one object", "keep one of the two"
    else:
        message, hint = _TOO_WIDE
    return Fault(path, json_pointer(*keys), odd.rule, message, hint)


def _depth(content: bytes) -> int:
    """Return how deep the JSON is nested; brackets in strings don't count."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(content):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in b"]}":
            depth -= 1
    return deepest


_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{}]')


def _depth_fault(path: str) -> Fault:
    return Fault(
        path,
        "",
        "nested_too_deep",
        f"the file is nested deeper than {MAX_JSON_DEPTH} levels, which BigQuery can't hold",
        "check what wrote it; a conversation needs five levels",
    )


def _json_fault(content: bytes, path: str) -> Fault:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        message = f"the file isn't plain UTF-8 at byte {error.start}"
        return Fault(path, "", "not_utf8", message, "save it as UTF-8")
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError as error:
        reason, position = error.msg if content.strip() else "it is empty", error.pos
        place = f"line {error.lineno}, column {error.colno}"
    else:
        # Only the standard library's parser refuses it: an integer of thousands of digits.
        return Fault(path, "", "number_too_wide", *_TOO_WIDE)
    hint = f"look at {place}; a file that was cut off ends too early"
    if "surrogate" in reason:
        message = f"an escape \\ud800 to \\udfff stands alone at {place}: half a character"
        return Fault(path, "", "lone_surrogate", message, "write the pair, or the character itself")
    if "infinity" in reason:
        return Fault(path, "", "number_too_wide", f"{_TOO_WIDE[0]} ({place})", _TOO_WIDE[1])
    if position < len(text) and ord(text[position]) < 0x20:
        reason = "a raw control character stands in a string"
        hint = f"look at {place}; write it as an escape, for example \\n or \\u0000"
    return Fault(path, "", "not_json", f"the file isn't JSON: {reason} at {place}", hint)
