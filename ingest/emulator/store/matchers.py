"""Phrase matchers and their revisions at rest."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.emulator import protos
from ingest.emulator.store.database import Database


@dataclass(frozen=True, slots=True)
class StoredMatcher:
    """One phrase matcher as it is now; `body` is a serialized PhraseMatcher."""

    seq: int
    matcher_id: str
    body: bytes

    def message(self) -> protos.Pb:
        """Return the matcher as a message."""
        return protos.PhraseMatcher.FromString(self.body)


class MatcherStore:
    """Reads and writes phrase matchers; callers own the transactions."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.changes = 0
        """Counts writes, so that readers know when what they keep is out of date."""

    def insert(self, parent_id: int, matcher_id: str, matcher: protos.Pb) -> None:
        """Store a new matcher with its first revision."""
        self.changes += 1
        cursor = self._db.execute(
            "insert into phrase_matchers (parent_id, matcher_id, is_active, body)"
            " values (?, ?, ?, ?)",
            (parent_id, matcher_id, matcher.active, matcher.SerializeToString()),
        )
        self._write_revision(int(cursor.lastrowid or 0), matcher)

    def update(self, seq: int, matcher: protos.Pb) -> None:
        """Replace a matcher; its revision is added or brought up to date."""
        self.changes += 1
        self._db.execute(
            "update phrase_matchers set is_active = ?, body = ? where seq = ?",
            (matcher.active, matcher.SerializeToString(), seq),
        )
        self._write_revision(seq, matcher)

    def find(self, parent_id: int, matcher_id: str) -> StoredMatcher | None:
        """Return the matcher as it is now, or None."""
        row = self._db.execute(
            "select seq, matcher_id, body from phrase_matchers"
            " where parent_id = ? and matcher_id = ?",
            (parent_id, matcher_id),
        ).fetchone()
        return None if row is None else StoredMatcher(*row)

    def revision(self, seq: int, revision_id: str) -> bytes | None:
        """Return the matcher as that revision was, or None."""
        row = self._db.execute(
            "select body from phrase_matcher_revisions where matcher_seq = ? and revision_id = ?",
            (seq, revision_id),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def page(self, parent_id: int, limit: int, after: int) -> list[StoredMatcher]:
        """Return matchers in the order they were made (assumed), from behind seq `after`."""
        rows = self._db.execute(
            "select seq, matcher_id, body from phrase_matchers"
            " where parent_id = ? and seq > ? order by seq limit ?",
            (parent_id, after, limit),
        )
        return [StoredMatcher(*row) for row in rows]

    def active(self, parent_id: int) -> list[tuple[str, bytes]]:
        """Return id and serialized message of the matchers that are switched on."""
        rows = self._db.execute(
            "select matcher_id, body from phrase_matchers"
            " where parent_id = ? and is_active order by seq",
            (parent_id,),
        )
        return [(str(row[0]), bytes(row[1])) for row in rows]

    def delete(self, seq: int) -> None:
        """Forget a matcher and its revisions."""
        self.changes += 1
        self._db.execute("delete from phrase_matchers where seq = ?", (seq,))
        self._db.execute("delete from phrase_matcher_revisions where matcher_seq = ?", (seq,))

    def _write_revision(self, seq: int, matcher: protos.Pb) -> None:
        self._db.execute(
            "insert or replace into phrase_matcher_revisions values (?, ?, ?)",
            (seq, matcher.revision_id, matcher.SerializeToString()),
        )
