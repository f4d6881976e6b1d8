"""A mapping, compiled, and the draft of a conversation that it makes from one record."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.errors import InputError
from ingest.formats.mapping import FIELDS, OWN_FIELDS, Condition, File, MappingFile, Table, Value
from ingest.formats.paths import EACH, Keys, MappingError, Path, Tree
from ingest.formats.reading import ContextTable
from ingest.formats.times import TimeError, in_zone
from ingest.formats.turns import Said, TurnReader, Utterance, roles_of
from ingest.formats.values import Compiler, Getter, Scope, as_key, as_text

SPEAKERS = "speakers"
"""Column of a context table that says who speaks: A=AGENT B=CUSTOMER."""
FILE_GROUPS = ("name", "stem", "path", "folder")
_FORMS = {"started_at": "moment", "ended_at": "moment", "duration_sec": "length"}
_OWN_FORMS = _FORMS | {"time_zone": "zone"}
_LABEL_KEY = re.compile(r"[^a-z0-9_]+")


@dataclass(slots=True)
class Draft:
    """What a record says, before defaults and our two files; offsets are seconds."""

    source_id: str
    started_at: dt.datetime | None
    zone: str | None
    fields: dict[str, Any]
    labels: dict[str, str]
    custom: dict[str, Any]
    expected: dict[str, Any]
    turns: list[dict[str, Any]]
    """As transcription.json has them."""
    rest: dict[str, Any]
    """What of the record the mapping doesn't read, and its elements that are no utterances."""
    is_redacted: bool | None
    is_by_clock: bool = False
    """Whether utterances have moments: then their offsets count from `started_at`."""
    alternative: int = 0
    """Which of the mapping's `turns` it was read by."""
    context: dict[str, Any] = field(default_factory=dict)
    """Columns of the context table that have the names of our fields."""
    warnings: Counter[tuple[str, str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class FileName:
    """A file's name as values see it; `path` is relative to the source that was named."""

    path: str

    def parts(self, pattern: re.Pattern[str] | None) -> dict[str, str]:
        """Return name, stem, path, folder, and the groups of the pattern."""
        folder, _, name = self.path.rpartition("/")
        stem = name.rpartition(".")[0] or name
        parts = {
            "name": name,
            "stem": stem,
            "path": self.path,
            "folder": folder.rpartition("/")[2],
        }
        found = pattern.search(name) if pattern else None
        groups = found.groupdict() if found else {}
        return parts | {key: value for key, value in groups.items() if value is not None}


class Engine:
    """A compiled mapping; raises InputError when an expression or pattern of it is none."""

    def __init__(self, mapping: MappingFile, own: Collection[str] = ()) -> None:
        self.mapping = mapping
        self._places = tuple(own)
        """Places that the user wrote: an expression there that finds nothing is a warning."""
        self.pattern = _file_pattern(mapping)
        groups = [*FILE_GROUPS, *(self.pattern.groupindex if self.pattern else ())]
        compiler = self._compiler = Compiler(tuple(mapping.tables), groups)
        self.turns = [
            TurnReader(turns, compiler, _place("turns", index, len(mapping.turns)))
            for index, turns in enumerate(mapping.turns)
        ]
        self._when = [compiler.condition(each, "when") for each in mapping.when]
        self._tables = {
            name: _table_paths(name, table, compiler) for name, table in mapping.tables.items()
        }
        self.key = (
            None if mapping.context is None else compiler.value(mapping.context.key, "context.key")
        )
        self.values = self._values(mapping.conversation, "conversation")
        self._labels = self._values(mapping.labels, "labels")
        self._custom = self._values(mapping.custom, "custom")
        self._expected = self._values(mapping.expected, "expected")
        self._redacted = (
            compiler.condition(mapping.redacted, "redacted")
            if isinstance(mapping.redacted, Condition)
            else None
        )
        if isinstance(mapping.redacted, File):
            compiler.check_group(mapping.redacted.file, "redacted")
        for each in mapping.ignore:
            compiler.path(each, "ignore", is_optional=True)
        compiler.scope = "labels"
        self._labels_from = mapping.labels_from and compiler.path(
            mapping.labels_from, "labels_from"
        )
        self._trees = self._record_trees()

    @property
    def columns(self) -> set[str]:
        """Columns of the context table that the mapping reads."""
        key = {self.mapping.context.column} if self.mapping.context else set()
        return self._compiler.columns | key | {SPEAKERS}

    @property
    def paths(self) -> list[Path]:
        """Every expression of the mapping."""
        return self._compiler.paths

    def never_matched(self) -> list[Path]:
        """Return the user's expressions that have found nothing so far, but those that needn't."""
        optional = self._compiler.optional
        return [
            path
            for path in self.paths
            if not path.is_matched
            and id(path) not in optional
            and any(f"{path.place}.".startswith(f"{place}.") for place in self._places)
        ]

    def _values(self, values: Mapping[Any, Value], place: str) -> dict[str, Getter]:
        return {
            name: self._compiler.value(
                value,
                f"{place}.{name}",
                _OWN_FORMS.get(name, "") if place == "conversation" else "",
            )
            for name, value in values.items()
        }

    def _record_trees(self) -> list[Tree]:
        """Return, for each alternative of the turns, what is read of a record."""
        reads: dict[str, list[Keys]] = {"record": [], "first": []}
        for path in self.paths:
            if path.scope in reads:
                reads[path.scope] += path.reads
        for source, *parts in self._tables.values():
            below = [keys for part in parts for keys in part.reads]
            reads["record"] += source.read
            reads["record"] += [(*way, EACH, *keys) for way in source.origins for keys in below]
        trees = []
        for reader in self.turns:
            of_record = list(reads["record"])
            if self.mapping.group:  # a column may be the same on all rows
                of_record += [("call", *keys) for keys in (*reader.reads, *reads["first"])]
            trees.append(reader.finish(of_record, reads["first"]))
        return trees

    def takes(self, record: Any) -> bool:
        """Return whether `when` holds for the record."""
        return all(test(record) for test in self._when)

    def scope(
        self, name: FileName, record: Any, table: ContextTable | None, speakers: str = ""
    ) -> Scope:
        """Return the parts of the file's name and the row of the context table that is the
        record's: by the mapping's key, else by the source's id or the file's name.

        `speakers` says who speaks (A=AGENT B=CUSTOMER) where the row doesn't.
        """
        parts = name.parts(self.pattern)
        if table is None:
            return Scope(parts, {}, roles=roles_of(speakers))
        if self.key is not None:
            keys = [self.key(record, Scope(parts, {}))]
        else:
            keys = [self.identity(record, Scope(parts, {}))[0], *map(parts.get, FILE_GROUPS)]
        row = table.row(str(key) for key in keys if key is not None)
        said = (row or {}).get(SPEAKERS) or speakers
        return Scope(parts, row or {}, roles=roles_of(said), has_row=row is not None)

    def identity(self, record: Any, scope: Scope) -> tuple[str, bool | None]:
        """Return the conversation's id at its source, and whether the record is redacted."""
        get = self.values.get("source_id")
        value = get(record, scope) if get else None
        if value is None or value == "":
            value = scope.file["stem"]
        return as_text(value, "conversation.source_id"), self._is_redacted(record, scope)

    def _is_redacted(self, record: Any, scope: Scope) -> bool | None:
        if isinstance(self.mapping.redacted, File):
            return self.mapping.redacted.file in scope.file
        return None if self._redacted is None else self._redacted(record)

    def draft(self, record: Any, scope: Scope) -> Draft:
        """Return what the record says; raises MappingError for what can't be read."""
        scope.tables = {name: _table(parts, record) for name, parts in self._tables.items()}
        scope.record = record
        scope.zone = self._own(record, scope, "time_zone")
        source_id, is_redacted = self.identity(record, scope)
        alternative, items = self._turns_of(record)
        reader, tree = self.turns[alternative], self._trees[alternative]
        said = reader.read(items, scope)
        said.others += reader.skipped(record)
        if not said.utterances:
            raise MappingError(
                reader.place,
                "no utterance has text",
                f"see {reader.place}.text and .keep: are they right?",
            )
        started_at = _start(self._own(record, scope, "started_at"), said, scope)
        turns = _timed(said.utterances, started_at, scope)
        for turn, utterance in turns:
            if self.mapping.group:
                _drop_columns(turn, record["call"])
            scope.first_turns.setdefault(utterance.speaker, utterance.item)
        fields = self._fields(record, scope)
        labels = {
            name: as_text(value, f"labels.{name}")
            for name, value in _got(self._labels, record, scope).items()
        }
        rest = self._rest(record, tree, said, labels)
        return Draft(
            source_id,
            started_at
            if started_at is None or scope.zone is None
            else _zoned(started_at, scope.zone),
            scope.zone,
            fields,
            labels,
            _got(self._custom, record, scope),
            _got(self._expected, record, scope),
            [turn for turn, _ in turns],
            rest,
            is_redacted,
            any(isinstance(each.start, dt.datetime) for each in said.utterances),
            alternative,
            _context_fields(scope),
            scope.warnings,
        )

    def _own(self, record: Any, scope: Scope, name: str) -> Any:
        get = self.values.get(name)
        return None if get is None else get(record, scope)

    def _turns_of(self, record: Any) -> tuple[int, list[Any]]:
        for index, reader in enumerate(self.turns):
            if items := reader.items(record):
                return index, items
        place = self.turns[0].place
        raise MappingError(
            f"{place}.from",
            "the record has no list of utterances there",
            f"see {place}.from in the mapping; is the file of this format?",
        )

    def _fields(self, record: Any, scope: Scope) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, get in self.values.items():
            if name in OWN_FIELDS or name == "started_at":
                continue
            value = get(record, scope)
            if value is not None:
                fields[name] = (
                    value if name in _FORMS or isinstance(value, (dict, list)) else as_key(value)
                )
        return fields

    def _rest(self, record: Any, tree: Tree, said: Said, labels: dict[str, str]) -> dict[str, Any]:
        left = tree.rest(record)
        if self._labels_from and (keys := self._labels_from.keys):
            left = _without(left, keys, self._take_labels(record, labels))
        rest = {"fields": left} if left else {}
        if said.others:
            rest["not_turns"] = said.others
        return rest

    def _take_labels(self, record: Any, labels: dict[str, str]) -> set[str]:
        """Add the texts and numbers of `labels_from`; return which keys became labels."""
        path = self._labels_from
        found = path.find(record) if path else None
        taken = set[str]()
        for key, value in found.items() if path and isinstance(found, dict) else ():
            name = _LABEL_KEY.sub("_", key.lower()).strip("_")[:63]
            if value is not None and not isinstance(value, (dict, list)) and name[:1].isalpha():
                labels.setdefault(name, as_key(value))
                taken.add(key)
        if path and isinstance(found, dict):
            path.is_matched = True
        return taken


def _drop_columns(turn: dict[str, Any], call: Mapping[str, Any]) -> None:
    """Leave out of a row's rest the columns that are the same on all rows: the call has them."""
    left = {key: each for key, each in (turn.pop("source", None) or {}).items() if key not in call}
    if left:
        turn["source"] = left


def _context_fields(scope: Scope) -> dict[str, Any]:
    return {
        name: value
        for name, value in scope.context.items()
        if name in FIELDS and value not in (None, "")
    }


def _without(value: Any, keys: Keys, taken: set[str]) -> Any:
    """Return a copy of the value without some keys of the object at the path; None for nothing."""
    if not isinstance(value, dict):
        return value
    if not keys:
        return {key: each for key, each in value.items() if key not in taken} or None
    inner = _without(value.get(keys[0]), keys[1:], taken)
    rest = {key: each for key, each in value.items() if key != keys[0]}
    return (rest | ({} if inner is None else {keys[0]: inner})) or None


def _table_paths(name: str, table: Table, compiler: Compiler) -> list[Path]:
    compiler.scope = "table"
    parts = {"from": table.from_, "key": table.key, "value": table.value}
    paths = [compiler.path(each, f"tables.{name}.{part}") for part, each in parts.items()]
    compiler.scope = "record"
    return paths


def _file_pattern(mapping: MappingFile) -> re.Pattern[str] | None:
    try:
        return re.compile(mapping.file) if mapping.file else None
    except re.error as error:
        raise InputError(f"file: no regular expression: {error}", "see Python's re") from error


def _place(name: str, index: int, count: int) -> str:
    return name if count == 1 else f"{name}.{index}"


def _table(parts: Sequence[Path], record: Any) -> dict[str, Any]:
    source, key, value = parts
    found = source.find(record)
    if not isinstance(found, list):
        return {}
    for part in parts:
        part.is_matched = True
    return {as_key(key.find(each)): value.find(each) for each in found}


def _got(getters: Mapping[str, Getter], record: Any, scope: Scope) -> dict[str, Any]:
    return {
        name: value for name, get in getters.items() if (value := get(record, scope)) is not None
    }


def _start(given: Any, said: Said, scope: Scope) -> dt.datetime | None:
    """Return the given start, or the earliest moment of an utterance."""
    moments = [each.start for each in said.utterances if isinstance(each.start, dt.datetime)]
    if not moments:
        return given if isinstance(given, dt.datetime) else None
    earliest = min(moments)
    if not isinstance(given, dt.datetime):
        return earliest
    if earliest < given:
        scope.warn(
            "turn_before_start",
            "conversation.started_at",
            "an utterance is before the start, which was moved to it",
        )
        return earliest.astimezone(given.tzinfo)
    return given


def _timed(
    utterances: Iterable[Utterance], started_at: dt.datetime | None, scope: Scope
) -> list[tuple[dict[str, Any], Utterance]]:
    """Return the turns with offsets, in the order of time."""
    timed: list[tuple[dict[str, Any], Utterance]] = []
    before = 0.0
    for each in utterances:
        start = _offset(each.start, started_at)
        if start is None:
            start = before
            scope.warn(
                "no_start", "turns.start", "an utterance has no time; it follows the one before"
            )
        elif start < 0:
            start = 0.0
            scope.warn(
                "turn_before_start",
                "turns.start",
                "an utterance is before the start; it's put there",
            )
        turn = {
            "turn_index": 0,
            "speaker": each.speaker.value,
            "start_offset_sec": start,
            **each.fields,
        }
        end = _end(each, start, started_at)
        if end is not None and end < start:
            scope.warn(
                "end_before_start",
                "turns.end",
                "an utterance ends before it starts; its end is left out",
            )
        elif end is not None:
            turn["end_offset_sec"] = end
        if each.source is not None:
            source = each.source
            turn["source"] = source if isinstance(source, dict) else {"value": source}
        before = max(before, start, end or 0.0)
        timed.append((turn, each))
    timed.sort(key=lambda pair: pair[0]["start_offset_sec"])
    for index, (turn, _) in enumerate(timed):
        turn["turn_index"] = index
    return timed


def _end(each: Utterance, start: float, started_at: dt.datetime | None) -> float | None:
    if each.length is not None:
        return round(start + each.length, 3)
    return _offset(each.end, started_at)


def _offset(time: float | dt.datetime | None, started_at: dt.datetime | None) -> float | None:
    if isinstance(time, dt.datetime) and started_at is not None:
        return round((time - started_at).total_seconds(), 3)
    return time if isinstance(time, float) else None


def _zoned(moment: dt.datetime, zone: str) -> dt.datetime:
    try:
        return in_zone(moment, zone)
    except TimeError as error:
        raise MappingError("conversation.time_zone", error.reason, error.hint) from None
