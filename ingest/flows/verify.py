"""Verify one date: files = bucket = Insights = raw tables = marts, conversation by conversation.

Compared are content hashes, not counts alone, and checksums of the bytes between bucket and raw
tables, since a hash is only what whoever wrote the object has said of it. Each place is asked
itself: nothing is taken from what a run has reported.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ingest.domain.conversation import FileKind, json_sha256, parse_batch_date
from ingest.domain.deliveries import Counting, counting
from ingest.domain.faults import Fault
from ingest.domain.json_decoding import decode_json
from ingest.domain.raw_records import (
    ANY_PARTITION,
    CI_CONVERSATIONS,
    CONVERSATION_FILES,
    KEPT_HERE_SQL,
    PIPELINE_EVENTS,
)
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts, every_item
from ingest.flows.evidence import Evidence, forgotten_ids
from ingest.flows.services import Services
from ingest.flows.source import Source

Hashes = tuple[str | None, str | None]
"""SHA-256 of metadata and of transcript."""
Checksums = dict[tuple[str, FileKind], str]
"""CRC32C as the bucket made it, by conversation id and kind."""
_KIND_BY_NAME = {f"{kind.value}.json": kind for kind in FileKind}
_REGISTRY = "conversation_registry_current"


@dataclass(frozen=True)
class Files:
    """Files of one place: hashes of what they say, checksums of their bytes."""

    hashes: Mapping[str, Hashes]
    checksums: Checksums


class Places:
    """Reads each place; nothing is taken from what a run has reported."""

    def __init__(self, services: Services, attempts: Attempts) -> None:
        self._services = services
        self._attempts = attempts

    async def dates(self) -> list[dt.date]:
        """Return the dates that bucket, raw tables or marts know, in order.

        A folder that has gone from the bucket is found by what the others still say of it.
        """
        folders = (await self._attempts.run(lambda: self._services.store.folders(""))).value
        found = {parse_batch_date(folder.rstrip("/")) for folder in folders}
        sink = self._services.sink
        rows = await self._query(
            f"""
            select distinct batch_date
            from {sink.table(CONVERSATION_FILES)}
            where {ANY_PARTITION}
            """,
            {},
        )
        mart = f"select distinct batch_date from {sink.mart(_REGISTRY)}"
        rows = [*rows, *(await self._mart_rows(mart, {}) or ())]
        return sorted({date for date in [*found, *(r["batch_date"] for r in rows)] if date})

    async def files(self, source: Source, date: dt.date) -> dict[str, Hashes]:
        """Return what the files of the date hold."""
        found: dict[str, dict[FileKind, str | None]] = {}
        async for entry in source.walk():
            if isinstance(entry, Fault) or entry.batch_date != date:
                continue
            contents, _ = (await self._attempts.run(entry.read)).value
            for kind, content in contents.items():
                kinds = found.setdefault(entry.conversation_id, {})
                kinds[kind] = _sha256_of(content)
        return _hashes_by_id(found)

    async def bucket(self, date: dt.date) -> Files:
        """Return what the date folder of the bucket holds."""
        checksums: Checksums = {}
        found: dict[str, dict[FileKind, str | None]] = {}
        store = self._services.store
        async for stored in every_item(
            self._attempts, lambda token: store.list(f"{date}/", page_token=token)
        ):
            parts = stored.name.split("/")
            kind = _KIND_BY_NAME.get(parts[-1])
            if len(parts) == 3 and kind is not None:
                sha256 = stored.content_sha256
                if sha256 is None:
                    content = await self._attempts.run(partial(store.read, stored.name))
                    sha256 = _sha256_of(content.value)
                found.setdefault(parts[1], {})[kind] = sha256
                checksums[(parts[1], kind)] = stored.crc32c
        return Files(_hashes_by_id(found), checksums)

    async def ci(self, date: dt.date) -> dict[str, Hashes]:
        """Return what Insights holds by the date's label."""
        found: dict[str, Hashes] = {}
        filter_ = f'labels.batch_date="{date}"'
        list_ = self._services.insights.list_conversations
        async for held in every_item(self._attempts, lambda token: list_(filter_, token)):
            labels = held.labels
            found[held.conversation_id] = (
                labels.get("metadata_sha256"),
                labels.get("transcript_sha256"),
            )
        return found

    async def raw_files(self, date: dt.date) -> Files:
        """Return the newest landed version of each file of the date."""
        rows = await self._query(
            f"""
            select conversation_id, kind, content_sha256, crc32c
            from {self._services.sink.table(CONVERSATION_FILES)}
            where {ANY_PARTITION} and batch_date = @date
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
        checksums = {(row["conversation_id"], FileKind(row["kind"])): row["crc32c"] for row in rows}
        return Files(_hashes_by_id(found), checksums)

    async def raw_ci(self, date: dt.date) -> dict[str, Hashes]:
        """Return the newest landed states whose label is the date."""
        rows = await self._query(
            f"""
            {self._newest_states()}
            where recency = 1 and batch_date = @date
            """,
            {"date": date.isoformat()},
        )
        return {row["conversation_id"]: _both(row) for row in rows}

    def _newest_states(self) -> str:
        """Return SQL up to its WHERE: landed states, where recency is 1 the newest of their id."""
        return f"""
            select conversation_id, metadata_sha256, transcript_sha256
            from (
                select
                    conversation_id, metadata_sha256, transcript_sha256,
                    json_value(payload, '$.labels.batch_date') as batch_date,
                    row_number() over (
                        partition by conversation_id order by ci_updated_at desc, _landed_at desc
                    ) as recency
                from {self._services.sink.table(CI_CONVERSATIONS)}
                where {ANY_PARTITION}
            ) as states
        """

    async def marts(self, date: dt.date) -> dict[str, Hashes] | None:
        """Return what the registry holds of the date, None when it was never built."""
        table = self._services.sink.mart(_REGISTRY)
        rows = await self._mart_rows(
            f"""
            select conversation_id, metadata_sha256, transcript_sha256
            from {table}
            where batch_date = @date
            """,
            {"date": date},
        )
        return None if rows is None else {row["conversation_id"]: _both(row) for row in rows}

    async def found(self) -> dict[str, dict[str, Hashes]]:
        """Return the conversations without a date, of the landed states and of the registry."""
        landed = await self._query(
            f"""
            {self._newest_states()}
            where recency = 1 and batch_date is null and conversation_id not in (
                select conversation_id
                from {self._services.sink.table(CONVERSATION_FILES)}
                where {ANY_PARTITION}
            )
            """,
            {},
        )
        marts = await self._mart_rows(
            f"""
            select conversation_id, metadata_sha256, transcript_sha256
            from {self._services.sink.mart(_REGISTRY)}
            where batch_date is null
            """,
            {},
        )
        return {
            "raw_ci": {row["conversation_id"]: _both(row) for row in landed},
            "marts": {row["conversation_id"]: _both(row) for row in marts or ()},
        }

    async def forgotten(self) -> set[str]:
        """Return the conversations that were erased, or whose erasing has begun."""
        return await forgotten_ids(self._services.sink, self._attempts)

    async def kept_here(self, date: dt.date) -> dict[str, Hashes]:
        """Return the conversations of the date that were last said to stay out of Insights, and
        the version that this was said of."""
        sink = self._services.sink
        rows = await self._query(
            f"""
            select conversation_id, metadata_sha256, transcript_sha256
            from (
                select *, row_number() over (
                    partition by conversation_id order by ended_at desc
                ) as recency
                from {sink.table(PIPELINE_EVENTS)}
                where {ANY_PARTITION} and step = 'submit' and conversation_id in (
                    select conversation_id
                    from {sink.table(CONVERSATION_FILES)}
                    where {ANY_PARTITION} and batch_date = @date
                )
            ) as events
            where recency = 1 and {KEPT_HERE_SQL}
            """,
            {"date": date},
        )
        return {row["conversation_id"]: _both(row) for row in rows}

    async def of_several(self, date: dt.date) -> dict[str, Counting]:
        """Return what counts of the conversations of the date that other folders delivered too."""
        files = self._services.sink.table(CONVERSATION_FILES)
        rows = await self._query(
            f"""
            select
                conversation_id, kind, uri, generation, batch_date, content_sha256,
                _run_id as run_id, _landed_at as landed_at
            from {files}
            where {ANY_PARTITION} and conversation_id in (
                select conversation_id
                from {files}
                where {ANY_PARTITION}
                group by conversation_id
                having min(batch_date) < max(batch_date)
                    and countif(batch_date = @date) > 0
            )
            """,
            {"date": date},
        )
        evidence = Evidence()
        for row in rows:
            evidence.add_landed_file(row)
        found = {id_: counting(files.values()) for id_, files in evidence.files_by_id.items()}
        return {id_: last for id_, last in found.items() if last}

    async def _mart_rows(
        self, sql: str, parameters: Mapping[str, Any]
    ) -> Sequence[Mapping[str, Any]] | None:
        try:
            return await self._query(sql, parameters)
        except RemoteError as error:
            if error.code != "NOT_FOUND":
                raise
            return None

    async def _query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return (await self._attempts.run(lambda: self._services.sink.query(sql, parameters))).value


def _sha256_of(content: bytes) -> str:
    value, faults = decode_json(content, "")
    return "not JSON" if faults else json_sha256(value)


def _hashes_by_id(found: Mapping[str, Mapping[FileKind, str | None]]) -> dict[str, Hashes]:
    return {
        conversation_id: (kinds.get(FileKind.METADATA), kinds.get(FileKind.TRANSCRIPTION))
        for conversation_id, kinds in found.items()
    }


def _counting(last: Counting) -> Hashes:
    hashes = {kind: version.content_sha256 for kind, version in last.files.items()}
    return hashes.get(FileKind.METADATA), hashes.get(FileKind.TRANSCRIPTION)


def _both(row: Mapping[str, Any]) -> Hashes:
    return row["metadata_sha256"], row["transcript_sha256"]


PLACES = ("files", "bucket", "ci", "raw_files", "raw_ci", "marts")
_PLACES_OF_NEWEST = ("ci", "raw_ci", "marts")
"""Places that know a conversation by the date folder of its newest files only."""
_PLACES_OF_INSIGHTS = ("ci", "raw_ci")
"""Places of what was submitted."""


@dataclass(frozen=True)
class Mismatch:
    """One conversation that differs between two places."""

    conversation_id: str
    place: str
    problem: str


@dataclass
class DateCheck:
    """Conversations of a date by place, and every difference."""

    date: dt.date | None
    """None: conversations without a date, which others made and a pull found."""
    counts: Counter[str] = field(default_factory=Counter)
    mismatches: list[Mismatch] = field(default_factory=list)
    still_in_insights: list[str] = field(default_factory=list)
    """Conversations whose medium isn't sent to Insights, which holds an earlier state of them."""

    @property
    def is_empty(self) -> bool:
        """Whether no place holds anything, so that nothing was compared."""
        return not any(self.counts.values())


class Verify:
    """Compares the places."""

    def __init__(self, services: Services, attempts: Attempts) -> None:
        self._places = Places(services, attempts)

    async def dates(self) -> list[dt.date]:
        """Return the dates that any place but Insights knows, in order."""
        return await self._places.dates()

    async def check(self, date: dt.date, source: Source | None) -> DateCheck:
        """Return counts and differences of one date; `source` adds the files as a place."""
        check = DateCheck(date)
        asked = self._places
        forgotten = await asked.forgotten()
        of_several = await asked.of_several(date)
        moved_on = {id_ for id_, last in of_several.items() if last.batch_date != date}
        bucket, raw_files = await asked.bucket(date), await asked.raw_files(date)
        newest = {**raw_files.hashes, **{id_: _counting(of_several[id_]) for id_ in of_several}}
        said = await asked.kept_here(date)
        kept = {id_ for id_, hashes in said.items() if newest.get(id_) == hashes} - forgotten
        marts = await asked.marts(date)
        if marts is None:
            check.mismatches.append(
                Mismatch("", "marts", "conversation_registry_current is missing: run `dbt build`")
            )
        places: dict[str, Mapping[str, Hashes]] = {
            "bucket": bucket.hashes,
            "ci": await asked.ci(date),
            "raw_files": raw_files.hashes,
            "raw_ci": await asked.raw_ci(date),
            "marts": marts or {},
        }
        if source is not None:
            places = {"files": await asked.files(source, date), **places}
        for place, held in places.items():
            check.counts[place] = len(held.keys() - forgotten)
        first_place, expected = next(iter(places.items()))
        for place, held in list(places.items())[1:]:
            wanted = expected
            if place in _PLACES_OF_NEWEST:
                wanted = {id_: hashes for id_, hashes in expected.items() if id_ not in moved_on}
            if place in _PLACES_OF_INSIGHTS:
                wanted = {id_: hashes for id_, hashes in wanted.items() if id_ not in kept}
                held = {id_: hashes for id_, hashes in held.items() if id_ not in kept}
            check.mismatches += _compare(first_place, wanted, place, held, forgotten)
        check.still_in_insights = sorted(places["ci"].keys() & kept)
        check.mismatches += _other_bytes(bucket, raw_files, forgotten)
        return check

    async def check_found(self) -> DateCheck:
        """Compare raw tables and registry over conversations of no date, which a pull found.

        Insights may hold more of them: nobody has to pull what others made.
        """
        check = DateCheck(None)
        forgotten, places = await self._places.forgotten(), await self._places.found()
        for place, held in places.items():
            check.counts[place] = len(held.keys() - forgotten)
        check.mismatches += _compare(
            "raw_ci", places["raw_ci"], "marts", places["marts"], forgotten
        )
        return check


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
            if place in _PLACES_OF_INSIGHTS and want is not None and None in want:
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


def _other_bytes(bucket: Files, raw_files: Files, forgotten: set[str]) -> list[Mismatch]:
    """Return the conversations of equal hashes whose bytes differ."""
    different = {
        key[0]
        for key, checksum in bucket.checksums.items()
        if raw_files.checksums.get(key, checksum) != checksum
    }
    return [
        Mismatch(conversation_id, "raw_files", "checksum differs from bucket")
        for conversation_id in sorted(different - forgotten)
        if bucket.hashes[conversation_id] == raw_files.hashes[conversation_id]
    ]
