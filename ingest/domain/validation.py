"""Is a file a conversation file? Parsing with every fault found, and none of the text told.

`parse_file` judges one file alone; `check_conversation` judges what only shows when folder,
metadata and transcript are seen together; `check_delivery` does both for all that a folder holds.
They are pure: bytes in, faults out.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ingest.domain.conversation import (
    CONVERSATION_ID_PATTERN,
    READABLE_MAJOR_VERSIONS,
    UUID_PATTERN,
    DeliveredFile,
    FileKind,
    Metadata,
    Transcription,
    Turn,
)
from ingest.domain.declarations import NOTHING_DECLARED, Declarations
from ingest.domain.faults import Fault, Severity, has_errors, json_pointer
from ingest.domain.insights_format import MAX_LABEL_CHARS, MAX_LABELS, PIPELINE_LABELS
from ingest.domain.json_decoding import BYTE_ORDER_MARK, decode_json

DURATION_TOLERANCE_SEC = 1.0
"""Recorders round start, end and duration on their own."""

_PHONE_KEY = re.compile(r"phone|mobile")
_PHONE = re.compile(r"\+?[0-9(][0-9() -]{4,18}[0-9]")
_EMAIL_KEY = re.compile(r"e_?mail")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


def check_conversation(
    folder_name: str,
    batch_date: dt.date,
    metadata: Metadata | None,
    transcription: Transcription | None,
    declared: Declarations = NOTHING_DECLARED,
) -> list[Fault]:
    """Return the faults that show when the files are seen with their folder, each other, and
    what is declared of words and fields.

    A file that is None (missing, or unusable by `parse_file`) is not judged.
    """
    folder = f"{batch_date.isoformat()}/{folder_name}"
    faults = list(_folder_faults(folder, folder_name))
    if metadata is not None:
        path = f"{folder}/{FileKind.METADATA.value}.json"
        faults.extend(_id_faults(path, folder_name, metadata.conversation_id))
        faults.extend(_time_faults(path, batch_date, metadata))
        faults.extend(_label_faults(path, metadata, declared))
        faults.extend(_declared_faults(path, metadata, declared))
        faults.extend(_contact_faults(path, metadata))
    if transcription is not None:
        path = f"{folder}/{FileKind.TRANSCRIPTION.value}.json"
        faults.extend(_id_faults(path, folder_name, transcription.conversation_id))
        faults.extend(_order_faults(path, transcription))
        faults.extend(_turn_end_faults(path, transcription))
        if metadata is not None:
            faults.extend(_end_faults(path, metadata, transcription))
    return faults


def _folder_faults(folder: str, folder_name: str) -> Iterator[Fault]:
    if not CONVERSATION_ID_PATTERN.fullmatch(folder_name):
        yield Fault(
            folder,
            "",
            "bad_conversation_id",
            "the folder's name can't be a conversation id",
            "use 4 to 64 lower-case letters, digits or hyphens",
        )
    elif not UUID_PATTERN.fullmatch(folder_name):
        yield Fault(
            folder,
            "",
            "id_not_uuid",
            "the conversation id is no UUID",
            "a UUID can't clash with another system's ids",
            Severity.WARNING,
        )


def _id_faults(path: str, folder_name: str, conversation_id: str) -> Iterator[Fault]:
    if conversation_id != folder_name:
        yield Fault(
            path,
            "/conversation_id",
            "id_differs_from_folder",
            "conversation_id and the folder's name differ",
            "give folder and both files one id; a copied folder keeps the old one",
        )


def _time_faults(path: str, batch_date: dt.date, metadata: Metadata) -> Iterator[Fault]:
    lasts = (metadata.ended_at - metadata.started_at).total_seconds()
    if lasts < 0:
        yield Fault(
            path,
            "/ended_at",
            "ends_before_start",
            "ended_at is before started_at",
            "check the two clocks and offsets",
        )
    elif abs(lasts - metadata.duration_sec) > DURATION_TOLERANCE_SEC:
        yield Fault(
            path,
            "/duration_sec",
            "duration_differs",
            f"duration_sec is {metadata.duration_sec:g}, ended_at - started_at is {lasts:g}",
            "give the seconds between started_at and ended_at",
        )
    local = metadata.started_at.date()
    if batch_date == local:
        return
    if batch_date < min(local, metadata.started_at.astimezone(dt.UTC).date()):
        yield Fault(
            path,
            "/started_at",
            "folder_date_before_call",
            f"the folder's date is before the call's date, {local.isoformat()}",
            "move the folder to the call's date, or correct started_at",
        )
        return
    yield Fault(
        path,
        "/started_at",
        "folder_date_differs",
        f"the folder's date isn't the call's date, {local.isoformat()}",
        "fine for a late delivery; else name folders by the call's own time zone",
        Severity.WARNING,
    )


def _declared_faults(path: str, metadata: Metadata, declared: Declarations) -> Iterator[Fault]:
    for keys, rule, message, hint, is_error in declared.problems(metadata):
        severity = Severity.ERROR if is_error else Severity.WARNING
        yield Fault(path, json_pointer(*keys), rule, message, hint, severity)


def _label_faults(path: str, metadata: Metadata, declared: Declarations) -> Iterator[Fault]:
    asked = declared.labels(metadata) if metadata.custom else {}
    set_by_us = PIPELINE_LABELS | asked.keys()
    if len(set_by_us | metadata.labels.keys()) > MAX_LABELS:
        yield Fault(
            path,
            "/labels",
            "too_many_labels",
            f"{len(metadata.labels)} labels and the pipeline's own are over {MAX_LABELS}",
            f"give at most {MAX_LABELS - len(set_by_us)} labels",
        )
    for key in sorted(metadata.labels.keys() & PIPELINE_LABELS) if metadata.labels else ():
        yield Fault(
            path,
            json_pointer("labels", key),
            "reserved_label",
            "the pipeline sets this label itself",
            "choose another name; this value isn't used",
            Severity.WARNING,
        )
    for name in ("queue", "agent_team", "agent_site", "portfolio_id", "campaign_id"):
        value = getattr(metadata, name)
        if value is not None and len(value) > MAX_LABEL_CHARS:
            yield Fault(
                path,
                f"/{name}",
                "label_too_long",
                f"the value has {len(value)} characters; as a label it holds {MAX_LABEL_CHARS}",
                "shorten it; the label in Insights is cut",
                Severity.WARNING,
            )


def _contact_faults(path: str, metadata: Metadata) -> Iterator[Fault]:
    for prefix, fields in (((), metadata.model_extra), (("labels",), metadata.labels)):
        for key, value in (fields or {}).items():
            for name, shape, rule in (
                (_PHONE_KEY, _PHONE, "phone_shape"),
                (_EMAIL_KEY, _EMAIL, "email_shape"),
            ):
                if name.search(key) and isinstance(value, str) and not shape.fullmatch(value):
                    yield Fault(
                        path,
                        json_pointer(*prefix, key),
                        rule,
                        "the value doesn't have the shape that its name promises",
                        "correct the value or rename the field",
                        Severity.WARNING,
                    )


def _order_faults(path: str, transcription: Transcription) -> Iterator[Fault]:
    wrong = [i for i, turn in enumerate(transcription.turns) if turn.turn_index != i]
    if wrong:
        first = wrong[0]
        yield Fault(
            path,
            json_pointer("turns", first, "turn_index"),
            "turn_index_out_of_order",
            f"turn_index is {transcription.turns[first].turn_index} where {first} is expected; "
            f"out of order: {len(wrong)} of {len(transcription.turns)} turns",
            "number the turns 0, 1, 2, … in the order of the list",
        )
    before = 0.0
    for index, turn in enumerate(transcription.turns):
        offset = turn.start_offset_sec
        if offset < before:
            yield Fault(
                path,
                json_pointer("turns", index, "start_offset_sec"),
                "offset_decreases",
                f"the turn starts at {offset:g} s, the one before at {before:g} s",
                "sort the turns by time",
            )
        before = offset


def _end_faults(path: str, metadata: Metadata, transcription: Transcription) -> Iterator[Fault]:
    last = transcription.turns[-1].start_offset_sec
    ends = [turn.end_offset_sec or 0.0 for turn in transcription.turns]
    latest = max(range(len(ends)), key=ends.__getitem__)
    for index, name, does, offset in (
        (len(ends) - 1, "start_offset_sec", "starts", last),
        (latest, "end_offset_sec", "ends", ends[latest]),
    ):
        if offset > metadata.duration_sec + DURATION_TOLERANCE_SEC:
            yield Fault(
                path,
                json_pointer("turns", index, name),
                "offset_after_end",
                f"the last turn {does} at {offset:g} s, the call lasts {metadata.duration_sec:g} s",
                "check whether offsets and duration come from the same clock",
            )


def _turn_end_faults(path: str, transcription: Transcription) -> Iterator[Fault]:
    endless = [i for i, turn in enumerate(transcription.turns) if turn.end_offset_sec is None]
    if len(endless) == len(transcription.turns):
        return
    if endless:
        yield Fault(
            path,
            json_pointer("turns", endless[0], "end_offset_sec"),
            "some_ends_missing",
            f"{len(endless)} of {len(transcription.turns)} turns have no end_offset_sec",
            "give all or none; what needs the ends of turns stays empty for this conversation",
            Severity.WARNING,
        )
    for index, turn in enumerate(transcription.turns):
        end = turn.end_offset_sec
        if end is not None and end < turn.start_offset_sec:
            yield Fault(
                path,
                json_pointer("turns", index, "end_offset_sec"),
                "turn_ends_before_start",
                f"the turn ends at {end:g} s and starts at {turn.start_offset_sec:g} s",
                "give seconds after started_at, not the length of the turn, or leave the end out",
            )


MAX_FILE_BYTES = 8_000_000
"""BigQuery loads rows of at most 100 MB, and what Insights makes of a transcript is eight to ten
times as big as the file: a bigger one would be analysed, billed, and never land. A day of talk is
under 2 MB."""
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
    "less_than_equal": ("number_too_large", "give a share from 0 to 1, not a percentage"),
    "finite_number": ("wrong_type", "give a finite number"),
    "string_pattern_mismatch": ("bad_label_key", "use lower-case letters, digits and _"),
}
_PLAIN = {
    "missing": "the field is missing",
    "too_short": "the list is empty",
    "string_too_short": "the text is empty",
}
"""Messages in place of pydantic's."""
_TIMESTAMP_HINT = "write RFC 3339 with an offset, for example 2025-12-28T10:22:48+10:00"


