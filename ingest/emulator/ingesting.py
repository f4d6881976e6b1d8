"""IngestConversations: the objects of a bucket, each a conversation once."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Any

import orjson

from ingest.emulator import protos
from ingest.emulator.conversation_rules import checked_medium
from ingest.emulator.conversations import ConversationMethods
from ingest.emulator.core import Core
from ingest.emulator.gcs import GcsUri, parse_bucket_uri
from ingest.emulator.operation_kinds import Kind, Outcome, Running
from ingest.emulator.operations import OperationEngine
from ingest.emulator.problems import ApiError, failed_precondition, invalid, unimplemented

KIND = "IngestConversations"
MAX_CONVERSATIONS = 10_000
"""Per bulk import (how-to page)."""
_AUDIO = 2
_CHUNK = 10
_Request = protos.message_class("IngestConversationsRequest")
_Metadata = protos.message_class("IngestConversationsMetadata")
_Response = protos.message_class("IngestConversationsResponse")


class IngestMethods:
    """The method, by its RPC name in snake case."""

    def __init__(
        self, core: Core, conversations: ConversationMethods, operations: OperationEngine
    ) -> None:
        self._core = core
        self._conversations = conversations
        self._operations = operations
        operations.register(Kind(KIND, _Request, _Metadata, in_background=self._ingest))

    async def ingest_conversations(self, request: protos.Pb) -> protos.Pb:
        """Check the request, then read the bucket in an operation; one at a time a region."""
        parent = self._core.names.location(request.parent)
        _check(request)
        settings = self._core.settings(parent)
        for config in (request.redaction_config, settings.redaction_config):
            if config.deidentify_template or config.inspect_template:
                raise unimplemented("Redaction")
        self._operations.check_bulk(parent, KIND)
        return await self._operations.start(KIND, parent, request, _Metadata(request=request))

    async def _ingest(self, running: Running) -> Outcome:
        """Ingest in the order of object names; skip URIs that a conversation has already.

        A sample takes the first objects (which ones is assumed). What an earlier process ingested
        for this operation counts as its success, not as a duplicate. No conversation is analysed:
        only analysis rules would do that (documented), and there are none here.
        """
        request, stats = running.request, running.metadata.ingest_conversations_stats
        source = parse_bucket_uri(request.gcs_source.bucket_uri)
        names = [name for name in await self._core.objects.list(source) if not name.endswith("/")]
        if request.HasField("sample_size"):
            names = names[: request.sample_size]
        if len(names) > MAX_CONVERSATIONS:
            raise failed_precondition(
                f"{len(names)} objects; at most {MAX_CONVERSATIONS} can be ingested at once."
            )
        parent_id = self._core.database.parent_id(running.parent)
        known = self._core.conversations.transcript_uris(parent_id)
        own = self._core.conversations.made_by(parent_id, running.operation_id)
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
        return Outcome(_Response())

    async def _ingest_one(self, uri: GcsUri, running: Running) -> None:
        stats = running.metadata.ingest_conversations_stats
        try:
            fault = self._core.switches.faults.draw("partial", KIND)
            if fault is not None:
                raise fault.error()
            conversation = await self._conversation(uri, running.request)
            await self._conversations.create(running.parent, conversation, "", running.operation_id)
            stats.successful_ingest_count += 1
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
        content = await self._core.objects.read(GcsUri(folder.bucket, f"{folder.name}{stem}.json"))
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


def _check(request: protos.Pb) -> None:
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
