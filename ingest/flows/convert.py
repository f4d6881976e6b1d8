"""Turn files of another system into conversation folders, and account for each of them.

First every record is named by the conversation that it is of, then conversation by conversation is
made: so records that meet in one are joined by the rule of the mapping or refused, all named, and
never does the last one win. What is read is written, joined, refused or left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.domain.conversation import json_sha256, sha256_hex
from ingest.domain.converted import Converted, Joined, LeftOut, Refused, Warned
from ingest.domain.faults import Severity, json_pointer
from ingest.errors import InputError, unexpected
from ingest.formats.conversion import Built, build, identity
from ingest.formats.detecting import cure_for
from ingest.formats.engine import Draft, Engine, FileName
from ingest.formats.joining import joined
from ingest.formats.leftovers import Leftovers
from ingest.formats.mapping import FIELDS, Legs
from ingest.formats.paths import MappingError
from ingest.formats.reading import (
    SUFFIXES,
    ContextTable,
    How,
    Record,
    Unread,
    read_bytes,
    records_of,
)
from ingest.formats.values import Scope
from ingest.formats.writing import check_folder, dates_by_id, refusal_of, write_files

MAPPING_FILE = "mapping.yaml"
_PARSED_FILES = 4
"""Legs of a call often lie in a few large files: those aren't parsed for each call again."""
_NOT_SOURCES = frozenset({MAPPING_FILE, "expected.json"})


@dataclass(frozen=True)
class Job:
    """What to convert, by which mapping, and where to."""

    sources: Sequence[Path]
    engine: Engine
    out: Path
    defaults: Mapping[str, Any]
    context: ContextTable | None = None
    speakers: str = ""
    """Who speaks where nothing else says it: A=AGENT B=CUSTOMER."""
    is_replacing: bool = False
    """Whether folders made of other files may be replaced; never a redacted by an unredacted."""
    is_strict: bool = False
    """Whether a warning of the mapping refuses the call."""


@dataclass(frozen=True, slots=True)
class _Input:
    """A file, or a folder that is one record, and its name as the mapping sees it."""

    path: Path
    name: FileName
    is_named: bool = False
    """Whether the user named it, rather than a folder it lies in."""


@dataclass(frozen=True, slots=True)
class _Ref:
    """A record: its file, its number there, and whether it's redacted."""

    file: int
    number: int
    place: str
    is_redacted: bool | None


@dataclass(slots=True)
class _Tally:
    read: int = 0
    joined_records: int = 0
    written: list[str] = field(default_factory=list)
    joined: list[Joined] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: dict[tuple[str, str, str], tuple[int, str]] = field(default_factory=dict)

    def warn(self, rule: str, place: str, message: str, file: str) -> None:
        """Count one conversation with the warning."""
        count, first = self.warnings.get((rule, place, message), (0, file))
        self.warnings[rule, place, message] = (count + 1, first)


def convert(job: Job) -> Converted:
    """Convert everything; what can't be converted doesn't stop the rest."""
    return _Conversion(job).run()


