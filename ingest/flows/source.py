"""Where conversations come from: a folder of this machine, or a prefix of a bucket.

SOURCE is a date folder (`2025-12-28`) or holds date folders; a date folder holds one folder a
conversation. Both kinds are walked in the order of their names, one date after the other, and
never held whole.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath
from typing import Protocol

from ingest.domain.conversation import (
    CONVERSATION_ID_PATTERN,
    FileKind,
    parse_batch_date,
    source_object,
)
from ingest.domain.declarations import Declarations
from ingest.domain.faults import Fault, Severity
from ingest.domain.validation import MAX_FILE_BYTES, Delivery, check_delivery
from ingest.errors import InputError
from ingest.flows.attempts import Attempts, every_item
from ingest.ports.move import ObjectStore, StoredObject

_AUDIO = frozenset({".wav", ".mp3", ".m4a", ".ogg", ".opus", ".flac", ".aac", ".wma", ".mp4"})
_TRANSCRIPTS = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".vtt", ".srt", ".txt", ".xml"})
_OWN_FOLDERS = frozenset({"ci-transcripts", "originals", "_landing", "_pull", "_ready", "_runs"})
"""What the pipeline itself keeps at the root of its bucket."""
_BESIDE = frozenset({"metadata.json", "transcription.json", "expected.json", "mapping.yaml"})
"""Files that are read, or are known to belong there."""
_SHOWN_CHARS = 200
Contents = dict[FileKind, bytes]


class SourceConversation(Protocol):
    """One conversation; its files are read when they're needed."""

    @property
    def batch_date(self) -> dt.date:
        """The date folder."""

    @property
    def conversation_id(self) -> str:
        """The folder's name."""

    @property
    def stored(self) -> dict[FileKind, StoredObject]:
        """Files that already are the bucket's own objects, so that no upload is needed."""

    @property
    def origins(self) -> dict[FileKind, str]:
        """Addresses of files that come from a bucket, where they stay after an upload."""

    async def read(self) -> tuple[Contents, list[Fault]]:
        """Return the files that can be read, and a fault for each that can't."""


class Source(Protocol):
    """Conversations in the order of date and id."""

    @property
    def is_quick_to_read(self) -> bool:
        """Whether everything may be read once more, to validate all before anything is sent."""

    def walk(self) -> AsyncIterator[SourceConversation | Fault]:
        """Yield every conversation in order, and a fault for each entry that is none."""


def place_of(conversation: SourceConversation, kind: FileKind) -> str:
    """Return the file's place as faults name it: `<date>/<id>/<kind>.json`."""
    return f"{conversation.batch_date}/{conversation.conversation_id}/{kind.value}.json"


async def read_delivery(conversation: SourceConversation, declared: Declarations) -> Delivery:
    """Read a conversation's files, and judge them: each is decoded and hashed here, once.

    Raises RemoteError where a bucket doesn't answer.
    """
    contents, unreadable = await conversation.read()
    return check_delivery(
        conversation.conversation_id, conversation.batch_date, contents, unreadable, declared
    )


