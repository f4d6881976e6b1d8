"""Migrate: take over what an earlier pipeline, cc-coach, brought to Insights.

It reads two tables of that pipeline: `conversation_registry`, a row a conversation, and
`ci_enrichment`, a row an export of one. A row is placed when it names one conversation that
Insights holds and two files that can be read; everything else is named with its reason.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

from ingest.domain.conversation import CONVERSATION_ID_PATTERN
from ingest.domain.converted import Converted
from ingest.errors import AccessError, InputError, RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.source import parse_gs_uri
from ingest.ports.inspect import Warehouse
from ingest.ports.move import InsightsApi, ObjectStore

REGISTRY = "conversation_registry"
ENRICHMENT = "ci_enrichment"
_FILES = {"metadata.json": "metadata_uri_raw", "transcription.json": "transcript_uri_raw"}
COLUMNS: Mapping[str, tuple[str, ...]] = {
    REGISTRY: ("conversation_id", "ci_conversation_name", *_FILES.values()),
    ENRICHMENT: ("conversation_id",),
}
"""What is read of each table; other columns may be there."""
_AT_ONCE = 50
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Duplicate:
    """An id that several rows of one table have."""

    table: str
    id: str
    rows: int


@dataclass(frozen=True)
class Unplaced:
    """A row that wasn't taken over: why, and what would."""

    table: str
    id: str
    reason: str
    hint: str


@dataclass(frozen=True)
class Placing:
    """What the two tables say: registry rows to take over, one an id, and what is odd."""

    placed: tuple[Row, ...]
    duplicates: tuple[Duplicate, ...]
    unplaced: tuple[Unplaced, ...]


def read_tables(warehouse: Warehouse, dataset: str) -> tuple[Sequence[Row], Sequence[Row]]:
    """Return the rows of both tables, or raise InputError where a table or a column lacks."""
    found: list[Sequence[Row]] = []
    for name, columns in COLUMNS.items():
        table = warehouse.table(dataset, name)
        has = {column.name for column in table.columns} if table is not None else set()
        if lacking := [column for column in columns if column not in has]:
            what = f"no columns {', '.join(lacking)}" if table is not None else "no such table"
            raise InputError(
                f"{dataset}.{name}: {what}", "name the dataset of the earlier pipeline's tables"
            )
        chosen = ", ".join(columns)
        sql = f"select {chosen} from {warehouse.full_name(dataset, name)} order by {chosen}"
        found.append(warehouse.query(sql).rows)
    return found[0], found[1]


def place(registry: Sequence[Row], enrichment: Sequence[Row]) -> Placing:
    """Return which rows can be taken over.

    Rows of one id that say the same count once; of those that differ none is taken.
    """
    by_id: dict[str, list[Row]] = {}
    for row in registry:
        by_id.setdefault(row["conversation_id"] or "", []).append(row)
    exports = Counter(row["conversation_id"] or "" for row in enrichment)
    placed: list[Row] = []
    unplaced: list[Unplaced] = []
    for id_, rows in by_id.items():
        fault = _fault(id_, rows)
        if fault is None:
            placed.append(rows[0])
        else:
            unplaced.append(Unplaced(REGISTRY, id_, *fault))
    for id_ in exports:
        if id_ not in by_id:
            reason = f"{REGISTRY} has no row of it"
            hint = f"if Insights holds it: ingest pull --ids {id_}"
            unplaced.append(Unplaced(ENRICHMENT, id_, reason, hint))
    duplicates = [
        *(Duplicate(REGISTRY, id_, len(rows)) for id_, rows in by_id.items() if len(rows) > 1),
        *(Duplicate(ENRICHMENT, id_, count) for id_, count in exports.items() if count > 1),
    ]
    return Placing(tuple(placed), tuple(duplicates), tuple(unplaced))


