"""All faults of a whole data set: each file alone, the files of a folder together, their truth."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from ingest.datagen.truth import ExpectedPhraseMatch, ExpectedPiiSpan, ExpectedTruth
from ingest.domain.conversation import FileKind, Metadata, Transcription, json_sha256
from ingest.domain.declarations import NOTHING_DECLARED, Declarations
from ingest.domain.faults import Fault, Severity, json_pointer
from ingest.domain.raw_records import CONVERSATION_TRUTHS, RawRow
from ingest.domain.validation import check_conversation, parse_file
from ingest.errors import InputError

TRUTH_FILE = "expected.json"


@dataclass(frozen=True, slots=True)
class ConversationFiles:
    """What lies in one conversation's folder; `faults` are those of reading it."""

    batch_date: dt.date
    conversation_id: str
    contents: Mapping[FileKind, bytes]
    truth: bytes | None = None
    faults: tuple[Fault, ...] = ()


def check_files(files: ConversationFiles, declared: Declarations = NOTHING_DECLARED) -> list[Fault]:
    """Return every fault of the conversation, in the order of file and place."""
    folder = f"{files.batch_date.isoformat()}/{files.conversation_id}"
    faults = list(files.faults)
    judged = {fault.file for fault in faults}
    parsed: dict[FileKind, Metadata | Transcription | None] = {}
    for kind in FileKind:
        path = f"{folder}/{kind.value}.json"
        content = files.contents.get(kind)
        if content is not None:
            parsed[kind], found = parse_file(kind, content, path)
            faults.extend(found)
        elif path not in judged:
            faults.append(_missing(path))
    metadata, talk = parsed.get(FileKind.METADATA), parsed.get(FileKind.TRANSCRIPTION)
    transcription = talk if isinstance(talk, Transcription) else None
    faults.extend(
        check_conversation(
            files.conversation_id,
            files.batch_date,
            metadata if isinstance(metadata, Metadata) else None,
            transcription,
            declared,
        )
    )
    if files.truth is not None:
        faults.extend(
            _truth_faults(
                f"{folder}/{TRUTH_FILE}", files.truth, files.conversation_id, transcription
            )
        )
    return faults


def _missing(path: str) -> Fault:
    return Fault(
        path,
        "",
        "file_missing",
        "the file isn't there, so the conversation will wait for it",
        "deliver it; the other file may be pushed before",
        Severity.WARNING,
    )


def _truth_faults(
    path: str, content: bytes, conversation_id: str, transcription: Transcription | None
) -> Iterator[Fault]:
    try:
        orjson.loads(content)
        truth = ExpectedTruth.model_validate_json(content, strict=True)
    except orjson.JSONDecodeError as error:
        yield Fault(
            path,
            "",
            "not_json",
            f"the file isn't JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            "write it again; see ingest/schemas/expected.schema.json",
        )
        return
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            yield Fault(
                path,
                json_pointer(*detail["loc"]),
                "bad_truth",
                detail["msg"],
                "see ingest/schemas/expected.schema.json",
            )
        return
    if truth.conversation_id != conversation_id:
        yield Fault(
            path,
            "/conversation_id",
            "id_differs_from_folder",
            "conversation_id and the folder's name differ",
            "give folder and files one id",
        )
    if transcription is not None:
        yield from _span_faults(path, truth, transcription)


def _span_faults(path: str, truth: ExpectedTruth, transcription: Transcription) -> Iterator[Fault]:
    lengths = [len(turn.text) for turn in transcription.turns]
    listed: tuple[tuple[str, tuple[ExpectedPhraseMatch | ExpectedPiiSpan, ...]], ...] = (
        ("phrase_matches", truth.phrase_matches or ()),
        ("pii_spans", truth.pii_spans or ()),
    )
    for name, spans in listed:
        for index, span in enumerate(spans):
            is_inside = (
                span.turn_index < len(lengths)
                and span.start_char < span.end_char <= lengths[span.turn_index]
            )
            if not is_inside:
                yield Fault(
                    path,
                    json_pointer(name, index),
                    "span_outside_text",
                    "the span isn't inside the text of its turn",
                    "count Unicode code points from 0, the end not included",
                )


def truth_row(files: ConversationFiles) -> RawRow | None:
    """Return the row of one conversation's truth, or None when the folder has no expected.json.

    Raises InputError when the truth isn't a JSON object with a scenario.
    """
    if files.truth is None:
        return None
    place = f"{files.batch_date}/{files.conversation_id}/expected.json"
    try:
        payload = orjson.loads(files.truth)
        scenario = payload["scenario"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{place} is no truth file", "run `ingest data validate`") from error
    return RawRow(
        CONVERSATION_TRUTHS,
        {
            "conversation_id": files.conversation_id,
            "batch_date": files.batch_date.isoformat(),
            "scenario": scenario,
            "content_sha256": json_sha256(payload),
            "transcript_sha256": _sha256_of(files.contents.get(FileKind.TRANSCRIPTION)),
            "schema_version": payload.get("schema_version"),
            "payload": payload,
        },
    )


def _sha256_of(content: bytes | None) -> str | None:
    if content is None:
        return None
    try:
        return json_sha256(orjson.loads(content))
    except orjson.JSONDecodeError:
        return None


MODELS: dict[str, type[BaseModel]] = {
    "metadata": Metadata,
    "transcription": Transcription,
    "expected": ExpectedTruth,
}


def published_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `<name>.json`."""
    model = MODELS[name]
    schema = model.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{name}.json",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def schema_bytes(name: str) -> bytes:
    """Return the schema as its file holds it."""
    return orjson.dumps(
        published_schema(name), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )


def schema_file(name: str) -> Path:
    """Return where the schema is published."""
    return Path(str(resources.files("ingest"))) / "schemas" / f"{name}.schema.json"


if __name__ == "__main__":
    for each in MODELS:
        schema_file(each).write_bytes(schema_bytes(each))
