"""Files of other systems, read into records: JSON, JSON Lines, CSV, WebVTT and SRT.

A record is one conversation as JSON has it. What can't be read is an InputError that holds none of
the file's text.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import orjson

from ingest.domain.json_decoding import has_long_number
from ingest.errors import InputError
from ingest.formats.mapping import MappingFile
from ingest.formats.paths import compile_path
from ingest.formats.times import type_name

SUFFIXES: Mapping[str, frozenset[str]] = {
    "json": frozenset({".json"}),
    "folder": frozenset({".json"}),
    "jsonl": frozenset({".jsonl", ".ndjson"}),
    "csv": frozenset({".csv", ".tsv"}),
    "vtt": frozenset({".vtt"}),
    "srt": frozenset({".srt"}),
}
_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_TAG = re.compile(r"</?[a-z][^>]*>|<\d[^>]*>", re.IGNORECASE)
_TIMING = re.compile(
    r"\s*((?:\d+:)?\d{1,2}:\d{2}[.,]\d{3})\s*-->\s*((?:\d+:)?\d{1,2}:\d{2}[.,]\d{3})"
)
_NO_CUE = re.compile(r"WEBVTT|NOTE\b|STYLE\b|REGION\b")
_MOST_FIELD_CHARS = 16_000_000
_LEVELS_WRITTEN, _LEVELS_ADDED = 254, 24
"""What orjson writes, and more than lies around what is kept of a record."""


@dataclass(frozen=True, slots=True)
class How:
    """How files are read; the fields are those of a mapping."""

    reads: str
    encoding: str = "utf-8"
    delimiter: str = ","
    group: str | None = None
    each: str | None = None

    @classmethod
    def of(cls, mapping: MappingFile) -> Self:
        """Return how the mapping reads."""
        names = [each.name for each in fields(cls)]
        return cls(**{name: getattr(mapping, name) for name in names})


@dataclass(frozen=True, slots=True)
class Record:
    """One conversation of a file; `place` is a JSON pointer, or says the line or group."""

    place: str
    value: Any


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of a file that can't be read, and why."""

    place: str
    message: str
    hint: str
    value: None = None


