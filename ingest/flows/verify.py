"""Verify: files = bucket = CI = raw tables = marts, conversation by conversation, for one date.

Compared are content hashes, not counts alone, and checksums of the bytes between bucket and raw
tables, since a hash is only what whoever wrote the object has said of it. Each place is asked
itself: nothing is taken from what a run has reported.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.flows.attempts import Attempts
from ingest.flows.outside import Outside
from ingest.flows.source import Source
from ingest.flows.verify_places import Files, Hashes, Places

PLACES = ("files", "bucket", "ci", "raw_files", "raw_ci", "marts")
_PLACES_OF_NEWEST = ("ci", "raw_ci", "marts")
"""Places that know a conversation by the date folder of its newest files only."""


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

    @property
    def is_empty(self) -> bool:
        """Whether no place holds anything, so that nothing was compared."""
        return not any(self.counts.values())


class Verify:
    """Compares the places."""

    def __init__(self, outside: Outside, attempts: Attempts) -> None:
        self._places = Places(outside, attempts)

    async def dates(self) -> list[dt.date]:
        """Return the dates that any place but CI knows, in order."""
        return await self._places.dates()

    async def check(self, date: dt.date, source: Source | None) -> DateCheck:
        """Return counts and differences of one date; `source` adds the files as a place."""
        check = DateCheck(date)
        asked = self._places
        forgotten = await asked.forgotten()
        moved_on = await asked.delivered_later(date)
        bucket, raw_files = await asked.bucket(date), await asked.raw_files(date)
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
            check.mismatches += _compare(first_place, wanted, place, held, forgotten)
        check.mismatches += _other_bytes(bucket, raw_files, forgotten)
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
