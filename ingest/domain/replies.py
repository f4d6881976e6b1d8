"""Replies of two services to the same calls, and what differs in them.

A reply is scrubbed when it is recorded: a message is an object with its type under `@`, a string
is `text` or a resource's name without its ids, a time is `time`. So no conversation's words, no id
and no project is in a record. Numbers are compared as `number`: a model's score is its own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

TYPE = "@"
"""Where a scrubbed message says its type."""
ANALYSES = {"CreateAnalysis": 1, "BulkAnalyzeConversations": 4}
"""What a call of the contract's cases has analysed at most."""
_CALL = "call"


@dataclass(frozen=True)
class Reply:
    """What a service answered to one call of one case; `body` is None when it refused."""

    case: str
    method: str
    code: str
    body: Any


@dataclass(frozen=True)
class ReplyDifference:
    """A field of a message that the two services fill otherwise, and the cases that show it.

    `message` is a method where they end with other codes (`code`), or where just one was called
    (`call`). Values are shapes, sorted: an enum's value, true, number, text, time, a name.
    """

    message: str
    field: str
    service: tuple[str, ...]
    emulator: tuple[str, ...]
    cases: tuple[str, ...]


def read_replies(lines: Iterable[str]) -> list[Reply]:
    """Return the replies of a record, one JSON object a line; a torn last line is left out."""
    found = []
    for line in lines:
        try:
            found.append(Reply(**json.loads(line)))
        except ValueError:
            continue
    return found


def compare(service: Iterable[Reply], emulator: Iterable[Reply]) -> tuple[ReplyDifference, ...]:
    """Return every difference, by message and field; cases that just one ran are left out."""
    ours, theirs = _by_case(service), _by_case(emulator)
    found: defaultdict[tuple[str, str, tuple[str, ...], tuple[str, ...]], set[str]]
    found = defaultdict(set)
    for case in ours.keys() & theirs.keys():
        one, other = ours[case], theirs[case]
        for message, field in one.keys() | other.keys():
            shapes, expected = one[message, field], other[message, field]
            if shapes != expected:
                key = (message, field, tuple(sorted(shapes)), tuple(sorted(expected)))
                found[key].add(case)
    return tuple(
        ReplyDifference(*key, tuple(sorted(cases))) for key, cases in sorted(found.items())
    )


type _Shapes = defaultdict[tuple[str, str], set[str]]


def _by_case(replies: Iterable[Reply]) -> dict[str, _Shapes]:
    """Return the shapes of each field by case; how often a method was called doesn't matter."""
    found: dict[str, _Shapes] = {}
    for reply in replies:
        shapes = found.setdefault(reply.case, defaultdict(set))
        shapes[reply.method, _CALL].add("made")
        shapes[reply.method, "code"].add(reply.code)
        for message, field, shape in _facts(reply.body):
            shapes[message, field].add(shape)
    return found


def _facts(value: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _facts(each)
    elif isinstance(value, dict):
        for field, held in value.items():
            if field == TYPE:
                continue
            for each in held if isinstance(held, list) else [held]:
                yield value[TYPE], field, _shape(each)
            yield from _facts(held)


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return str(value[TYPE])
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else "number"