class _Conversion:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._engine = job.engine
        self._how = How.of(job.engine.mapping)
        self._tally = _Tally()
        self._leftovers = Leftovers()
        self._inputs: list[_Input] = []
        self._parsed: dict[int, tuple[list[Record | Unread], str]] = {}
        self._dates = dates_by_id(job.out)

    def run(self) -> Converted:
        """Name every record, then make conversation by conversation."""
        self._inputs = list(self._files())
        for refs in self._conversations().values():
            self._make_or_refuse(refs)
        self._warn_at_last()
        tally = self._tally
        warnings = (
            Warned(*key, count, file) for key, (count, file) in sorted(tally.warnings.items())
        )
        return Converted(
            tally.read,
            tuple(tally.written),
            tally.joined_records,
            tuple(tally.joined),
            tuple(tally.refused),
            tuple(tally.left_out),
            tuple(warnings),
            self._leftovers.listed(),
        )

    def _files(self) -> Iterator[_Input]:
        """Yield every file to read; a folder's files in the order of their names."""
        is_folder = self._engine.mapping.reads == "folder"
        names = _names_of(self._job.sources)
        for source in self._job.sources:
            if not source.exists():
                self._unread(source.as_posix(), "there's no such file", "check the name")
            elif not source.is_dir():
                yield _Input(source, FileName(names[source]), is_named=True)
            else:
                read = self._tally.read
                found = list(self._folders(source) if is_folder else self._files_of(source))
                yield from found
                if not found and read == self._tally.read:
                    self._unread(source.as_posix(), "the folder holds no file", "check the name")

    def _unread(self, file: str, message: str, hint: str) -> None:
        self._tally.read += 1
        self._refuse(file, "", InputError(message, hint))

    def _closed(self, error: OSError) -> None:
        """Account for a folder that can't be listed."""
        message = f"the folder can't be listed: {error.strerror}"
        self._unread(str(error.filename), message, "check its permissions")

    def _folders(self, source: Path) -> Iterator[_Input]:
        """Yield the folders below, or the one itself, that hold JSON files."""
        out = self._job.out.resolve()
        for path in sorted({source, *(each for each in source.rglob("*") if each.is_dir())}):
            if path != source and path.resolve().is_relative_to(out):
                continue
            try:
                is_record = any(each.suffix == ".json" for each in path.iterdir())
            except OSError as error:
                self._closed(error)
                continue
            if is_record:
                name = path.relative_to(source).as_posix() if path != source else path.name
                yield _Input(path, FileName(name))

    def _files_of(self, folder: Path) -> Iterator[_Input]:
        reads = self._engine.mapping.reads
        context = self._job.context.file if self._job.context else None
        for name in _names_below(str(folder), self._job.out.resolve(), self._closed):
            path = folder / name
            if path.suffix.lower() in SUFFIXES[reads]:
                yield _Input(path, FileName(name))
            elif context is None or path.resolve() != context:
                self._tally.read += 1
                self._tally.left_out.append(LeftOut(name, f"the mapping reads {reads}"))

    def _records(self, number: int) -> tuple[list[Record | Unread], str]:
        """Return the records of a file and the hash of its bytes; the last files are kept."""
        if number in self._parsed:
            return self._parsed[number]
        path = self._inputs[number].path
        if not _is_text(self._inputs[number].name.path):
            raise InputError("its name isn't UTF-8", "rename it")
        if path.is_dir():
            contents = {
                each.name: read_bytes(each)
                for each in sorted(path.glob("*.json"))
                if each.name not in _NOT_SOURCES
            }
        else:
            contents = {path.name: read_bytes(path)}
        records = records_of(self._how, contents)
        hashed = sha256_hex(b"".join(contents.values()))
        if len(self._parsed) == _PARSED_FILES:
            del self._parsed[next(iter(self._parsed))]
        self._parsed[number] = records, hashed
        return records, hashed

    def _conversations(self) -> dict[str, list[_Ref]]:
        """Return the records of each conversation, in the order of files."""
        found: dict[str, list[_Ref]] = {}
        for number, source in enumerate(self._inputs):
            try:
                records, _ = self._records(number)
            except Exception as error:  # noqa: BLE001 - one file never ends the run
                self._tally.read += 1
                self._refuse(source.name.path, "", error)
                continue
            if not records:
                self._unread(source.name.path, "it holds no record", "export it again")
            for index, record in enumerate(records):
                self._tally.read += 1
                if isinstance(record, Unread):
                    self._refuse(
                        source.name.path, record.place, InputError(record.message, record.hint)
                    )
                    continue
                try:
                    ref = self._ref(number, index, record)
                except Exception as error:  # noqa: BLE001 - one record never ends the run
                    self._refuse(source.name.path, record.place, error)
                    continue
                if ref is not None:
                    found.setdefault(ref[0], []).append(ref[1])
        return found

    def _ref(self, number: int, index: int, record: Record) -> tuple[str, _Ref] | None:
        name = self._inputs[number].name
        if not self._engine.takes(record.value):
            reads = self._engine.mapping.reads
            if self._inputs[number].is_named:
                cure = cure_for(record.value, reads, self._engine.mapping.name)
                raise MappingError("when", "the mapping's conditions don't hold", cure)
            reason = "`when` of the mapping doesn't hold for it"
            self._tally.left_out.append(LeftOut(_named(name.path, record.place), reason))
            return None
        scope = self._scope(name, record.value)
        source_id, is_redacted = self._engine.identity(record.value, scope)
        return identity(source_id)[0], _Ref(number, index, record.place, is_redacted)

    def _scope(self, name: FileName, record: Any) -> Scope:
        return self._engine.scope(name, record, self._job.context, self._job.speakers)

    def _make_or_refuse(self, refs: Sequence[_Ref]) -> None:
        """Make the conversation; whatever goes wrong is told of its records, and of no others."""
        refused, left_out = len(self._tally.refused), len(self._tally.left_out)
        try:
            self._make(refs)
        except Exception as error:  # noqa: BLE001 - one conversation never ends the run
            del self._tally.refused[refused:], self._tally.left_out[left_out:]
            for ref in refs:
                self._refuse(self._inputs[ref.file].name.path, ref.place, error)

    def _make(self, refs: Sequence[_Ref]) -> None:
        refs = self._without_unredacted(refs)
        refs = refs if len(refs) == 1 else self._without_same(refs)
        legs = self._engine.mapping.legs
        if len(refs) > 1 and legs is Legs.REFUSE:
            self._refuse_all(refs)
            return
        drafts: list[tuple[Draft, dict[str, Any]]] = []
        for ref in refs:
            name = self._inputs[ref.file].name.path
            try:
                drafts.append(self._draft(ref))
            except (MappingError, InputError) as error:
                if isinstance(error, MappingError) and error.place.endswith(".from"):
                    record = self._records(ref.file)[0][ref.number]
                    error.hint = cure_for(record.value, self._engine.mapping.reads)
                self._refuse(name, ref.place, error)
        lost = len(refs) - len(drafts)
        if lost and drafts:
            for _, source in drafts:
                self._refuse(
                    source["name"],
                    "",
                    InputError("another part of this call was refused", "correct that one"),
                )
            return
        if drafts:
            self._write(drafts, legs)

    def _without_unredacted(self, refs: Sequence[_Ref]) -> Sequence[_Ref]:
        redacted = [ref for ref in refs if ref.is_redacted]
        if not redacted or len(redacted) == len(refs):
            return refs
        kept = self._name_of(redacted[0])
        for ref in refs:
            if not ref.is_redacted:
                reason = f"it isn't redacted, and {kept} of the same call is"
                self._tally.left_out.append(LeftOut(self._name_of(ref), reason))
        return redacted

    def _without_same(self, refs: Sequence[_Ref]) -> Sequence[_Ref]:
        """Return the records that differ; of equal ones the first."""
        kept: dict[str, _Ref] = {}
        for ref in refs:
            records, _ = self._records(ref.file)
            first = kept.setdefault(json_sha256(records[ref.number].value), ref)
            if first is not ref:
                self._tally.left_out.append(
                    LeftOut(self._name_of(ref), f"{self._name_of(first)} says the same")
                )
        return list(kept.values())

    def _refuse_all(self, refs: Sequence[_Ref]) -> None:
        names = [self._name_of(ref) for ref in refs]
        for ref in refs:
            paths = {self._inputs[other.file].path.as_posix() for other in refs} - {
                self._inputs[ref.file].path.as_posix()
            }
            others = ", ".join(name for name in names if name != self._name_of(ref))
            others = others or ", ".join(sorted(paths)) or "another record of it"
            self._refuse(
                self._inputs[ref.file].name.path,
                ref.place,
                MappingError(
                    "legs",
                    f"it has the conversation id of {others}",
                    "parts of one call: `legs: append` (by the clock) or `overlay` (a file a "
                    "channel); other calls: `source_id: {file: path}`, in a mapping",
                ),
            )

    def _draft(self, ref: _Ref) -> tuple[Draft, dict[str, Any]]:
        records, hashed = self._records(ref.file)
        record = records[ref.number]
        name = self._inputs[ref.file].name
        scope = self._scope(name, record.value)
        draft = self._engine.draft(record.value, scope)
        if self._job.context is not None and not scope.has_row:
            self._tally.warn(
                "no_context", "context", "the context table has no row for it", name.path
            )
        if len(records) > 1:
            hashed = json_sha256(record.value)
        source: dict[str, Any] = {"name": _named(name.path, ref.place), "sha256": hashed}
        self._leftovers.add(draft)
        if self._engine.mapping.leftovers == "keep":
            source |= draft.rest
        else:
            for turn in draft.turns:
                turn.pop("source", None)
        rest = {
            k: v
            for k, v in scope.context.items()
            if k not in self._engine.columns and k not in FIELDS
        }
        if rest:
            source["context"] = rest
        return draft, source

    def _write(self, drafts: Sequence[tuple[Draft, dict[str, Any]]], legs: Legs) -> None:
        names = [source["name"] for _, source in drafts]
        try:
            order, draft = joined([draft for draft, _ in drafts], legs)
            if self._job.is_strict and draft.warnings:
                _, place, message = next(iter(draft.warnings))
                raise MappingError(place, message, "map it, or leave --strict out")
            files = [drafts[index][1] for index in order]
            source: dict[str, Any] = {"format": self._engine.mapping.name, "files": files}
            if draft.is_redacted is not None:
                source["redacted"] = draft.is_redacted
            defaults = (self._engine.mapping.defaults, self._job.defaults, draft.context)
            built = build(draft, defaults, source, self._engine.mapping.max_hours)
            errors = [fault for fault in built.faults if fault.severity is Severity.ERROR]
            if errors:
                raise refusal_of(errors)
            folder = self._job.out / built.batch_date.isoformat() / built.conversation_id
            if dates := self._dates.get(built.conversation_id):
                others = [self._job.out / date / folder.name for date in sorted(dates)]
                check_folder(folder, others, built, source, is_replacing=self._job.is_replacing)
            write_files(folder, built.contents)
        except (MappingError, InputError) as error:
            for name in names:
                self._refuse(name, "", error)
            return
        self._warn(draft, built, names[0])
        self._tally.written.append(str(folder))
        self._tally.joined_records += len(names) - 1
        if len(names) > 1:
            self._tally.joined.append(Joined(str(folder), tuple(names[index] for index in order)))

    def _warn(self, draft: Draft, built: Built, file: str) -> None:
        for rule, place, message in draft.warnings:
            self._tally.warn(rule, place, message, file)
        for fault in {(fault.rule, fault.message): fault for fault in built.faults}.values():
            self._tally.warn(fault.rule, fault.pointer, fault.message, file)
        others = self._dates.get(built.conversation_id, set()) - {built.batch_date.isoformat()}
        if others:
            message = "the output has the conversation under another date too"
            self._tally.warn("two_dates", "conversation.started_at", message, file)

    def _name_of(self, ref: _Ref) -> str:
        return _named(self._inputs[ref.file].name.path, ref.place)

    def _refuse(self, file: str, place: str, error: Exception) -> None:
        if isinstance(error, MappingError):
            at = json_pointer(*error.keys) if error.keys else place
            self._tally.refused.append(Refused(file, at, error.place, error.reason, error.hint))
        else:
            told = error if isinstance(error, InputError) else unexpected(error)
            self._tally.refused.append(Refused(file, place, "", told.message, told.hint))

    def _warn_at_last(self) -> None:
        if self._tally.written:
            for path in self._engine.never_matched():
                message = f"{path.expression} was found in no file"
                self._tally.warn("never_matched", path.place, message, MAPPING_FILE)
        table = self._job.context
        if table is not None and len(table.used) < len(table):
            message = f"{len(table) - len(table.used)} rows of the context table fit no file"
            self._tally.warn("context_unused", "context", message, "")


def _named(file: str, place: str) -> str:
    return f"{file}#{place}" if place else file


def _is_text(name: str) -> bool:
    """Return whether the name can be written: one that isn't UTF-8 holds halves of characters."""
    return name.isprintable() or name.encode(errors="replace").decode() == name


def _names_of(sources: Sequence[Path]) -> dict[Path, str]:
    """Return the names of named files: with their folders, where two have one name."""
    files = [source for source in sources if not source.is_dir()]
    if len({file.name for file in files}) == len(files):
        return {file: file.name for file in files}
    common = os.path.commonpath([file.absolute().parent for file in files])
    return {file: file.absolute().relative_to(common).as_posix() for file in files}


def _names_below(
    folder: str, out: Path, closed: Callable[[OSError], None] | None = None
) -> Iterator[str]:
    """Yield the files of a folder and its folders, but hidden ones and `out`, in the order of
    names; `closed` is told of what can't be listed."""
    for place, folders, files in os.walk(folder, onerror=closed):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and Path(place, name).resolve() != out
        )
        below = "" if place == folder else f"{place[len(folder) :].strip(os.sep)}/"
        for name in sorted(files):
            if not name.startswith(".") and name not in _NOT_SOURCES:
                yield below + name