def read_bytes(path: Path) -> bytes:
    """Return the file's content, or raise InputError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"can't be read: {error.strerror}", "check name and permissions"
        ) from error


def records_of(how: How, contents: Mapping[str, bytes]) -> list[Record | Unread]:
    """Return the records of a file, given by its name, or of a folder's files.

    Raises InputError when all of it can't be read.
    """
    if how.reads == "folder":
        folder = {name.rpartition(".")[0]: load_json(each) for name, each in contents.items()}
        return [Record("", folder)]
    ((name, content),) = contents.items()
    if name.lower().endswith(".tsv") and how.delimiter == ",":
        how = replace(how, delimiter="\t")
    read = _READERS[how.reads](content, how)
    if how.group is not None:
        return list(_grouped(read, how.group))
    if how.each is None:
        return read
    return [part for each in read for part in _each(each, how.each)]


def load_json(content: bytes) -> Any:
    """Return the JSON value; a number that BigQuery would round is kept as text, digit by digit."""
    content = content.removeprefix(_BOM)
    if content.startswith(_WIDE_BOMS):
        raise InputError("the file is UTF-16 or UTF-32", "save it as UTF-8")
    try:
        value = orjson.loads(content)
        if has_long_number(content):
            value = json.loads(content, parse_int=_exact, parse_float=_exact_float)
    except (orjson.JSONDecodeError, UnicodeDecodeError) as error:
        at = f" at line {error.lineno}" if isinstance(error, orjson.JSONDecodeError) else ""
        raise InputError(
            f"the file isn't JSON{at}", "export it again; a file that was cut off ends too early"
        ) from error.with_traceback(None)
    except RecursionError as error:
        raise InputError("the file is nested too deep", "check what wrote it") from error
    _check_writable(value)
    return value


def _check_writable(value: Any) -> None:
    """Raise InputError for what is too deep to be written again, some levels below our own."""
    for _ in range(_LEVELS_ADDED):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise InputError(
            f"the file is nested deeper than {_LEVELS_WRITTEN - _LEVELS_ADDED} levels",
            "check what wrote it; a call needs ten",
        ) from error.with_traceback(None)


def _exact(text: str) -> int | str:
    if len(text) > 20:
        return text
    found = int(text)
    return found if -(2**63) <= found < 2**64 else text


def _exact_float(text: str) -> float | str:
    found = float(text)
    digits = text.replace(".", "").replace("-", "").lstrip("0")
    return found if len(digits) <= 15 or repr(found) == text else text


def _json(content: bytes, how: How) -> list[Record | Unread]:
    return [Record("", load_json(content))]


def _json_lines(content: bytes, how: How) -> list[Record | Unread]:
    read: list[Record | Unread] = []
    for number, line in enumerate(content.removeprefix(_BOM).splitlines(), 1):
        if not line.strip():
            continue
        try:
            read.append(Record(f"line {number}", load_json(line)))
        except InputError as error:
            message = error.message.replace("the file", "the line").partition(" at line ")[0]
            read.append(Unread(f"line {number}", message, "write the line again"))
    return read


def _text(content: bytes, how: How) -> str:
    encoding = "utf-8-sig" if how.encoding.lower() in ("utf-8", "utf8") else how.encoding
    try:
        return content.decode(encoding)
    except LookupError as error:
        raise InputError("the mapping's encoding is none", "write it like cp1252") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"the file isn't {how.encoding} at byte {error.start}",
            "say `encoding: cp1252` (or another) in the mapping, or save it as UTF-8",
        ) from error.with_traceback(None)


def rows_of(text: str, delimiter: str) -> list[Record | Unread]:
    """Return the rows of a CSV table by the names of its first line; empty cells are left out."""
    csv.field_size_limit(_MOST_FIELD_CHARS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    read: list[Record | Unread] = []
    try:
        names = next(reader, [])
        if len(names) == 1 and (other := next((c for c in ",;\t|" if c in names[0]), None)):
            shown = "tab" if other == "\t" else other
            raise InputError(
                f"its first line is one column that holds {shown!r}",
                f"say `delimiter: {other!r}` in the mapping".replace("'\\t'", '"\\t"'),
            )
        if len(set(names)) < len(names):
            raise InputError("two columns have one name", "name each column differently")
        for cells in reader:
            if not cells:
                continue
            place = f"line {reader.line_num}"
            if len(cells) > len(names):
                read.append(
                    Unread(place, f"{len(cells)} cells, {len(names)} columns", "quote the cells")
                )
                continue
            read.append(Record(place, {k: v for k, v in zip(names, cells, strict=False) if v}))
    except csv.Error as error:
        raise InputError(
            f"the file is no CSV: see line {reader.line_num}", "say `delimiter` in the mapping"
        ) from error.with_traceback(None)
    return read


def _csv(content: bytes, how: How) -> list[Record | Unread]:
    return rows_of(_text(content, how), how.delimiter)


def _captions(content: bytes, how: How) -> list[Record | Unread]:
    """Return {cues: [{start, end, id, voice, text}]}; a cue of several voices becomes several."""
    text = _text(content, how).replace("\r\n", "\n").replace("\r", "\n")
    cues: list[dict[str, Any]] = []
    unread: list[Record | Unread] = []
    for number, block in enumerate(re.split(r"\n(?:[ \t]*\n)+", text.strip()), 1):
        lines = block.split("\n")
        timed = next((at for at, line in enumerate(lines[:2]) if _TIMING.match(line)), None)
        if timed is not None:
            cues += _cues(lines, timed)
        elif how.reads == "srt" or not _NO_CUE.match(block):
            unread.append(Unread(f"block {number}", "the block is no cue", "see its time line"))
    return [Record("", {"cues": cues}), *unread]


def _cues(lines: list[str], timed: int) -> Iterator[dict[str, Any]]:
    """Yield the parts of a cue by voice."""
    time = _TIMING.match(lines[timed])
    start, end = time.groups() if time else ("", "")
    voice, *rest = _VOICE.split("\n".join(lines[timed + 1 :]))
    parts = [("", voice)] if voice.strip() or not rest else []
    parts += zip(rest[::2], rest[1::2], strict=True)
    for name, text in parts:
        cue = {"start": start, "end": end, "id": lines[0].strip() if timed else None}
        cue["voice"] = html.unescape(name).strip() or None
        cue["text"] = html.unescape(_TAG.sub("", text)).strip()
        yield cue


_READERS: Mapping[str, Callable[[bytes, How], list[Record | Unread]]] = {
    "json": _json,
    "jsonl": _json_lines,
    "csv": _csv,
    "vtt": _captions,
    "srt": _captions,
}


def _each(record: Record | Unread, expression: str) -> Iterator[Record | Unread]:
    if isinstance(record, Unread):
        yield record
        return
    path = compile_path(expression, "each")
    found = path.find(record.value)
    if not isinstance(found, list):
        yield Unread(
            record.place,
            f"`each` finds a {type_name(found)}, no list of conversations",
            "see each in the mapping",
        )
        return
    pointer = "".join(f"/{key}" for key in path.keys or ())
    for index, value in enumerate(found):
        yield Record(f"{record.place}{pointer}/{index}", value)


def _grouped(rows: Iterable[Record | Unread], column: str) -> Iterator[Record | Unread]:
    groups: dict[str, list[dict[str, Any]]] = {}
    places: dict[str, str] = {}
    for row in rows:
        if isinstance(row, Unread):
            yield row
        elif not isinstance(row.value, dict) or row.value.get(column) in (None, ""):
            near = [name for name in row.value if name.lower() == column.lower()]
            cure = f"its column is {near[0]}: " if near else ""
            yield Unread(
                row.place,
                f"the row has no {column}",
                f"{cure}say `group: COLUMN` in the mapping, the column that tells calls apart",
            )
        else:
            key = str(row.value[column])
            groups.setdefault(key, []).append(row.value)
            places.setdefault(key, row.place)
    for key, group in groups.items():
        first = group[0]
        call = {
            name: value
            for name, value in first.items()
            if all(name in row and row[name] == value for row in group)
        }
        yield Record(places[key], {"call": call, "rows": group})


class ContextTable:
    """Call facts by key: a CSV with a header, a JSON list or object of rows, or JSON Lines."""

    def __init__(
        self, rows: Iterable[tuple[str, Mapping[str, Any]]], column: str, file: Path
    ) -> None:
        self.column = column
        self.file = file.resolve()
        self._rows: dict[str, Mapping[str, Any]] = {}
        self.used: set[str] = set()
        for place, row in rows:
            key = str(row.get(column, ""))
            if not key:
                raise InputError(f"{place} has no {column}", "give each row its key")
            if key in self._rows:
                raise InputError(f"{place} has a key that came before", "keep one row a call")
            self._rows[key] = row

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, keys: Iterable[str]) -> Mapping[str, Any] | None:
        """Return the row of the first key that has one."""
        for key in keys:
            if key in self._rows:
                self.used.add(key)
                return self._rows[key]
        return None


def read_context(path: Path, column: str | None) -> ContextTable:
    """Return the table; `column` holds the key, if None the first one. Raises InputError."""
    content, suffix = read_bytes(path), path.suffix.lower()
    try:
        if suffix == ".json":
            first = ""
            rows = list(_json_rows(load_json(content), column or "key"))
        else:
            how = How("csv", delimiter="\t" if suffix == ".tsv" else ",")
            read = (_json_lines if suffix in SUFFIXES["jsonl"] else _csv)(content, how)
            rows = list(_context_rows(read))
            is_csv = suffix not in SUFFIXES["jsonl"]
            first = _first_column(_text(content, how), how.delimiter) if is_csv else ""
        if not rows:
            raise InputError("it has no row", "write one row a conversation")
        return ContextTable(rows, column or first or next(iter(rows[0][1]), "key"), path)
    except InputError as error:
        raise InputError(f"the context {path.name}: {error.message}", error.hint) from error


def _first_column(text: str, delimiter: str) -> str:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return next(iter(next(reader, [])), "")


def _context_rows(read: Iterable[Record | Unread]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for part in read:
        if not isinstance(part.value, dict):
            raise InputError(f"{part.place} is no row", "correct the line")
        yield part.place, part.value


def _json_rows(value: Any, column: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, dict):
        listed = [
            {column: key, **row} if isinstance(row, dict) else row for key, row in value.items()
        ]
    else:
        listed = value if isinstance(value, list) else [value]
    for index, row in enumerate(listed):
        if not isinstance(row, dict):
            raise InputError(f"entry {index} is no object", "write one object a conversation")
        yield f"entry {index}", row