@dataclass(frozen=True)
class LocalConversation:
    """A conversation folder of this machine."""

    batch_date: dt.date
    conversation_id: str
    folder: Path
    stored: dict[FileKind, StoredObject] = field(default_factory=dict)
    origins: dict[FileKind, str] = field(default_factory=dict)

    async def read(self) -> tuple[Contents, list[Fault]]:
        """Return the files that can be read, and a fault for each that can't."""
        contents: Contents = {}
        faults: list[Fault] = []
        folder = str(self.folder)
        for kind in FileKind:
            try:
                content = _read_within(f"{folder}/{kind.value}.json", self.folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                reason = error.strerror or type(error).__name__
                faults.append(_unreadable(place_of(self, kind), reason))
                continue
            if isinstance(content, int):
                faults.append(too_large(place_of(self, kind), content))
            else:
                contents[kind] = content
        return contents, [*faults, *self._not_read()]

    def _not_read(self) -> Iterator[Fault]:
        place = f"{self.batch_date}/{self.conversation_id}"
        for entry in sorted(self.folder.iterdir()):
            if entry.name not in _BESIDE and not _is_hidden(entry.name):
                yield not_read(f"{place}/{entry.name}")


@dataclass(frozen=True)
class LocalSource:
    """A folder of this machine."""

    root: Path
    is_quick_to_read: bool = True

    def __post_init__(self) -> None:
        if not _is_dir(self.root):
            raise InputError(
                f"{_shown(str(self.root))} isn't a folder",
                "name a date folder or a folder of date folders",
            )
        dates, faults = self._dates()
        if not dates and not any(has_date(PurePath(fault.file).name) for fault in faults):
            raise InputError(
                f"{_shown(str(self.root))} is no date folder and holds none",
                "name it like 2025-12-28: <date>/<conversation_id>/metadata.json",
            )

    def dates(self) -> list[tuple[dt.date, Path]]:
        """Return the date folders, oldest first."""
        return self._dates()[0]

    def _dates(self) -> tuple[list[tuple[dt.date, Path]], list[Fault]]:
        root = self.root.resolve()
        own = parse_batch_date(self.root.name) or parse_batch_date(root.name)
        if own is not None:
            return [(own, root)], []
        found, faults = [], []
        for entry in sorted(root.iterdir()):
            date = parse_batch_date(entry.name)
            if not entry.is_dir():
                if date is not None and _leads_nowhere(entry):
                    faults.append(_link_nowhere(entry.name))
                elif date is not None or not (_is_hidden(entry.name) or entry.name in _BESIDE):
                    faults.append(not_read(entry.name))
            elif date is None:
                if not _is_hidden(entry.name):
                    faults.append(bad_date(entry.name))
            elif _is_within(entry, root):
                found.append((date, entry))
            else:
                faults.append(_link_out(entry.name))
        return found, faults

    async def walk(self) -> AsyncIterator[SourceConversation | Fault]:
        """Yield every conversation folder in order, and a fault for each entry that is none."""
        dates, faults = self._dates()
        for fault in faults:
            yield fault
        for date, folder in dates:
            try:
                with os.scandir(folder) as entries:
                    ordered = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                yield _unreadable(str(date), error.strerror or type(error).__name__)
                continue
            for entry in ordered:
                for found in _entry(date, folder, entry):
                    yield found


def _entry(
    date: dt.date, folder: Path, entry: os.DirEntry[str]
) -> Iterator[SourceConversation | Fault]:
    name, path = entry.name, folder / entry.name
    place = f"{date}/{name}"
    if not entry.is_dir():
        if CONVERSATION_ID_PATTERN.fullmatch(name) and _leads_nowhere(path):
            yield _link_nowhere(place)
        elif entry.is_symlink() or not _is_hidden(name):
            yield not_read(place)
    elif _is_hidden(name):
        return
    elif not CONVERSATION_ID_PATTERN.fullmatch(name):
        yield bad_id(place)
    elif entry.is_symlink() and not _is_within(path, folder):
        yield _link_out(place)
    else:
        yield LocalConversation(date, name, path)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") and not name.startswith("..")


def _shown(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}…"


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # A name that is too long, or a folder that may not be looked into.
        return False


def _is_within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _read_within(name: str, folder: Path) -> bytes | int:
    """Return the file's bytes, or its size when that is over the limit."""
    # Text and `os`, since a path object takes longer than the file.
    found = os.lstat(name)
    if stat.S_ISLNK(found.st_mode):
        path = Path(name)
        if not _is_within(path, folder):
            raise OSError(0, "it is a link that leads out of the source")
        if not path.exists():
            raise OSError(0, "it is no plain file")
        found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is no plain file")
    if found.st_size > MAX_FILE_BYTES:
        return found.st_size
    with open(name, "rb", buffering=0) as file:  # noqa: PTH123 - a path takes longer
        return file.readall()


def _link_out(place: str) -> Fault:
    return Fault(
        place,
        "",
        "link_leaves_source",
        "the folder is a link that leads out of the source",
        "copy the conversation into the source",
    )


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _link_nowhere(place: str) -> Fault:
    return Fault(
        place,
        "",
        "link_leads_nowhere",
        "it is a link that leads nowhere; what it stood for isn't read",
        "mend the link or remove it",
    )


def not_read(place: str) -> Fault:
    """Return the warning about a file that is no part of a conversation, and its way in."""
    suffix = PurePath(place).suffix.lower()
    if suffix in _AUDIO:
        hint = "audio isn't read: transcribe it, then turn that into transcription.json"
    elif suffix in _TRANSCRIPTS:
        hint = "turn it into transcription.json by `ingest data convert`"
    else:
        hint = "move it elsewhere if it should not be here"
    return Fault(
        place,
        "",
        "not_read",
        "only metadata.json and transcription.json of conversation folders are read",
        hint,
        Severity.WARNING,
    )


_A_DATE = re.compile(
    r"\d{4}[-_.]?\d{1,2}[-_.]?\d{1,2}"
    r"|(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-_. ]?\d",
    re.IGNORECASE,
)


def has_date(name: str) -> bool:
    """Return whether a folder's name was surely meant as a date."""
    return _A_DATE.search(name) is not None


def bad_date(place: str) -> Fault:
    """Return the fault of a folder that is no date folder: an error where a date was surely meant.

    Nothing in it is read.
    """
    is_meant = has_date(PurePath(place).name)
    return Fault(
        place,
        "",
        "bad_date_folder" if is_meant else "not_read",
        "the folder's name is no date; what is in it isn't read",
        "name the folder by its date alone, like 2025-12-28, or move it elsewhere",
        Severity.ERROR if is_meant else Severity.WARNING,
    )


def bad_id(place: str) -> Fault:
    """Return the fault of a folder whose name is no id."""
    return Fault(
        place,
        "",
        "bad_conversation_id",
        "the folder's name is no conversation id",
        "use 4 to 64 lower-case letters, digits or hyphens",
    )


def _unreadable(place: str, reason: str) -> Fault:
    return Fault(
        place,
        "",
        "unreadable_file",
        f"the file can't be read: {reason}",
        "check its type, its permissions and where a link leads",
    )


def too_large(place: str, size: int) -> Fault:
    """Return the fault of a file over the limit."""
    return Fault(
        place,
        "",
        "file_too_large",
        f"the file has {size:,} bytes, the limit is {MAX_FILE_BYTES:,}",
        "split or remove the file",
    )


_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
"""Cloud Storage's rule for names of buckets, dots included."""
_KIND_BY_NAME = {f"{kind.value}.json": kind for kind in FileKind}


@dataclass(frozen=True)
class BucketConversation:
    """A conversation whose files are objects of a bucket."""

    batch_date: dt.date
    conversation_id: str
    store: ObjectStore
    objects: dict[FileKind, StoredObject]
    is_own_bucket: bool
    attempts: Attempts

    @property
    def stored(self) -> dict[FileKind, StoredObject]:
        """The objects themselves, when they lie where an upload would put them."""
        if not self.is_own_bucket:
            return {}
        conversation_id = self.conversation_id
        return {
            kind: stored
            for kind, stored in self.objects.items()
            if stored.name == source_object(self.batch_date, conversation_id, kind)
        }

    @property
    def origins(self) -> dict[FileKind, str]:
        """Addresses of the objects."""
        bucket = self.store.bucket
        return {kind: f"gs://{bucket}/{stored.name}" for kind, stored in self.objects.items()}

    async def read(self) -> tuple[Contents, list[Fault]]:
        """Return the objects' bytes, and a fault for each that is too large."""
        contents: Contents = {}
        faults: list[Fault] = []
        for kind, stored in self.objects.items():
            if stored.size_bytes > MAX_FILE_BYTES:
                faults.append(too_large(place_of(self, kind), stored.size_bytes))
            else:
                read = partial(self.store.read, stored.name)
                contents[kind] = (await self.attempts.run(read)).value
        return contents, faults


@dataclass(frozen=True)
class BucketSource:
    """A prefix of a bucket: `<prefix>/<date>/<id>/<kind>.json`, or the prefix ends in the date."""

    store: ObjectStore
    prefix: str
    attempts: Attempts
    is_own_bucket: bool
    is_quick_to_read: bool = False

    async def walk(self) -> AsyncIterator[SourceConversation | Fault]:
        """Yield every conversation in order, and a fault for each object that is no file of one."""
        base, fixed_date = self._base()
        current: BucketConversation | None = None
        is_empty, named = True, ""
        prefix = self._listed_prefix()
        async for stored in every_item(
            self.attempts, lambda token: self.store.list(prefix, page_token=token)
        ):
            date, parts = fixed_date, stored.name.removeprefix(base).split("/")
            if date is None:
                date = parse_batch_date(parts[0])
                parts = parts[1:]
            if date is None:
                entry, _, inner = stored.name.removeprefix(base).partition("/")
                is_own = self.is_own_bucket and not base and entry in _OWN_FOLDERS
                if entry != named and not is_own and not _is_hidden(entry):
                    named, is_empty = entry, is_empty and not has_date(entry)
                    yield bad_date(entry) if inner else not_read(entry)
                continue
            is_empty = False
            fault = _object_fault(date, parts)
            if fault is not None:
                if fault.file != named:
                    yield fault
                named = fault.file
                continue
            if current is None or (current.batch_date, current.conversation_id) != (date, parts[0]):
                if current is not None:
                    yield current
                current = BucketConversation(
                    date, parts[0], self.store, {}, self.is_own_bucket, self.attempts
                )
            name = "/".join(parts[1:])
            if name in _KIND_BY_NAME:
                current.objects[_KIND_BY_NAME[name]] = stored
            elif name not in _BESIDE and not _is_hidden(name):
                yield not_read(f"{date}/{parts[0]}/{name}")
        if current is not None:
            yield current
        if is_empty:
            raise InputError(
                f"gs://{self.store.bucket}/{self.prefix} holds no date folder with objects",
                "name it like gs://bucket/2025-12-28: <date>/<conversation_id>/metadata.json",
            )

    def _listed_prefix(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""

    def _base(self) -> tuple[str, dt.date | None]:
        date = parse_batch_date(self.prefix.rpartition("/")[2])
        return self._listed_prefix(), date


def parse_gs_uri(uri: str) -> tuple[str, str]:
    """Return bucket and prefix of `gs://bucket/prefix`; raise InputError for anything else."""
    bucket, _, prefix = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not _BUCKET_NAME.fullmatch(bucket) or ".." in bucket:
        raise InputError(
            f"{_shown(uri)!r} is no bucket address",
            "write gs://bucket/prefix; a bucket's name has 3 to 222 of a-z, 0-9, -, _ and .",
        )
    return bucket, prefix.strip("/")


def _object_fault(date: dt.date, parts: list[str]) -> Fault | None:
    place = f"{date}/{'/'.join(parts)}"
    if len(parts) < 2 or not parts[0]:
        return not_read(place)
    if not CONVERSATION_ID_PATTERN.fullmatch(parts[0]):
        return bad_id(f"{date}/{parts[0]}")
    return None