def parse_file(
    kind: FileKind, content: bytes, path: str, *, max_bytes: int = MAX_FILE_BYTES
) -> tuple[Metadata | Transcription | None, list[Fault]]:
    """Return the file's model and all its faults; the model is None when a fault is an error.

    `path` is only copied into the faults. Unknown fields stay in the model and give warnings.
    """
    delivered, faults = deliver_file(kind, content, path, max_bytes=max_bytes)
    return (None if delivered is None else delivered.model), faults


def deliver_file(
    kind: FileKind, content: bytes, path: str, *, max_bytes: int = MAX_FILE_BYTES
) -> tuple[DeliveredFile | None, list[Fault]]:
    """Return the file with its JSON, model and hash, and all its faults; like `parse_file`."""
    if len(content) > max_bytes:
        message = f"the file has {len(content):,} bytes, the limit is {max_bytes:,}"
        return None, [Fault(path, "", "file_too_large", message, "split or remove the file")]
    payload, faults = decode_json(content, path)
    if faults:
        return None, faults
    try:
        parsed = _MODELS[kind].model_validate_json(
            content.removeprefix(BYTE_ORDER_MARK), strict=True
        )
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        return None, [_schema_fault(detail, path) for detail in _causes(details)]
    faults = [*_version_faults(kind, parsed, path), *_unknown_fields(parsed, path)]
    if isinstance(parsed, Transcription):
        faults.extend(_blank_turns(parsed, path))
    else:
        faults.extend(_times_without_utc(parsed, path))
    if faults and has_errors(faults):
        return None, faults
    return DeliveredFile.of(kind, content, payload, parsed), faults


