"""Conversations: create, get, list, update, delete, delete many; and where they are kept."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ingest.emulator import conversation_input, protos, wire
from ingest.emulator.cloud_storage import parse_uri
from ingest.emulator.context import Context
from ingest.emulator.conversation_input import ParsedTranscript, parse_transcript
from ingest.emulator.database import Database
from ingest.emulator.errors import (
    ApiError,
    already_exists,
    failed_precondition,
    invalid,
    not_found,
)
from ingest.emulator.filters import CONVERSATION_FIELDS, compile_filter
from ingest.emulator.notifications import CREATE_CONVERSATION, UPDATE_CONVERSATION
from ingest.emulator.operation_store import OperationStore
from ingest.emulator.operations import Kind, OperationEngine, Outcome, Running
from ingest.emulator.request_fields import (
    checked_conversation_id,
    decode_token,
    encode_token,
    page_size,
)
from ingest.emulator.settings import SettingsStore

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
        self._operations = OperationStore(database)

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

    def analysis_count(self, seq: int) -> int:
        """Return how many analyses the conversation has."""
        row = self._db.execute("select count(*) from analyses where conversation_seq = ?", (seq,))
        return int(row.fetchone()[0])

    def delete(self, seq: int) -> None:
        """Forget the conversation and its analyses."""
        self._operations.leave(seq)
        self._db.execute("delete from analyses where conversation_seq = ?", (seq,))
        for table in ("feedback_labels", "training_labels"):
            self._db.execute(f"delete from {table} where conversation_seq = ?", (seq,))
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


_BASIC = int(protos.ConversationView.BASIC)
_FULL = int(protos.ConversationView.FULL)
_DEFAULT_PAGE = 100
_LARGEST_REPLY = 1000
"""Google says only that a reply may hold fewer than asked for."""
_EXPIRY_DELAY_US = 24 * 3_600_000_000
_ORDERS = {
    "create_time": "create_us",
    "customer_satisfaction_rating": "csat",
    "duration": "duration_us",
    "latest_analysis": "latest_us",
    "start_time": "start_us",
    "turn_count": "turn_count",
}


class ConversationMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._conversations = ConversationStore(context.database)
        self._settings = SettingsStore(context.database)

    async def create_conversation(self, request: protos.Pb) -> bytes:
        """Read the transcript, keep the conversation, return it with its transcript (assumed)."""
        parent = self._context.names.location(request.parent)
        stored, transcript = await self.create(
            parent, request.conversation, request.conversation_id
        )
        return stored.basic() + wire.field(protos.Conversation, "transcript", transcript)

    async def create(
        self, parent: str, given: protos.Pb, conversation_id: str, operation_id: str = ""
    ) -> tuple[StoredConversation, bytes]:
        """Return a new conversation and its transcript; raise ALREADY_EXISTS when the id is taken.

        Both are as the store keeps them, so that a reply needs no reading. `operation_id` is that
        of an ingestion.
        """
        if conversation_id:
            checked_conversation_id(conversation_id)
        conversation_id = conversation_id or self._context.ids.resource()
        parent_id = self._context.database.parent_id(parent)
        name = f"{parent}/conversations/{conversation_id}"
        settings = self._settings.find(parent)
        default_ttl = protos.duration_micros(settings.conversation_ttl)
        body = conversation_input.prepared(given, name, self._context.clock.now(), default_ttl)
        if self._conversations.seq_of(parent_id, conversation_id) is not None:
            raise already_exists(name)
        transcript = await self._transcript(body, settings.language_code)
        now = self._context.clock.now()
        body.create_time.CopyFrom(protos.timestamp(now))
        body.duration.CopyFrom(protos.duration(transcript.duration_micros))
        body.turn_count = transcript.turn_count
        with self._context.database.transaction():
            seq = self._conversations.insert(parent_id, body, now, transcript.serialized)
            if seq is None:
                raise already_exists(name)
            if operation_id:
                self._conversations.mark_made_by(seq, operation_id)
            self._context.notifications.add(parent, CREATE_CONVERSATION, name)
        stored = StoredConversation(
            seq, conversation_id, now, body.SerializeToString(), b"", latest_analysis=None
        )
        return stored, transcript.serialized

    async def get_conversation(self, request: protos.Pb) -> bytes:
        """Return a conversation, FULL unless BASIC is asked for."""
        stored = self.find(request.name)
        return stored.basic() if request.view == _BASIC else self.full(stored)

    async def list_conversations(self, request: protos.Pb) -> bytes:
        """Return a page, BASIC unless FULL is asked for, newest first unless ordered."""
        parent = self._context.names.location(request.parent)
        column, descending = _order(request.order_by)
        query = (parent, request.filter, request.order_by)
        position = decode_token(query, request.page_token, 2)
        condition = compile_filter(request.filter, CONVERSATION_FIELDS)
        limit = page_size(request.page_size, _DEFAULT_PAGE, _LARGEST_REPLY)
        found = self._conversations.page(
            self._context.database.parent_id(parent),
            Page(
                condition.sql,
                condition.parameters,
                column,
                descending,
                None if position is None else (position[0], position[1]),
                limit + 1,
            ),
        )
        stored = self._conversations.read([seq for seq, _ in found[:limit]])
        full = request.view == _FULL
        items = [self.full(each) if full else each.basic() for each in stored]
        token = ""
        if len(found) > limit:
            last_seq, last_value = found[limit - 1]
            token = encode_token(query, (last_value, last_seq))
        rest = protos.ListConversationsResponse(next_page_token=token)
        page = wire.repeated(protos.ListConversationsResponse, "conversations", items)
        return page + bytes(rest.SerializeToString())

    async def update_conversation(self, request: protos.Pb) -> bytes:
        """Change what the mask names and return the conversation without transcript (assumed)."""
        given = request.conversation
        stored = self.find(given.name, "conversation.name")
        now = self._context.clock.now()
        current = protos.Conversation.FromString(stored.body)
        body = conversation_input.updated(current, given, request.update_mask.paths, now)
        with self._context.database.transaction():
            self._conversations.update(stored.seq, body, now)
            location = body.name.partition("/conversations/")[0]
            self._context.notifications.add(location, UPDATE_CONVERSATION, body.name)
        return self._conversations.read([stored.seq])[0].basic()

    async def delete_conversation(self, request: protos.Pb) -> protos.Pb:
        """Forget a conversation; with analyses only by force (documented)."""
        stored = self.find(request.name)
        if not request.force and self._conversations.analysis_count(stored.seq):
            raise failed_precondition(
                f"Conversation '{request.name}' has analyses; set force to delete them too."
            )
        with self._context.database.transaction():
            self._conversations.delete(stored.seq)
        return protos.Empty()

    def forget_expired(self, now: int) -> None:
        """Delete what expired more than a day ago (documented: 24 hours after expiry)."""
        expired = self._conversations.expired(now - _EXPIRY_DELAY_US)
        if expired:
            with self._context.database.transaction():
                for seq in expired:
                    self._conversations.delete(seq)

    def find(self, name: str, field: str = "name") -> StoredConversation:
        """Return the conversation of that name, or raise NOT_FOUND."""
        parent, conversation_id = self._context.names.child(name, "conversations", field)
        parent_id = self._context.database.parent_id(parent)
        stored = self._conversations.find(parent_id, conversation_id)
        if stored is None:
            raise not_found(f"{parent}/conversations/{conversation_id}")
        return stored

    def full(self, stored: StoredConversation) -> bytes:
        """Return the serialized FULL view.

        A segment's sentiment is that of the latest analysis, customer turns only (observed).
        """
        transcript = self._conversations.transcript(stored.seq)
        if stored.latest_analysis is not None:
            transcript = _with_sentiments(transcript, stored.latest_analysis)
        return stored.basic() + wire.field(protos.Conversation, "transcript", transcript)

    async def _transcript(self, body: protos.Pb, language_code: str) -> ParsedTranscript:
        uri = parse_uri(body.data_source.gcs_source.transcript_uri)
        return parse_transcript(await self._context.objects.read(uri), language_code)


def _with_sentiments(transcript: bytes, analysis: bytes) -> bytes:
    message = protos.Transcript.FromString(transcript)
    segments = message.transcript_segments
    result = protos.Analysis.FromString(analysis).analysis_result.call_analysis_metadata
    for annotation in result.annotations:
        if annotation.HasField("sentiment_data"):
            segment = segments[annotation.annotation_start_boundary.transcript_index]
            segment.sentiment.CopyFrom(annotation.sentiment_data)
    serialized: bytes = message.SerializeToString()
    return serialized


def _order(order_by: str) -> tuple[str, bool]:
    """Return column and direction; empty means newest first, a bare field ascends (documented)."""
    words = order_by.split()
    if not words:
        return "create_us", True
    column = _ORDERS.get(words[0])
    if column is None or len(words) > 2 or words[1:] not in ([], ["asc"], ["desc"]):
        raise invalid(
            f"Invalid order_by '{order_by}': use one of {', '.join(_ORDERS)} with 'asc' or 'desc'."
        )
    return column, words[1:] == ["desc"]


_BULK_DELETE = "BulkDeleteConversations"
_DELETE_CHUNK = 50
_BulkDeleteRequest = protos.message_class("BulkDeleteConversationsRequest")
_BulkDeleteMetadata = protos.message_class("BulkDeleteConversationsMetadata")
_BulkDeleteResponse = protos.message_class("BulkDeleteConversationsResponse")


class BulkDeleteMethods:
    """The method, by its RPC name in snake case."""

    def __init__(self, context: Context, operations: OperationEngine) -> None:
        self._context = context
        self._conversations = ConversationStore(context.database)
        self._operations = operations
        self._store = OperationStore(context.database)
        operations.register(
            Kind(_BULK_DELETE, _BulkDeleteRequest, _BulkDeleteMetadata, in_background=self._delete)
        )

    async def bulk_delete_conversations(self, request: protos.Pb) -> protos.Pb:
        """Start the deletion of what matches; 0 in max_delete_count means all (assumed)."""
        parent = self._context.names.location(request.parent)
        if request.max_delete_count < 0:
            raise invalid("Invalid max_delete_count: it must not be negative.")
        compile_filter(request.filter, CONVERSATION_FIELDS)
        return await self._operations.start(
            _BULK_DELETE, parent, request, _BulkDeleteMetadata(request=request)
        )

    async def _delete(self, running: Running) -> Outcome:
        """Delete the oldest first; one with analyses is a partial error without force.

        What an earlier process deleted counts towards the most that may be.
        """
        request = running.request
        condition = compile_filter(request.filter, CONVERSATION_FIELDS)
        parent_id = self._context.database.parent_id(running.parent)
        seqs = self._conversations.matching(parent_id, condition.sql, condition.parameters)
        if request.max_delete_count:
            seqs = seqs[: request.max_delete_count - self._store.done_count(running.operation_id)]
        for count, seq in enumerate(seqs, start=1):
            try:
                self._delete_one(seq, running)
            except ApiError as error:
                running.metadata.partial_errors.append(error.status())
            if count % _DELETE_CHUNK == 0:
                await asyncio.sleep(0)
        return Outcome(_BulkDeleteResponse())

    def _delete_one(self, seq: int, running: Running) -> None:
        fault = self._context.switches.faults.draw("partial", _BULK_DELETE)
        if fault is not None:
            raise fault.error()
        with self._context.database.transaction():
            stored = self._conversations.read([seq])
            if stored and not running.request.force and self._conversations.analysis_count(seq):
                raise failed_precondition(
                    f"Conversation '{stored[0].conversation_id}' has analyses; set force."
                )
            self._conversations.delete(seq)
            self._store.count_done(running.operation_id)
