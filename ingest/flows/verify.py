"""Verify: files = bucket = CI = raw tables = marts, conversation by conversation, for one date.

Compared are content hashes, not counts alone, and each place is asked itself: nothing is taken
from what a run has reported.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from ingest.domain.conversation import FileKind
from ingest.domain.fault import Fault
from ingest.domain.fingerprint import json_sha256
from ingest.domain.object_paths import parse_batch_date
from ingest.domain.raw_records import CI_CONVERSATIONS, CONVERSATION_FILES, PIPELINE_EVENTS
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.outside import Outside
from ingest.flows.pages import every_item
from ingest.flows.source import Source

PLACES = ("files", "bucket", "ci", "raw_files", "raw_ci", "marts")
_PLACES_OF_NEWEST = ("ci", "raw_ci", "marts")
"""Places that know a conversation by the date folder of its newest files only."""
Hashes = tuple[str | None, str | None]
"""SHA-256 of metadata and of transcript."""


@dataclass(frozen=True)
class Mismatch:
    """One conversation that differs between two places."""

    conversation_id: str
    place: str
    problem: str


@dataclass
class DateCheck:
    """Conversations of a date by place, and every difference."""

    date: dt.date
    counts: Counter[str] = field(default_factory=Counter)
    mismatches: list[Mismatch] = field(default_factory=list)


class Verify:
    """Compares the places."""

    def __init__(self, outside: Outside, attempts: Attempts) -> None:
        self._outside = outside
        self._attempts = attempts

    async def dates(self) -> list[dt.date]:
        """Return the date folders of the bucket."""
        folders = (await self._attempts.run(lambda: self._outside.store.folders(""))).value
        found = (parse_batch_date(folder.rstrip("/")) for folder in folders)
        return [date for date in found if date is not None]

    async def check(self, date: dt.date, source: Source | None) -> DateCheck:
        """Return counts and differences of one date; `source` adds the files as a place."""
        check = DateCheck(date)
        forgotten = await self._forgotten()
        moved_on = await self._delivered_later(date)
        places: dict[str, Mapping[str, Hashes]] = {
            "bucket": await self._bucket(date),
            "ci": await self._ci(date),
            "raw_files": await self._raw_files(date),
            "raw_ci": await self._raw_ci(date),
            "marts": await self._marts(date, check),
        }
        if source is not None:
            places = {"files": await self._files(source, date), **places}
        for place, held in places.items():
            check.counts[place] = len(held.keys() - forgotten)
        first_place, expected = next(iter(places.items()))
        for place, held in list(places.items())[1:]:
            wanted = expected
            if place in _PLACES_OF_NEWEST:
                wanted = {id_: hashes for id_, hashes in expected.items() if id_ not in moved_on}
            check.mismatches += _compare(first_place, wanted, place, held, forgotten)
        return check

    async def _files(self, source: Source, date: dt.date) -> dict[str, Hashes]:
        found: dict[str, dict[FileKind, str | None]] = {}
        async for entry in source.walk():
            if isinstance(entry, Fault) or entry.batch_date != date:
                continue
            contents, _ = (await self._attempts.run(entry.read)).value
            for kind, content in contents.items():
                kinds = found.setdefault(entry.conversation_id, {})
                try:
                    kinds[kind] = json_sha256(orjson.loads(content))
                except orjson.JSONDecodeError:
                    kinds[kind] = "not JSON"
        return _hashes_by_id(found)

    async def _bucket(self, date: dt.date) -> dict[str, Hashes]:
        found: dict[str, dict[FileKind, str | None]] = {}
        store = self._outside.store
        async for stored in every_item(
            self._attempts, lambda token: store.list(f"{date}/", page_token=token)
        ):
            parts = stored.name.split("/")
            kind = _KIND_BY_NAME.get(parts[-1])
            if len(parts) == 3 and kind is not None:
                sha256 = stored.content_sha256
                if sha256 is None:
                    content = await self._attempts.run(partial(store.read, stored.name))
                    sha256 = json_sha256(orjson.loads(content.value))
                found.setdefault(parts[1], {})[kind] = sha256
        return _hashes_by_id(found)

    async def _ci(self, date: dt.date) -> dict[str, Hashes]:
        found: dict[str, Hashes] = {}
        filter_ = f'labels.batch_date="{date}"'
        list_ = self._outside.insights.list_conversations
        async for held in every_item(self._attempts, lambda token: list_(filter_, token)):
            labels = held.labels
            found[held.conversation_id] = (
                labels.get("metadata_sha256"),
                labels.get("transcript_sha256"),
            )
        return found

    async def _raw_files(self, date: dt.date) -> dict[str, Hashes]:
        rows = await self._query(
            f"""
            select conversation_id, kind, content_sha256
            from {self._outside.sink.table(CONVERSATION_FILES)}
            where _landed_at >= timestamp('2000-01-01') and batch_date = @date
            qualify row_number() over (
                partition by conversation_id, kind order by generation desc
            ) = 1
            """,
            {"date": date},
        )
        found: dict[str, dict[FileKind, str | None]] = {}
        for row in rows:
            kinds = found.setdefault(row["conversation_id"], {})
            kinds[FileKind(row["kind"])] = row["content_sha256"]
        return _hashes_by_id(found)

    async def _raw_ci(self, date: dt.date) -> dict[str, Hashes]:
        rows = await self._query(
            f"""
            select conversation_id, metadata_sha256, transcript_sha256
            from (
                select
                    conversation_id, metadata_sha256, transcript_sha256,
                    json_value(payload, '$.labels.batch_date') as batch_date,
                    row_number() over (
                        partition by conversation_id order by ci_updated_at desc, _landed_at desc
                    ) as recency
                from {self._outside.sink.table(CI_CONVERSATIONS)}
                where _landed_at >= timestamp('2000-01-01')
            ) as states
            where recency = 1 and batch_date = @date
            """,
            {"date": date.isoformat()},
        )
        return {row["conversation_id"]: _both(row) for row in rows}

    async def _marts(self, date: dt.date, check: DateCheck) -> dict[str, Hashes]:
        sink = self._outside.sink
        try:
            rows = await self._query(
                f"""
                select conversation_id, metadata_sha256, transcript_sha256
                from {sink.mart("conversation_registry_current")}
                where batch_date = @date
                """,
                {"date": date},
            )
        except RemoteError as error:
            if error.code != "NOT_FOUND":
                raise
            check.mismatches.append(
                Mismatch("", "marts", "conversation_registry_current is missing: run `dbt build`")
            )
            return {}
        return {row["conversation_id"]: _both(row) for row in rows}

    async def _forgotten(self) -> set[str]:
        rows = await self._query(
            f"""
            select distinct conversation_id
            from {self._outside.sink.table(PIPELINE_EVENTS)}
            where _landed_at >= timestamp('2000-01-01') and step = 'forget'
                and outcome = 'succeeded'
            """,
            {},
        )
        return {row["conversation_id"] for row in rows}

    async def _delivered_later(self, date: dt.date) -> set[str]:
        """Return the conversations of the date whose newest version came in a later folder."""
        rows = await self._query(
            f"""
            select conversation_id
            from (
                select conversation_id, batch_date, row_number() over (
                    partition by conversation_id, kind order by generation desc
                ) as recency
                from {self._outside.sink.table(CONVERSATION_FILES)}
                where _landed_at >= timestamp('2000-01-01')
            ) as files
            where recency = 1
            group by conversation_id
            having max(batch_date) > @date
            """,
            {"date": date},
        )
        return {row["conversation_id"] for row in rows}

    async def _query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return (await self._attempts.run(lambda: self._outside.sink.query(sql, parameters))).value


_KIND_BY_NAME = {f"{kind.value}.json": kind for kind in FileKind}


def _compare(
    first_place: str,
    expected: Mapping[str, Hashes],
    place: str,
    held: Mapping[str, Hashes],
    forgotten: set[str],
) -> list[Mismatch]:
    mismatches = []
    for conversation_id in sorted(expected.keys() | held.keys()):
        want, have = expected.get(conversation_id), held.get(conversation_id)
        if conversation_id in forgotten:
            if have is not None:
                mismatches.append(Mismatch(conversation_id, place, "was forgotten, but is there"))
        elif have is None:
            if place in ("ci", "raw_ci") and want is not None and None in want:
                continue
            mismatches.append(Mismatch(conversation_id, place, "missing"))
        elif want is None:
            mismatches.append(Mismatch(conversation_id, place, f"not in {first_place}"))
        elif not _agree(want, have):
            mismatches.append(Mismatch(conversation_id, place, f"differs from {first_place}"))
    return mismatches


def _agree(want: Hashes, have: Hashes) -> bool:
    """Whether two places hold the same; one that lacks a file of an earlier folder says nothing
    of it."""
    return all(w is None or w == h for w, h in zip(want, have, strict=True))


def _hashes_by_id(found: Mapping[str, Mapping[FileKind, str | None]]) -> dict[str, Hashes]:
    return {
        conversation_id: (kinds.get(FileKind.METADATA), kinds.get(FileKind.TRANSCRIPTION))
        for conversation_id, kinds in found.items()
    }


def _both(row: Mapping[str, Any]) -> Hashes:
    return row["metadata_sha256"], row["transcript_sha256"]