def _fault(id_: str, rows: Sequence[Row]) -> tuple[str, str] | None:
    """Return why these rows of an id can't be placed, and the cure."""
    first = rows[0]
    if not CONVERSATION_ID_PATTERN.fullmatch(id_):
        return "its id is none that Insights takes", "4 to 64 lower-case letters, digits, hyphens"
    if differing := [name for name in COLUMNS[REGISTRY] if len({row[name] for row in rows}) > 1]:
        return f"its {len(rows)} rows differ in {', '.join(differing)}", "keep the right one"
    for column in _FILES.values():
        try:
            parse_gs_uri(first[column] or "")
        except InputError:
            return f"its {column} is no address of a bucket", "convert and push its files yourself"
    name = first["ci_conversation_name"]
    if not name:
        return "it never came to Insights", "convert and push its files, which analyses them"
    if name.rpartition("/")[2] != id_:
        held = name.rpartition("/")[2]
        return "Insights holds it by another id", f"ingest pull --ids {held}, or push it anew"
    return None


class Fetch:
    """Brings the files of placed rows to this machine, of conversations that Insights holds."""

    def __init__(
        self,
        insights: InsightsApi,
        attempts: Attempts,
        open_store: Callable[[str], AbstractAsyncContextManager[ObjectStore]],
    ) -> None:
        self._insights = insights
        self._attempts = attempts
        self._open_store = open_store
        self._stores: dict[str, ObjectStore] = {}
        self._closed: dict[str, AccessError] = {}

    async def run(self, placed: Sequence[Row], folder: Path) -> AsyncIterator[Unplaced]:
        """Write `<folder>/<id>/…` for each row; yield those of which something lacks."""
        async with AsyncExitStack() as opened:
            for bucket in sorted({parse_gs_uri(uri)[0] for row in placed for uri in _uris(row)}):
                try:
                    store = await opened.enter_async_context(self._open_store(bucket))
                    self._stores[bucket] = store
                except AccessError as error:
                    self._closed[bucket] = error
            for first in range(0, len(placed), _AT_ONCE):
                chunk = placed[first : first + _AT_ONCE]
                for fault in await asyncio.gather(*(self._fetch(row, folder) for row in chunk)):
                    if fault is not None:
                        yield fault

    async def _fetch(self, row: Row, folder: Path) -> Unplaced | None:
        id_ = row["conversation_id"]
        get = partial(self._insights.get_conversation, id_)
        if (await self._attempts.run(get)).value is None:
            hint = "convert and push its files, which analyses them"
            return Unplaced(REGISTRY, id_, "Insights no longer holds it", hint)
        contents: dict[str, bytes] = {}
        for name, column in _FILES.items():
            bucket, key = parse_gs_uri(row[column])
            if (closed := self._closed.get(bucket)) is not None:
                return Unplaced(REGISTRY, id_, closed.message, closed.hint)
            try:
                read = partial(self._stores[bucket].read, key)
                contents[name] = (await self._attempts.run(read)).value
            except RemoteError as error:
                if error.code != "NOT_FOUND":
                    raise
                return Unplaced(REGISTRY, id_, f"the file of its {column} is gone", "restore it")
        own = folder / id_
        own.mkdir(parents=True)
        for name, content in contents.items():
            (own / name).write_bytes(content)
        return None


def _uris(row: Row) -> Iterable[str]:
    return (row[column] for column in _FILES.values())


def unconverted(made: Converted, fetched: Iterable[str], out: Path) -> list[Unplaced]:
    """Return the fetched ids that the conversion made no folder of, and remove what it made of
    other ids than those of the rows."""
    reasons = {each.file: (each.message, each.hint) for each in made.refused}
    reasons |= {each.file: (each.reason, "correct its files") for each in made.left_out}
    written = {Path(each).name for each in made.written}
    wanted = set(fetched)
    for id_ in written - wanted:
        for folder in out.glob(f"*/{id_}"):
            rmtree(folder)
    other = "its files are of another conversation", "correct transcript_uri_raw"
    return [Unplaced(REGISTRY, id_, *reasons.get(id_, other)) for id_ in sorted(wanted - written)]
