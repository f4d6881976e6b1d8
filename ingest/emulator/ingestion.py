"""Conversations made by operations: UploadConversation one, IngestConversations a bucketful."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Any

import orjson

from ingest.emulator import protos
from ingest.emulator.analysis_rules import AutomaticAnalysis
from ingest.emulator.cloud_storage import GcsUri, parse_bucket_uri
from ingest.emulator.context import Context
from ingest.emulator.conversation_input import checked_medium, prepared
from ingest.emulator.conversations import ConversationMethods, ConversationStore
from ingest.emulator.errors import (
    ApiError,
    already_exists,
    failed_precondition,
    invalid,
    unimplemented,
)
from ingest.emulator.operations import Kind, OperationEngine, Outcome, Running
from ingest.emulator.request_fields import checked_conversation_id
from ingest.emulator.settings import SettingsStore
from ingest.emulator.wire import rest_fields

UPLOAD = "UploadConversation"
_UploadRequest = protos.message_class("UploadConversationRequest")
_UploadMetadata = protos.message_class("UploadConversationMetadata")


INGEST = "IngestConversations"
MAX_CONVERSATIONS = 10_000
"""Per bulk import (how-to page)."""
_AUDIO = 2
_CHUNK = 10
_IngestRequest = protos.message_class("IngestConversationsRequest")
_IngestMetadata = protos.message_class("IngestConversationsMetadata")
_IngestResponse = protos.message_class("IngestConversationsResponse")


class IngestionMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(
        self, context: Context, conversations: ConversationMethods, operations: OperationEngine
    ) -> None:
        self._context = context
        self._store = ConversationStore(context.database)
        self._settings = SettingsStore(context.database)
        self._conversations = conversations
        self._automatic = AutomaticAnalysis(context, operations)
        self._operations = operations
        operations.register(
            Kind(UPLOAD, _UploadRequest, _UploadMetadata, in_background=self._upload)
        )
        operations.register(
            Kind(INGEST, _IngestRequest, _IngestMetadata, in_background=self._ingest)
        )

    async def upload_conversation(self, request: protos.Pb) -> protos.Pb:
        """Check the request, then read and keep the conversation in an operation.

        What is wrong with the request is said at once, what is wrong with the transcript by the
        operation (assumed). Audio and redaction are not emulated and say so.
        """
        parent = self._context.names.location(request.parent)
        given = request.conversation
        settings = self._settings.find(parent)
        if _is_redacted(request.redaction_config) or _is_redacted(settings.redaction_config):
            raise unimplemented("Redaction")
        source = given.data_source.gcs_source
        if source.audio_uri and not source.transcript_uri:
            raise unimplemented("Speech-to-Text of an audio file")
        if request.conversation_id:
            checked_conversation_id(request.conversation_id)
        conversation_id = request.conversation_id or self._context.ids.resource()
        name = f"{parent}/conversations/{conversation_id}"
        prepared(given, name, self._context.clock.now(), 0)
        parent_id = self._context.database.parent_id(parent)
        if self._store.seq_of(parent_id, conversation_id) is not None:
            raise already_exists(name)
        metadata = _UploadMetadata(request=request)
        return await self._operations.start(UPLOAD, parent, request, metadata, conversation_id)

    async def _upload(self, running: Running) -> Outcome:
        """Keep the conversation; one that is there when work is resumed was this upload's."""
        parent_id = self._context.database.parent_id(running.parent)
        seq = self._store.seq_of(parent_id, running.conversation_id)
        if seq is None or not running.resumed:
            stored, _ = await self._conversations.create(
                running.parent, running.request.conversation, running.conversation_id
            )
        else:
            stored = self._store.read([seq])[0]
        name = f"{running.parent}/conversations/{stored.conversation_id}"
        running.metadata.analysis_operation = await self._automatic.start(
            running.parent, stored.seq, name, is_upload=True
        )
        return Outcome(protos.Conversation.FromString(stored.basic()))

    async def ingest_conversations(self, request: protos.Pb) -> protos.Pb:
        """Check the request, then read the bucket in an operation; one at a time a region."""
        parent = self._context.names.location(request.parent)
        buckets = rest_fields(request.gcs_source)
        if buckets.get("audioBucketUri"):
            raise unimplemented("Speech-to-Text of audio files")
        if buckets.get("transcriptBucketUri"):
            request.gcs_source.bucket_uri = str(buckets["transcriptBucketUri"])
        _check_ingestion(request)
        settings = self._settings.find(parent)
        if _is_redacted(request.redaction_config) or _is_redacted(settings.redaction_config):
            raise unimplemented("Redaction")
        self._operations.check_bulk(parent, INGEST)
        return await self._operations.start(
            INGEST, parent, request, _IngestMetadata(request=request)
        )

    async def _ingest(self, running: Running) -> Outcome:
        """Ingest in the order of object names; skip URIs that a conversation has already.

        A sample takes the first objects (which ones is assumed). What an earlier process ingested
        for this operation counts as its success, not as a duplicate. Analysis rules alone say what
        is analysed (documented).
        """
        request, stats = running.request, running.metadata.ingest_conversations_stats
        source = parse_bucket_uri(request.gcs_source.bucket_uri)
        names = [
            name for name in await self._context.objects.list(source) if not name.endswith("/")
        ]
        if request.HasField("sample_size"):
            names = names[: request.sample_size]
        if len(names) > MAX_CONVERSATIONS:
            raise failed_precondition(
                f"{len(names)} objects; at most {MAX_CONVERSATIONS} can be ingested at once."
            )
        parent_id = self._context.database.parent_id(running.parent)
        known = self._store.transcript_uris(parent_id)
        own = self._store.made_by(parent_id, running.operation_id)
        for count, name in enumerate(names, start=1):
            uri = GcsUri(source.bucket, name)
            stats.processed_object_count += 1
            if str(uri) in own:
                stats.successful_ingest_count += 1
                continue
            if str(uri) in known:
                stats.duplicates_skipped_count += 1
                continue
            await self._ingest_one(uri, running)
            if count % _CHUNK == 0:
                await asyncio.sleep(0)
        return Outcome(_IngestResponse())

    async def _ingest_one(self, uri: GcsUri, running: Running) -> None:
        stats = running.metadata.ingest_conversations_stats
        try:
            fault = self._context.switches.faults.draw("partial", INGEST)
            if fault is not None:
                raise fault.error()
            conversation = await self._conversation(uri, running.request)
            stored, _ = await self._conversations.create(
                running.parent, conversation, "", running.operation_id
            )
            stats.successful_ingest_count += 1
            name = f"{running.parent}/conversations/{stored.conversation_id}"
            await self._automatic.start(running.parent, stored.seq, name, is_upload=False)
        except ApiError as error:
            status = error.status()
            status.message = f"{uri}: {status.message}"
            running.metadata.partial_errors.append(status)
            stats.failed_ingest_count += 1

    async def _conversation(self, uri: GcsUri, request: protos.Pb) -> protos.Pb:
        config = request.conversation_config
        conversation = protos.Conversation(
            agent_id=config.agent_id, medium=request.transcript_object_config.medium
        )
        conversation.data_source.gcs_source.transcript_uri = str(uri)
        if config.agent_channel or config.customer_channel:
            conversation.call_metadata.agent_channel = config.agent_channel
            conversation.call_metadata.customer_channel = config.customer_channel
        if request.gcs_source.HasField("metadata_bucket_uri"):
            _apply_metadata(conversation, await self._metadata(uri, request), request)
        return conversation

    async def _metadata(self, uri: GcsUri, request: protos.Pb) -> dict[str, Any]:
        """Return the object's metadata file: same base name, `.json` (documented), in the other
        bucket's folder."""
        folder = parse_bucket_uri(request.gcs_source.metadata_bucket_uri)
        stem = PurePosixPath(uri.name).stem
        content = await self._context.objects.read(
            GcsUri(folder.bucket, f"{folder.name}{stem}.json")
        )
        try:
            metadata = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise invalid("The metadata file is not valid JSON.") from error
        if not isinstance(metadata, dict):
            raise invalid("The metadata file must hold a JSON object.")
        return metadata


