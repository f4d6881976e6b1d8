"""What a mapping makes of one file, field by field: expressions, types and counts, no values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.domain.converted import Leftover
from ingest.errors import InputError
from ingest.formats.conversion import build
from ingest.formats.detecting import cure_for, first_record, fitting, proposal, reads_of
from ingest.formats.engine import Draft, Engine, FileName
from ingest.formats.leftovers import Leftovers
from ingest.formats.mapping import Value
from ingest.formats.mapping_files import load_bundled
from ingest.formats.paths import MappingError
from ingest.formats.reading import ContextTable, How, Record, read_bytes, records_of
from ingest.formats.times import type_name

_TURN = (
    "speaker",
    "participant_id",
    "start",
    "end",
    "length",
    "text",
    "confidence",
    "language_code",
)
_MADE_AS = {"start": "start_offset_sec", "end": "end_offset_sec", "length": "end_offset_sec"}


@dataclass(frozen=True)
class ExplainedField:
    """A field of ours, from where, and what was found."""

    field: str
    comes_from: str
    found: str
    """A JSON type, or for turns how many of them have it; `-` for nothing."""


@dataclass(frozen=True)
class Explanation:
    """What becomes of one record."""

    file: str
    mapping: str
    """Name of the mapping; empty if none fits."""
    records: int
    fields: tuple[ExplainedField, ...]
    leftovers: tuple[Leftover, ...]
    faults: tuple[str, ...]
    """What keeps it from being written, or is odd about it."""
    proposal: tuple[str, ...]
    """Lines of a mapping that might fit; empty where one fits."""


def explanation(
    path: Path, engine: Engine | None, table: ContextTable | None, speakers: str = ""
) -> Explanation:
    """Return what becomes of the file's first record; without a mapping of the format it's of."""
    if engine is None:
        kinds = reads_of(path)
        if not kinds:
            raise InputError(
                f"{path.name} is no .json, .jsonl, .csv, .vtt or .srt",
                "name a mapping that reads it",
            )
        record = first_record(path, kinds[0])
        found = fitting(record, kinds[0])
        if not found:
            lines = tuple(proposal(record, kinds[0]))
            return Explanation(path.name, "", 1, (), (), ("no format fits",), lines)
        engine = Engine(load_bundled(found[0]))
    return _explained(path, engine, table, speakers)


def _explained(
    path: Path, engine: Engine, table: ContextTable | None, speakers: str
) -> Explanation:
    if path.is_dir() and engine.mapping.reads != "folder":
        raise InputError(
            f"{path.name} is a folder, and the mapping reads {engine.mapping.reads}",
            "name one file of it",
        )
    if path.is_dir():
        contents = {each.name: read_bytes(each) for each in sorted(path.glob("*.json"))}
    else:
        contents = {path.name: read_bytes(path)}
    records = [
        each for each in records_of(How.of(engine.mapping), contents) if isinstance(each, Record)
    ]
    if not records:
        raise InputError(f"{path.name} holds no record", "see reads, each and group in the mapping")
    record = records[0].value
    scope = engine.scope(FileName(path.name), record, table, speakers)
    name, count = engine.mapping.name, len(records)
    if not engine.takes(record):
        cure = cure_for(record, engine.mapping.reads, name)
        faults = (f"when: the conditions of the mapping don't hold ({cure})",)
        return Explanation(path.name, name, count, (), (), faults, ())
    try:
        draft = engine.draft(record, scope)
        built = build(draft, (engine.mapping.defaults, draft.context), {}, engine.mapping.max_hours)
    except MappingError as error:
        faults = (f"{error.place}: {error.reason} ({error.hint})",)
        return Explanation(path.name, name, count, (), (), faults, ())
    leftovers = Leftovers()
    leftovers.add(draft)
    odd = (
        *(f"warning: {place}: {message}" for _, place, message in draft.warnings),
        *(
            f"{fault.severity}: {fault.pointer or fault.file}: {fault.message}"
            for fault in built.faults
        ),
    )
    fields = (*_fields(engine, draft), *_turn_fields(engine, draft))
    return Explanation(path.name, name, count, fields, leftovers.listed(), odd, ())


def _fields(engine: Engine, draft: Draft) -> list[ExplainedField]:
    mapping, made = engine.mapping, dict(draft.fields)
    made |= {"source_id": draft.source_id, "time_zone": draft.zone, "started_at": draft.started_at}
    sections: list[tuple[str, Mapping[str, Value], Mapping[str, Any]]] = [
        ("", mapping.conversation, made),
        ("labels.", mapping.labels, draft.labels),
        ("custom.", mapping.custom, draft.custom),
    ]
    return [
        ExplainedField(prefix + name, shown(value), _found(found.get(name)))
        for prefix, values, found in sections
        for name, value in values.items()
    ] + [
        ExplainedField(name, f"column {name} of the context", _found(value))
        for name, value in draft.context.items()
        if name not in mapping.conversation
    ]


def _found(value: Any) -> str:
    if value is None:
        return "-"
    kind = type_name(value)
    return "moment" if kind == "datetime" else kind


def _turn_fields(engine: Engine, draft: Draft) -> list[ExplainedField]:
    turns = engine.mapping.turns[draft.alternative]
    total = len(draft.turns)
    listed = []
    for name in _TURN:
        value = getattr(turns, name)
        if value is not None:
            made = _MADE_AS.get(name, name)
            count = sum(made in turn for turn in draft.turns)
            listed.append(ExplainedField(f"turns[].{name}", shown(value), f"{count} of {total}"))
    return listed


def shown(value: Value) -> str:
    """Return a value of a mapping in one line."""
    if value.first is not None:
        start = " or ".join(map(shown, value.first))
    else:
        named = {"const": "the constant", "file": "the file's", "context": "the context's"}
        texts = [
            f"{word} {getattr(value, key)}"
            for key, word in named.items()
            if getattr(value, key) is not None
        ]
        start = value.path or texts[0]
    verbs = ("of_first", "look_up", "unit", "time", "pattern", "type")
    said = [f"{verb} {getattr(value, verb)}" for verb in verbs if getattr(value, verb) is not None]
    said += [f"map of {len(value.map)}"] if value.map else []
    return f"{start} ({', '.join(said)})" if said else start
