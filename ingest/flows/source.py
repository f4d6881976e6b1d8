"""Where conversations come from: a folder of this machine, or a prefix of a bucket.

SOURCE is a date folder (`2025-12-28`) or holds date folders; a date folder holds one folder a
conversation. Folders are walked one date at a time, in the order of their names.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.domain.conversation import CONVERSATION_ID_PATTERN, FileKind
from ingest.domain.fault import Fault
from ingest.domain.object_paths import parse_batch_date
from ingest.domain.validation import MAX_FILE_BYTES
from ingest.errors import InputError


@dataclass(frozen=True)
class SourceConversation:
    """One conversation folder; the files are read when they're needed."""

    batch_date: dt.date
    conversation_id: str
    folder: Path

    def path_of(self, kind: FileKind) -> str:
        """Return the file's place as faults name it: `<date>/<id>/<kind>.json`."""
        return f"{self.batch_date}/{self.conversation_id}/{kind.value}.json"

    def read(self) -> tuple[dict[FileKind, bytes], list[Fault]]:
        """Return the files that can be read, and a fault for each that can't."""
        contents: dict[FileKind, bytes] = {}
        faults: list[Fault] = []
        for kind in FileKind:
            path = self.folder / f"{kind.value}.json"
            try:
                content = _read_within(path, self.folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                reason = error.strerror or type(error).__name__
                faults.append(_unreadable(self.path_of(kind), reason))
                continue
            if isinstance(content, int):
                faults.append(_too_large(self.path_of(kind), content))
                continue
            contents[kind] = content
        return contents, faults


@dataclass(frozen=True)
class LocalSource:
    """A folder of this machine."""

    root: Path

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise InputError(
                f"{self.root} isn't a folder", "name a date folder or a folder of date folders"
            )
        if not self.dates():
            raise InputError(
                f"{self.root} is no date folder and holds none",
                "name it like 2025-12-28: <date>/<conversation_id>/metadata.json",
            )

    def dates(self) -> list[tuple[dt.date, Path]]:
        """Return the date folders, oldest first."""
        root = self.root.resolve()
        own = parse_batch_date(root.name)
        if own is not None:
            return [(own, root)]
        found = []
        for entry in sorted(root.iterdir()):
            date = parse_batch_date(entry.name)
            if date is not None and entry.is_dir() and _is_within(entry, root):
                found.append((date, entry))
        return found

    def walk(self) -> Iterator[SourceConversation | Fault]:
        """Yield every conversation folder in order, and a fault for each entry that is none."""
        for date, folder in self.dates():
            for name in sorted(entry.name for entry in os.scandir(folder)):
                yield from _entry(date, folder, name)


def _entry(date: dt.date, folder: Path, name: str) -> Iterator[SourceConversation | Fault]:
    path = folder / name
    place = f"{date}/{name}"
    if name.startswith(".") or not path.is_dir():
        if path.is_symlink() or not name.startswith("."):
            yield Fault(
                place,
                "",
                "not_a_conversation",
                "a date folder holds conversation folders only",
                "remove it, or move it into its conversation's folder",
            )
        return
    if not CONVERSATION_ID_PATTERN.fullmatch(name):
        yield Fault(
            place,
            "",
            "bad_conversation_id",
            "the folder's name is no conversation id",
            "use 4 to 64 lower-case letters, digits or hyphens",
        )
    elif not _is_within(path, folder):
        yield Fault(
            place,
            "",
            "link_leaves_source",
            "the folder is a link that leads out of the source",
            "copy the conversation into the source",
        )
    else:
        yield SourceConversation(date, name, path)


def _is_within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _read_within(path: Path, folder: Path) -> bytes | int:
    """Return the file's bytes, or its size when that is over the limit."""
    if path.is_symlink() and not _is_within(path, folder):
        raise OSError(0, "it is a link that leads out of the source")
    if not path.is_file():
        if path.exists() or path.is_symlink():
            raise OSError(0, "it is no plain file")
        raise FileNotFoundError(path)
    size = path.stat().st_size
    return size if size > MAX_FILE_BYTES else path.read_bytes()


def _unreadable(place: str, reason: str) -> Fault:
    return Fault(
        place,
        "",
        "unreadable_file",
        f"the file can't be read: {reason}",
        "check its type, its permissions and where a link leads",
    )


def _too_large(place: str, size: int) -> Fault:
    return Fault(
        place,
        "",
        "file_too_large",
        f"the file has {size:,} bytes, the limit is {MAX_FILE_BYTES:,}",
        "split or remove the file",
    )
