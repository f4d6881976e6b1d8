"""Analyses at rest; a conversation keeps them all and points at the newest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from ingest.emulator import protos
from ingest.emulator.store.database import Database


@dataclass(frozen=True, slots=True)
class StoredAnalysis:
    """One analysis; `body` is a serialized Analysis."""

    seq: int
    analysis_id: str
    create_us: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Matches:
    """How often what was found: filters and statistics ask for it."""

    intents: Mapping[str, int]
    """By display name of the smart highlight."""
    phrase_matchers: Mapping[str, int]
    """By id of the phrase matcher."""


@dataclass(frozen=True, slots=True)
class NewAnalysis:
    """An analysis to keep."""

    conversation_seq: int
    analysis_id: str
    create_us: int
    operation_id: str
    body: bytes
    matches: Matches


class AnalysisStore:
    """Reads and writes analyses; callers own the transactions."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, analysis: NewAnalysis) -> int:
        """Store an analysis, make it its conversation's latest, and return its seq."""
        cursor = self._db.execute(
            "insert into analyses (conversation_seq, analysis_id, create_us, operation_id, body)"
            " values (?, ?, ?, ?, ?)",
            (
                analysis.conversation_seq,
                analysis.analysis_id,
                analysis.create_us,
                analysis.operation_id,
                analysis.body,
            ),
        )
        self._db.execute(
            "update conversations set latest_analysis_seq = ?, latest_us = ?, update_us = ?,"
            " intents = ?, phrase_matchers = ? where seq = ?",
            (
                cursor.lastrowid,
                analysis.create_us,
                analysis.create_us,
                _json(analysis.matches.intents),
                _json(analysis.matches.phrase_matchers),
                analysis.conversation_seq,
            ),
        )
        return int(cursor.lastrowid or 0)

    def find(self, conversation_seq: int, analysis_id: str) -> StoredAnalysis | None:
        """Return the analysis, or None."""
        row = self._db.execute(
            "select seq, analysis_id, create_us, body from analyses"
            " where conversation_seq = ? and analysis_id = ?",
            (conversation_seq, analysis_id),
        ).fetchone()
        return None if row is None else StoredAnalysis(*row)

    def body(self, seq: int) -> bytes:
        """Return the serialized analysis of an operation that points at it."""
        row = self._db.execute("select body from analyses where seq = ?", (seq,)).fetchone()
        return bytes(row[0])

    def page(
        self, conversation_seq: int, limit: int, after: tuple[int, int] | None
    ) -> list[StoredAnalysis]:
        """Return analyses newest first (assumed), from behind `after` (create_us, seq)."""
        bound, parameters = "", tuple[int, ...]((conversation_seq,))
        if after is not None:
            bound, parameters = " and (create_us, seq) < (?, ?)", (conversation_seq, *after)
        rows = self._db.execute(
            "select seq, analysis_id, create_us, body from analyses"
            f" where conversation_seq = ?{bound} order by create_us desc, seq desc limit ?",
            (*parameters, limit),
        )
        return [StoredAnalysis(*row) for row in rows]

    def count(self, conversation_seq: int) -> int:
        """Return how many analyses the conversation has."""
        row = self._db.execute(
            "select count(*) from analyses where conversation_seq = ?", (conversation_seq,)
        ).fetchone()
        return int(row[0])

    def made_by(self, operation_id: str) -> set[int]:
        """Return the conversations that this operation has analysed.

        Asked only when bulk work is taken up again, so no index is kept for it.
        """
        rows = self._db.execute(
            "select conversation_seq from analyses where operation_id = ?", (operation_id,)
        )
        return {int(row[0]) for row in rows}

    def delete(self, conversation_seq: int, analysis: StoredAnalysis, matches: Matches) -> None:
        """Forget one analysis; the newest that is left becomes the latest."""
        keep_as_responses(self._db, "a.seq = ?", analysis.seq)
        self._db.execute("delete from analyses where seq = ?", (analysis.seq,))
        newest = self.page(conversation_seq, 1, None)
        seq, moment = (newest[0].seq, newest[0].create_us) if newest else (None, 0)
        self._db.execute(
            "update conversations set latest_analysis_seq = ?, latest_us = ?, intents = ?,"
            " phrase_matchers = ? where seq = ?",
            (
                seq,
                moment,
                _json(matches.intents),
                _json(matches.phrase_matchers),
                conversation_seq,
            ),
        )


def keep_as_responses(database: Database, condition: str, value: int) -> None:
    """Give operations their own copy of analyses that are about to be deleted.

    What an operation has answered once it answers for ever (assumed). `condition` is over `a`.
    """
    rows = database.execute(
        "select o.seq, a.body from analyses a join operations o"
        f" on o.operation_id = a.operation_id and o.analysis_seq = a.seq where {condition}",
        (value,),
    )
    for seq, body in rows.fetchall():
        response = protos.Any_(type_url=protos.ANALYSIS_TYPE_URL, value=body)
        database.execute(
            "update operations set response = ?, analysis_seq = null where seq = ?",
            (response.SerializeToString(), seq),
        )


def _json(counts: Mapping[str, int]) -> str:
    return orjson.dumps(dict(counts)).decode()
