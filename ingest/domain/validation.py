"""Is a file a conversation file? Parsing with every fault found, and none of the text told.

`parse_file` judges one file alone; `check_conversation` judges what only shows when folder,
metadata and transcript are seen together. Both are pure: bytes in, faults out.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterator

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ingest.domain.conversation import (
    SCHEMA_VERSION,
    FileKind,
    Metadata,
    Transcription,
    Turn,
)
from ingest.domain.conversation_rules import check_conversation
from ingest.domain.fault import Fault, Severity, json_pointer

__all__ = [
    "MAX_FILE_BYTES",
    "Fault",
    "Severity",
    "check_conversation",
    "has_errors",
    "parse_file",
]

MAX_FILE_BYTES = 20_000_000
"""A day of talk is under 2 MB; far more is a wrong file, and would be held in memory whole."""

_MODELS: dict[FileKind, type[Metadata] | type[Transcription]] = {
    FileKind.METADATA: Metadata,
    FileKind.TRANSCRIPTION: Transcription,
}
_RULES = {
    "missing": ("missing_field", "add the field"),
    "enum": ("unknown_value", "use one of the values named, spelled exactly so"),
    "string_too_short": ("empty_text", "give it a value, or leave the turn or field out"),
    "string_too_long": ("text_too_long", "shorten it"),
    "too_short": ("empty_list", "give at least one element"),
    "timezone_aware": ("timezone_missing", "add the offset, for example +10:00"),
    "greater_than_equal": ("negative_number", "give zero or more"),
    "finite_number": ("wrong_type", "give a finite number"),
    "string_pattern_mismatch": ("bad_label_key", "use lower-case letters, digits and _"),
}
_TIMESTAMP_HINT = "write RFC 3339 with an offset, for example 2025-12-28T10:22:48+10:00"


def parse_file(
    kind: FileKind, content: bytes, path: str, *, max_bytes: int = MAX_FILE_BYTES
) -> tuple[Metadata | Transcription | None, list[Fault]]:
    """Return the file's model and all its faults; the model is None when a fault is an error.

    `path` is only copied into the faults. Unknown fields stay in the model and give warnings.
    """
    if len(content) > max_bytes:
        message = f"the file has {len(content):,} bytes, the limit is {max_bytes:,}"
        return None, [Fault(path, "", "file_too_large", message, "split or remove the file")]
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError as error:
        return None, [_json_fault(content, error, path)]
    try:
        parsed = _MODELS[kind].model_validate_json(content, strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        return None, [_schema_fault(detail, path) for detail in details]
    faults = [*_version_faults(parsed, path), *_unknown_fields(parsed, path)]
    if isinstance(parsed, Transcription):
        faults.extend(_blank_turns(parsed, path))
    else:
        faults.extend(_times_without_utc(parsed, path))
    return (None if has_errors(faults) else parsed), faults


def has_errors(faults: list[Fault], *, strict: bool = False) -> bool:
    """Return whether the faults keep the file out; with `strict` warnings do so too."""
    return any(strict or fault.severity is Severity.ERROR for fault in faults)


def _json_fault(content: bytes, error: orjson.JSONDecodeError, path: str) -> Fault:
    if "UTF-8" in error.msg:
        offset = _bad_byte(content)
        place = "" if offset is None else f" at byte {offset}"
        return Fault(
            path,
            "",
            "not_utf8",
            f"the file isn't plain UTF-8{place}",
            "save it as UTF-8 without a byte order mark",
        )
    place = f"line {error.lineno}, column {error.colno}"
    return Fault(
        path,
        "",
        "not_json",
        f"the file isn't JSON: {error.msg} at {place}",
        f"look at {place}; a file that was cut off ends too early",
    )


def _bad_byte(content: bytes) -> int | None:
    if content.startswith(b"\xef\xbb\xbf"):
        return 0
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _schema_fault(detail: ErrorDetails, path: str) -> Fault:
    type_ = detail["type"]
    keys = [key for key in detail["loc"] if key != "[key]"]
    rule, hint = _RULES.get(type_, ("wrong_type", "give the type that the schema names"))
    if type_.startswith(("datetime", "date_")):
        rule, hint = "bad_timestamp", _TIMESTAMP_HINT
    message = "the field is missing" if type_ == "missing" else _lower_first(detail["msg"])
    return Fault(path, json_pointer(*keys), rule, message, hint)


def _times_without_utc(metadata: Metadata, path: str) -> Iterator[Fault]:
    for name in ("started_at", "ended_at"):
        try:
            getattr(metadata, name).astimezone(dt.UTC)
        except OverflowError:
            message = "the time lies outside the years 1 to 9999 in UTC"
            yield Fault(path, f"/{name}", "bad_timestamp", message, _TIMESTAMP_HINT)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _version_faults(parsed: Metadata | Transcription, path: str) -> Iterator[Fault]:
    if parsed.schema_version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        yield Fault(
            path,
            "/schema_version",
            "unknown_schema_version",
            f"the file doesn't state version {SCHEMA_VERSION}",
            f"this release reads {SCHEMA_VERSION}; other fields may mean something else",
            Severity.WARNING,
        )


def _unknown_fields(parsed: Metadata | Transcription, path: str) -> Iterator[Fault]:
    if parsed.__pydantic_extra__:
        yield from _unknown_in(parsed, path, ())
    if isinstance(parsed, Transcription):
        for index, turn in enumerate(parsed.turns):
            if turn.__pydantic_extra__:
                yield from _unknown_in(turn, path, ("turns", index))


def _unknown_in(model: BaseModel, path: str, prefix: tuple[str | int, ...]) -> Iterator[Fault]:
    known = type(model).model_fields
    for name in model.model_extra or {}:
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        yield Fault(
            path,
            json_pointer(*prefix, name),
            "unknown_field",
            "the format has no such field",
            f"{guess}the field is kept and landed as it is",
            Severity.WARNING,
        )


def _blank_turns(parsed: Transcription, path: str) -> Iterator[Fault]:
    for index, turn in enumerate(parsed.turns):
        if turn.text.isspace():
            yield _blank_turn(turn, index, path)


def _blank_turn(turn: Turn, index: int, path: str) -> Fault:
    return Fault(
        path,
        json_pointer("turns", index, "text"),
        "empty_text",
        f"the turn has {len(turn.text)} blanks and no text",
        "leave the turn out",
    )