@dataclass(frozen=True)
class Delivery:
    """What one conversation folder holds: its valid files, all faults, and whether it may go on."""

    files: Mapping[FileKind, DeliveredFile]
    faults: list[Fault]
    is_usable: bool


def check_delivery(
    folder_name: str,
    batch_date: dt.date,
    contents: Mapping[FileKind, bytes],
    unreadable: Sequence[Fault],
    declared: Declarations = NOTHING_DECLARED,
) -> Delivery:
    """Return the files of a conversation folder, each judged alone and all together.

    `unreadable` are the faults of reading it. One missing file is not judged, two are a fault.
    """
    files: dict[FileKind, DeliveredFile] = {}
    faults = list(unreadable)
    for kind, content in contents.items():
        path = f"{batch_date}/{folder_name}/{kind.value}.json"
        delivered, found = deliver_file(kind, content, path)
        faults += found
        if delivered is not None:
            files[kind] = delivered
    faults += check_files(folder_name, batch_date, files, declared)
    is_usable = not (faults and has_errors(faults, strict=declared.is_strict))
    if not contents and is_usable:
        faults.append(no_files(f"{batch_date}/{folder_name}"))
    return Delivery(files, faults, is_usable and bool(contents))


def no_files(place: str) -> Fault:
    """Return the fault of a conversation that has neither file."""
    return Fault(
        place,
        "",
        "missing_file",
        "the folder holds neither metadata.json nor transcription.json",
        f"add {FileKind.METADATA.value}.json and {FileKind.TRANSCRIPTION.value}.json",
    )


