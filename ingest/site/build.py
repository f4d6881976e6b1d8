"""Builds the site: which pages there are, what each is made from, and which of them are written."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from ingest.flows.report import RunReport
from ingest.site.groups import (
    FIELDS,
    KINDS,
    Member,
    coaching_page,
    group_page,
    grouped,
    page_of,
)
from ingest.site.pages import Frame, hits_of, page_file, rendered, run_page, shown_talk
from ingest.site.reading import Call, SiteReader, Words

_MANIFEST = "pages.json"
_OUR_PAGE = re.compile(r"(?:[a-z]+/)?[a-z0-9_.-]+\.(?:html|css|js)")
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass
class Counts:
    """How many files were written, left as they were, and removed."""

    written: int = 0
    kept: int = 0
    removed: int = 0


class SiteFolder:
    """The folder of the site; what each file was made from is remembered there."""

    def __init__(self, path: Path) -> None:
        self.counts = Counts()
        self._path = path
        self._now: dict[str, tuple[str, str]] = {}
        try:
            held = dict(json.loads((path / _MANIFEST).read_bytes()))
            self._before = {name: (str(made), str(words)) for name, (made, words) in held.items()}
        except (OSError, ValueError, TypeError):
            self._before = {}
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, name: str, digest: str, make: Callable[[], tuple[str, str]]) -> str:
        """Write the file unless it was made from the same; return the words that are in it."""
        path = self._path / name
        before = self._before.get(name)
        if before and before[0] == digest and path.exists():
            self._now[name] = before
            self.counts.kept += 1
            return before[1]
        text, words = make()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._replace(path, text.encode("utf-8", "replace"))
        self._now[name] = (digest, words)
        self.counts.written += 1
        return words

    def put_text(self, name: str, text: str) -> None:
        """Write the file unless it holds this already."""
        content = text.encode("utf-8", "replace")
        self.put(name, hashlib.sha256(content).hexdigest(), lambda: (text, ""))

    def close(self, *, is_whole: bool) -> None:
        """Remove pages that a whole site no longer has, and remember what there is."""
        gone = self._before.keys() - self._now.keys() if is_whole else set()
        for name in gone:
            if _OUR_PAGE.fullmatch(name) and (self._path / name).exists():
                (self._path / name).unlink()
                self.counts.removed += 1
        remembered = self._now if is_whole else {**self._before, **self._now}
        self._replace(self._path / _MANIFEST, orjson.dumps(remembered))

    @staticmethod
    def _replace(path: Path, content: bytes) -> None:
        beside = path.with_name(f"{path.name}.part")
        beside.write_bytes(content)
        beside.replace(path)


def build_site(
    reader: SiteReader, report: RunReport | None, frame: Frame, out: Path, docs: Path
) -> Counts:
    """Make the site in the folder, or make it anew where rows have changed; return what it took."""
    folder = SiteFolder(out)
    is_whole = False
    try:
        _put_all(folder, reader, report, frame, docs)
        is_whole = True
    finally:
        folder.close(is_whole=is_whole)
    return folder.counts


def _put_all(
    folder: SiteFolder, reader: SiteReader, report: RunReport | None, frame: Frame, docs: Path
) -> None:
    top = replace(frame, root="")
    calls = reader.calls()
    members: list[Member] = []
    index = WordIndex()
    for call, words in reader.words(calls):
        members.append(Member(call, hits_of(words.turns)))
        index.add(_put_call(folder, call, words, frame))
    measures = reader.measures()
    weeks, pages = reader.coaching_weeks(), {call.conversation_id for call in calls}
    for kind in KINDS:
        groups = grouped(kind, members, measures, with_pii=frame.with_pii)
        for group in groups:
            coaching = weeks.get(group.key, ()) if kind is KINDS[0] else ()
            folder.put_text(group.page, group_page(group, frame, coaching, pages))
        page = rendered(
            "groups.html.j2", with_pii=frame.with_pii, frame=top, kind=kind, groups=groups
        )
        folder.put_text(f"{kind.folder}.html", page)
    folder.put_text("coaching.html", coaching_page(calls, top))
    rows = [member.list_row(with_pii=frame.with_pii) for member in members]
    folder.put_text("index.html", _list_page(rows, reader.gaps, top))
    if report is not None:
        of_values = _counter(rows)
        page = run_page(
            report, frame.project, with_pii=frame.with_pii, frame=top, counted=of_values
        )
        folder.put_text("runs.html", page)
    else:
        page = rendered("no_report.html.j2", with_pii=frame.with_pii, frame=top)
        folder.put_text("runs.html", page)
    if frame.has_docs:
        folder.put_text("docs.html", docs.read_text(encoding="utf-8"))
    for name in ("page.css", "site.js"):
        folder.put_text(name, page_file(name))
    folder.put_text("words.js", index.script())


def _put_call(folder: SiteFolder, call: Call, words: Words, frame: Frame) -> str:
    made_from = orjson.dumps(
        (_code_sha256(), frame, call, words), default=str, option=orjson.OPT_SORT_KEYS
    )

    def make() -> tuple[str, str]:
        shown, left = shown_talk(words.turns, words.personal, frame, summary=words.summary)
        page = rendered(
            "conversation.html.j2", with_pii=frame.with_pii, frame=frame, call=call, **shown
        )
        return page, left

    return folder.put(page_of(call), hashlib.sha256(made_from).hexdigest(), make)


def _list_page(rows: Sequence[Sequence[Any]], gaps: Sequence[str], frame: Frame) -> str:
    data = orjson.dumps({"fields": FIELDS, "rows": rows}, default=str).decode("utf-8")
    # Within a script element nothing is escaped, so nothing in it may look like markup.
    safe = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return rendered(
        "index.html.j2", with_pii=frame.with_pii, frame=frame, count=len(rows), gaps=gaps, data=safe
    )


def _counter(rows: Iterable[Sequence[Any]]) -> Callable[..., int]:
    """Return what counts the rows of the list that have some values, as the list's filters do."""
    found = [dict(zip(FIELDS, row, strict=True)) for row in rows]

    def counted(**wanted: object) -> int:
        return sum(
            all(
                wish == row[name] or (isinstance(row[name], list | dict) and wish in row[name])
                for name, wish in wanted.items()
            )
            for row in found
        )

    return counted


class WordIndex:
    """Which conversations hold a word, small enough for a page to load: places as differences."""

    def __init__(self) -> None:
        self._count = 0
        self._last: dict[str, int] = {}
        self._places: dict[str, bytearray] = defaultdict(bytearray)

    def add(self, words: str) -> None:
        """Add the next conversation with its words, each once."""
        self._count += 1
        for word in words.split():
            difference = self._count - self._last.get(word, 0)
            self._last[word] = self._count
            self._places[word] += encoded(difference)

    def script(self) -> str:
        """Return the index as a script that only sets `window.words`."""
        words = sorted(self._places)
        held = {
            "words": " ".join(words),
            "places": " ".join(self._places[word].decode("ascii") for word in words),
        }
        return f"window.words = {orjson.dumps(held).decode('utf-8')};\n"


@cache
def encoded(number: int) -> bytes:
    """Return a whole number in five bits a letter, the lowest first; more follow a high letter."""
    letters = ""
    while number > 31:
        letters += _DIGITS[32 + (number & 31)]
        number >>= 5
    return (letters + _DIGITS[number]).encode("ascii")


@cache
def _code_sha256() -> str:
    """Return the hash of what makes pages, so that they are made anew when it changes."""
    kinds = {".py", ".j2", ".txt"}
    files = sorted(path for path in Path(__file__).parent.rglob("*") if path.suffix in kinds)
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
