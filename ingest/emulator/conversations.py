"""Create, get, list, update and delete conversations."""

from __future__ import annotations

from ingest.emulator import conversation_rules as rules
from ingest.emulator import names, paging, protos, wire
from ingest.emulator.core import Core
from ingest.emulator.filter_fields import CONVERSATION_FIELDS
from ingest.emulator.filters import compile_filter
from ingest.emulator.gcs import parse_uri
from ingest.emulator.problems import already_exists, failed_precondition, invalid, not_found
from ingest.emulator.store.conversations import Page, StoredConversation
from ingest.emulator.transcripts import ParsedTranscript, parse_transcript

_BASIC = int(protos.ConversationView.BASIC)
_FULL = int(protos.ConversationView.FULL)
_DEFAULT_PAGE = 100
_LARGEST_REPLY = 1000
"""Google says only that a reply may hold fewer than asked for."""
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

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create_conversation(self, request: protos.Pb) -> bytes:
        """Read the transcript, keep the conversation, return it with its transcript (assumed)."""
        parent = self._core.names.location(request.parent)
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
            names.checked_conversation_id(conversation_id)
        conversation_id = conversation_id or self._core.ids.resource()
        parent_id = self._core.database.parent_id(parent)
        name = f"{parent}/conversations/{conversation_id}"
        settings = self._core.settings(parent)
        default_ttl = protos.duration_micros(settings.conversation_ttl)
        body = rules.prepared(given, name, self._core.clock.now(), default_ttl)
        if self._core.conversations.seq_of(parent_id, conversation_id) is not None:
            raise already_exists(name)
        transcript = await self._transcript(body, settings.language_code)
        now = self._core.clock.now()
        body.create_time.CopyFrom(protos.timestamp(now))
        body.duration.CopyFrom(protos.duration(transcript.duration_micros))
        body.turn_count = transcript.turn_count
        with self._core.database.transaction():
            seq = self._core.conversations.insert(parent_id, body, now, transcript.serialized)
            if seq is None:
                raise already_exists(name)
            if operation_id:
                self._core.conversations.mark_made_by(seq, operation_id)
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
        parent = self._core.names.location(request.parent)
        column, descending = _order(request.order_by)
        query = (parent, request.filter, request.order_by)
        position = paging.decode_token(query, request.page_token, 2)
        condition = compile_filter(request.filter, CONVERSATION_FIELDS)
        limit = paging.page_size(request.page_size, _DEFAULT_PAGE, _LARGEST_REPLY)
        found = self._core.conversations.page(
            self._core.database.parent_id(parent),
            Page(
                condition.sql,
                condition.parameters,
                column,
                descending,
                None if position is None else (position[0], position[1]),
                limit + 1,
            ),
        )
        stored = self._core.conversations.read([seq for seq, _ in found[:limit]])
        full = request.view == _FULL
        items = [self.full(each) if full else each.basic() for each in stored]
        token = ""
        if len(found) > limit:
            last_seq, last_value = found[limit - 1]
            token = paging.encode_token(query, (last_value, last_seq))
        rest = protos.ListConversationsResponse(next_page_token=token)
        page = wire.repeated(protos.ListConversationsResponse, "conversations", items)
        return page + bytes(rest.SerializeToString())

    async def update_conversation(self, request: protos.Pb) -> bytes:
        """Change what the mask names and return the conversation without transcript (assumed)."""
        given = request.conversation
        stored = self.find(given.name, "conversation.name")
        now = self._core.clock.now()
        current = protos.Conversation.FromString(stored.body)
        _refuse_another_transcript(current, given)
        body = rules.updated(current, given, request.update_mask.paths, now)
        with self._core.database.transaction():
            self._core.conversations.update(stored.seq, body, now)
        return self._core.conversations.read([stored.seq])[0].basic()

    async def delete_conversation(self, request: protos.Pb) -> protos.Pb:
        """Forget a conversation; with analyses only by force (documented)."""
        stored = self.find(request.name)
        if not request.force and self._core.analyses.count(stored.seq):
            raise failed_precondition(
                f"Conversation '{request.name}' has analyses; set force to delete them too."
            )
        with self._core.database.transaction():
            self._core.conversations.delete(stored.seq)
        return protos.Empty()

    def find(self, name: str, field: str = "name") -> StoredConversation:
        """Return the conversation of that name, or raise NOT_FOUND."""
        parent, conversation_id = self._core.names.child(name, "conversations", field)
        parent_id = self._core.database.parent_id(parent)
        stored = self._core.conversations.find(parent_id, conversation_id)
        if stored is None:
            raise not_found(f"{parent}/conversations/{conversation_id}")
        return stored

    def full(self, stored: StoredConversation) -> bytes:
        """Return the serialized FULL view.

        A segment's sentiment is that of the latest analysis, customer turns only (observed).
        """
        transcript = self._core.conversations.transcript(stored.seq)
        if stored.latest_analysis is not None:
            transcript = _with_sentiments(transcript, stored.latest_analysis)
        return stored.basic() + wire.field(protos.Conversation, "transcript", transcript)

    async def _transcript(self, body: protos.Pb, language_code: str) -> ParsedTranscript:
        uri = parse_uri(body.data_source.gcs_source.transcript_uri)
        return parse_transcript(await self._core.objects.read(uri), language_code)


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


def _refuse_another_transcript(current: protos.Pb, given: protos.Pb) -> None:
    """The transcript URI and the medium are immutable (documented)."""
    uri = given.data_source.gcs_source.transcript_uri
    if uri and uri != current.data_source.gcs_source.transcript_uri:
        raise invalid("Field data_source.gcs_source.transcript_uri is immutable.")
    if given.medium and given.medium != current.medium:
        raise invalid("Field medium is immutable.")


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
