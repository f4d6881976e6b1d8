"""Records replies as `ingest.domain.replies` reads them, and keeps to a number of analyses.

INSIGHTS_CONTRACT_RECORD is the file that gets a line for each reply, INSIGHTS_CONTRACT_ANALYSES how
many analyses the cases of a process may ask for: who wants more is skipped.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory, symbol_database
from google.protobuf.descriptor import FieldDescriptor

from ingest.domain.replies import ANALYSES, TYPE, Reply
from ingest.emulator import protos

_NAME = re.compile(r"[a-z][A-Za-z]+/[^/]+(/[a-z][A-Za-z]+/[^/]+)*")
_PLAIN = {"google.protobuf.Timestamp": "time", "google.protobuf.Duration": "duration"}
_asked = 0


def scrubbed(message: Any) -> Any:
    """Return a message without words, ids and times; see `ingest.domain.replies`."""
    kind = message.DESCRIPTOR.full_name
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "google.protobuf.Any":
        known = symbol_database.Default().pool.FindMessageTypeByName(message.TypeName())
        return scrubbed(message_factory.GetMessageClass(known).FromString(message.value))
    found: dict[str, Any] = {TYPE: kind.removeprefix(f"{protos.PACKAGE}.")}
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"]
            found[field.name] = [_value(inner, each) for each in value.values()]
        elif field.is_repeated:
            found[field.name] = [_value(field, each) for each in value]
        else:
            found[field.name] = _value(field, value)
    return found


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return scrubbed(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else "unknown enum value"
    if isinstance(value, str):
        named = _NAME.fullmatch(value) and len(value.split("/")) % 2 == 0
        return re.sub(r"/[^/]+(/|$)", r"/*\1", value) if named else "text"
    return "bytes" if isinstance(value, bytes) else value


class ReplyRecorder(grpc.UnaryUnaryClientInterceptor):
    """Writes a line for each reply of one case, as soon as it is there."""

    def __init__(self, case: str, path: Path) -> None:
        self._case = case
        self._path = path

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        """Let the call happen, unless it has more analysed than is allowed."""
        method = details.method.rpartition("/")[2]
        wanted = _admit(method)
        call = continuation(details, request)
        code, body = call.code().name, None
        if code != "OK":
            _give_back(wanted)
        else:
            reply = call.result()
            reply = getattr(type(reply), "pb", lambda plain: plain)(reply)
            if getattr(reply, "done", True) is not True:
                return call  # how often an operation is looked at is the service's pace
            body = scrubbed(reply)
        line = json.dumps(dataclasses.asdict(Reply(self._case, method, code, body)))
        with self._path.open("a", encoding="utf-8") as record:
            record.write(line + "\n")
        return call


def _admit(method: str) -> int:
    """Return how many analyses the call may ask for; skip the case beyond what is allowed."""
    global _asked
    allowed = os.environ.get("INSIGHTS_CONTRACT_ANALYSES")
    wanted = ANALYSES.get(method, 0)
    if allowed is not None and _asked + wanted > int(allowed):
        pytest.skip("the budget of analyses is used up")
    _asked += wanted
    return wanted


def _give_back(count: int) -> None:
    """A refused call costs nothing."""
    global _asked
    _asked -= count


def recorded(channel: grpc.Channel, case: str) -> grpc.Channel:
    """Return the channel; its replies are recorded where a record is wanted."""
    path = os.environ.get("INSIGHTS_CONTRACT_RECORD")
    return grpc.intercept_channel(channel, ReplyRecorder(case, Path(path))) if path else channel