def check_files(
    folder_name: str,
    batch_date: dt.date,
    files: Mapping[FileKind, DeliveredFile],
    declared: Declarations = NOTHING_DECLARED,
) -> list[Fault]:
    """Return the faults that show when valid files are seen together (`check_conversation`)."""
    metadata, transcription = (
        files[kind].model if kind in files else None
        for kind in (FileKind.METADATA, FileKind.TRANSCRIPTION)
    )
    return check_conversation(
        folder_name,
        batch_date,
        metadata if isinstance(metadata, Metadata) else None,
        transcription if isinstance(transcription, Transcription) else None,
        declared,
    )


def _causes(details: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Leave out "at least 1 item" of a list whose items themselves are faulty."""
    places = {detail["loc"][:size] for detail in details for size in range(len(detail["loc"]))}
    for detail in details:
        if detail["type"] != "too_short" or detail["loc"] not in places:
            yield detail


def _schema_fault(detail: ErrorDetails, path: str) -> Fault:
    type_ = detail["type"]
    keys = [key for key in detail["loc"] if key != "[key]"]
    rule, hint = _RULES.get(type_, ("wrong_type", "give the type that the schema names"))
    if type_.startswith(("datetime", "date_")):
        rule, hint = "bad_timestamp", _TIMESTAMP_HINT
    message = _PLAIN.get(type_) or _lower_first(detail["msg"])
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


def _version_faults(kind: FileKind, parsed: Metadata | Transcription, path: str) -> Iterator[Fault]:
    readable = READABLE_MAJOR_VERSIONS[kind]
    if parsed.schema_version.partition(".")[0] not in readable:
        known = " or ".join(sorted(readable))
        yield Fault(
            path,
            "/schema_version",
            "unknown_schema_version",
            f"the file doesn't state version {known}",
            f"this release reads {known}; other fields may mean something else",
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
