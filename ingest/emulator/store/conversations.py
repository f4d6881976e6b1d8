"""Conversations at rest: narrow rows to search in, blobs to answer with."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ingest.emulator import protos, wire
from ingest.emulator.store.analyses import keep_as_responses
from ingest.emulator.store.database import Database

_SEARCHED = (
    "update_us", "start_us", "csat", "expire_us", "medium", "language_code", "agent_id",
    "transcript_uri", "audio_uri", "agents",
)  # fmt: skip
_READ = """
select c.seq, c.conversation_id, c.update_us, b.body, b.summary, a.body
from conversations c
join bodies b on b.seq = c.seq
left join analyses a on a.seq = c.latest_analysis_seq
"""


@dataclass(frozen=True, slots=True)
class StoredConversation:
    """One conversation without its transcript; the blobs are serialized messages."""

    seq: int
    conversation_id: str
    update_us: int
    body: bytes
    """A Conversation without update_time, transcript, latest_analysis and latest_summary."""
    summary: bytes
    """A Conversation with latest_summary and its runtime annotation only, or nothing."""
    latest_analysis: bytes | None

    def basic(self) -> bytes:
        """Return the serialized Conversation of the BASIC view: all but the transcript."""
        updated = protos.Conversation(update_time=protos.timestamp(self.update_us))
        parts = [self.body, updated.SerializeToString(), self.summary]
        if self.latest_analysis is not None:
            parts.append(wire.field(protos.Conversation, "latest_analysis", self.latest_analysis))
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Page:
    """Which conversations, in which order, from where."""

    where: str = "1"
    parameters: tuple[Any, ...] = ()
    order_by: str = "create_us"
    descending: bool = True
    after: tuple[int, int] | None = None
    """Order value and seq of the last conversation of the page before."""
    limit: int = 100


class ConversationStore:
    """Reads and writes conversations; callers own the transactions."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(
        self, parent_id: int, body: protos.Pb, update_us: int, transcript: bytes
    ) -> int | None:
        """Store a conversation and return its seq, or None when its id is taken."""
        columns = _searched(body, update_us)
        cursor = self._db.execute(
            "insert or ignore into conversations (parent_id, conversation_id, create_us,"
            f" duration_us, turn_count, {', '.join(columns)})"
            f" values (?, ?, ?, ?, ?, {', '.join('?' * len(columns))})",
            (
                parent_id,
                body.name.rpartition("/")[2],
                protos.timestamp_micros(body.create_time),
                protos.duration_micros(body.duration),
                body.turn_count,
                *columns.values(),
            ),
        )
        if cursor.rowcount == 0 or cursor.lastrowid is None:
            return None
        seq = cursor.lastrowid
        self._db.execute(
            "insert into bodies values (?, ?, x'', ?)", (seq, body.SerializeToString(), transcript)
        )
        self._write_labels(seq, body)
        return seq

    def update(self, seq: int, body: protos.Pb, update_us: int) -> None:
        """Replace what callers may change."""
        columns = _searched(body, update_us)
        assignments = ", ".join(f"{column} = ?" for column in columns)
        self._db.execute(
            f"update conversations set {assignments} where seq = ?",
            (*columns.values(), seq),
        )
        self._db.execute(
            "update bodies set body = ? where seq = ?", (body.SerializeToString(), seq)
        )
        self._db.execute("delete from labels where seq = ?", (seq,))
        self._write_labels(seq, body)

    def find(self, parent_id: int, conversation_id: str) -> StoredConversation | None:
        """Return the conversation, or None."""
        row = self._db.execute(
            f"{_READ} where c.parent_id = ? and c.conversation_id = ?", (parent_id, conversation_id)
        ).fetchone()
        return None if row is None else StoredConversation(*row)

    def seq_of(self, parent_id: int, conversation_id: str) -> int | None:
        """Return the conversation's seq, or None."""
        row = self._db.execute(
            "select seq from conversations where parent_id = ? and conversation_id = ?",
            (parent_id, conversation_id),
        ).fetchone()
        return None if row is None else int(row[0])

    def read(self, seqs: Sequence[int]) -> list[StoredConversation]:
        """Return the conversations that still exist, in the order asked for."""
        marks = ", ".join("?" * len(seqs))
        rows = self._db.execute(f"{_READ} where c.seq in ({marks})", tuple(seqs)).fetchall()
        by_seq = {row[0]: StoredConversation(*row) for row in rows}
        return [by_seq[seq] for seq in seqs if seq in by_seq]

    def page(self, parent_id: int, page: Page) -> list[tuple[int, int]]:
        """Return (seq, order value) of the conversations of a page."""
        direction, comparison = ("desc", "<") if page.descending else ("asc", ">")
        where, parameters = f"c.parent_id = ? and ({page.where})", [parent_id, *page.parameters]
        if page.after is not None:
            where += f" and (c.{page.order_by}, c.seq) {comparison} (?, ?)"
            parameters.extend(page.after)
        sql = (
            f"select c.seq, c.{page.order_by} from conversations c where {where}"
            f" order by c.{page.order_by} {direction}, c.seq {direction} limit ?"
        )
        return [(int(row[0]), int(row[1])) for row in self._rows(sql, (*parameters, page.limit))]

    def matching(self, parent_id: int, where: str, parameters: tuple[Any, ...]) -> list[int]:
        """Return the seqs of all conversations that match, oldest first."""
        sql = (
            f"select c.seq from conversations c where c.parent_id = ? and ({where})"
            " order by c.create_us, c.seq"
        )
        return [int(row[0]) for row in self._rows(sql, (parent_id, *parameters))]

    def transcript(self, seq: int) -> bytes:
        """Return the serialized transcript as it was read, without sentiment."""
        row = self._db.execute("select transcript from bodies where seq = ?", (seq,))
        return bytes(row.fetchone()[0])

    def transcript_uris(self, parent_id: int) -> set[str]:
        """Return every transcript URI that a conversation has."""
        sql = "select distinct transcript_uri from conversations where parent_id = ?"
        return {str(row[0]) for row in self._rows(sql, (parent_id,))}

    def mark_made_by(self, seq: int, operation_id: str) -> None:
        """Keep which operation has ingested the conversation."""
        self._db.execute(
            "update conversations set operation_id = ? where seq = ?", (operation_id, seq)
        )

    def made_by(self, parent_id: int, operation_id: str) -> set[str]:
        """Return the transcript URIs of what this operation has ingested.

        Asked only when an ingestion is taken up again, so no index is kept for it.
        """
        sql = "select transcript_uri from conversations where parent_id = ? and operation_id = ?"
        return {str(row[0]) for row in self._rows(sql, (parent_id, operation_id))}

    def touch(self, seq: int, update_us: int) -> None:
        """Move the update time."""
        self._db.execute("update conversations set update_us = ? where seq = ?", (update_us, seq))

    def set_summary(self, seq: int, summary: protos.Pb) -> None:
        """Keep the latest summary."""
        self._db.execute(
            "update bodies set summary = ? where seq = ?", (summary.SerializeToString(), seq)
        )

    def delete(self, seq: int) -> None:
        """Forget the conversation and its analyses."""
        keep_as_responses(self._db, "a.conversation_seq = ?", seq)
        self._db.execute("delete from analyses where conversation_seq = ?", (seq,))
        for table in ("conversations", "bodies", "labels"):
            self._db.execute(f"delete from {table} where seq = ?", (seq,))

    def expired(self, expired_before: int) -> list[int]:
        """Return the conversations whose expiry lies before that moment."""
        sql = "select seq from conversations where expire_us is not null and expire_us <= ?"
        return [int(row[0]) for row in self._rows(sql, (expired_before,))]

    def _rows(self, sql: str, parameters: tuple[Any, ...]) -> sqlite3.Cursor:
        return self._db.execute(sql, parameters)

    def _write_labels(self, seq: int, body: protos.Pb) -> None:
        self._db.connection.executemany(
            "insert into labels values (?, ?, ?)",
            [(seq, key, value) for key, value in body.labels.items()],
        )


def _searched(body: protos.Pb, update_us: int) -> dict[str, Any]:
    """Return the columns that filters and orders look at, besides those that never change."""
    quality = body.quality_metadata
    agents = [
        {
            "agent_id": agent.agent_id,
            "agent_type": agent.agent_type,
            "display_name": agent.display_name,
            "teams": [*agent.teams, *([agent.team] if agent.team else [])],
            "location": agent.location,
            "disposition_code": agent.disposition_code,
        }
        for agent in quality.agent_info
    ]
    values = (
        update_us,
        protos.timestamp_micros(body.start_time),
        quality.customer_satisfaction_rating,
        protos.timestamp_micros(body.expire_time) if body.HasField("expire_time") else None,
        body.medium,
        body.language_code,
        body.agent_id,
        body.data_source.gcs_source.transcript_uri,
        body.data_source.gcs_source.audio_uri,
        orjson.dumps(agents).decode(),
    )
    return dict(zip(_SEARCHED, values, strict=True))