def _apply_metadata(conversation: protos.Pb, metadata: dict[str, Any], request: protos.Pb) -> None:
    """Take over what the metadata file says.

    That it overrides the agent and that custom keys become labels is documented; the name of the
    key `agent_id` is assumed, since no page that could be read names the file's own keys.
    """
    if metadata.get("agent_id"):
        conversation.agent_id = str(metadata["agent_id"])
    for key in request.gcs_source.custom_metadata_keys:
        if key in metadata:
            value = metadata[key]
            conversation.labels[key] = value if isinstance(value, str) else str(value)


def _check_ingestion(request: protos.Pb) -> None:
    source = request.gcs_source
    bucket = parse_bucket_uri(source.bucket_uri)
    if source.bucket_object_type == _AUDIO:
        raise unimplemented("Speech-to-Text of audio files")
    if not request.transcript_object_config.medium:
        raise invalid("transcript_object_config.medium is required.")
    checked_medium(request.transcript_object_config.medium)
    same = source.HasField("metadata_bucket_uri") and (
        parse_bucket_uri(source.metadata_bucket_uri).bucket == bucket.bucket
    )
    if same:
        raise invalid("metadata_bucket_uri must name another bucket than bucket_uri.")
    config = request.conversation_config
    for name in ("agent_channel", "customer_channel"):
        if getattr(config, name) not in (0, 1, 2):
            raise invalid(f"Invalid conversation_config.{name}: use 1 or 2.")
    if request.HasField("sample_size") and request.sample_size < 1:
        raise invalid("Invalid sample_size: use at least 1.")


def _is_redacted(config: protos.Pb) -> bool:
    return bool(config.deidentify_template or config.inspect_template)
