"""UploadConversation: a conversation made by a long-running operation, analysed if so set."""

from __future__ import annotations

import hashlib

from ingest.emulator import names, protos
from ingest.emulator.conversation_rules import prepared
from ingest.emulator.conversations import ConversationMethods
from ingest.emulator.core import Core
from ingest.emulator.operation_kinds import Kind, Outcome, Running
from ingest.emulator.operations import OperationEngine
from ingest.emulator.problems import already_exists, unimplemented

KIND = "UploadConversation"
_Request = protos.message_class("UploadConversationRequest")
_Metadata = protos.message_class("UploadConversationMetadata")
_AnalysisRequest = protos.message_class("CreateAnalysisRequest")
_AnalysisMetadata = protos.message_class("CreateAnalysisOperationMetadata")


class UploadMethods:
    """The method, by its RPC name in snake case."""

    def __init__(
        self, core: Core, conversations: ConversationMethods, operations: OperationEngine
    ) -> None:
        self._core = core
        self._conversations = conversations
        self._operations = operations
        operations.register(Kind(KIND, _Request, _Metadata, in_background=self._upload))

    async def upload_conversation(self, request: protos.Pb) -> protos.Pb:
        """Check the request, then read and keep the conversation in an operation.

        What is wrong with the request is said at once, what is wrong with the transcript by the
        operation (assumed). Audio and redaction are not emulated and say so.
        """
        parent = self._core.names.location(request.parent)
        given = request.conversation
        settings = self._core.settings(parent)
        if _is_redacted(request.redaction_config) or _is_redacted(settings.redaction_config):
            raise unimplemented("Redaction")
        source = given.data_source.gcs_source
        if source.audio_uri and not source.transcript_uri:
            raise unimplemented("Speech-to-Text of an audio file")
        if request.conversation_id:
            names.checked_conversation_id(request.conversation_id)
        conversation_id = request.conversation_id or self._core.ids.resource()
        name = f"{parent}/conversations/{conversation_id}"
        prepared(given, name, self._core.clock.now(), 0)
        parent_id = self._core.database.parent_id(parent)
        if self._core.conversations.seq_of(parent_id, conversation_id) is not None:
            raise already_exists(name)
        metadata = _Metadata(request=request)
        return await self._operations.start(KIND, parent, request, metadata, conversation_id)

    async def _upload(self, running: Running) -> Outcome:
        """Keep the conversation; one that is there when work is resumed was this upload's."""
        parent_id = self._core.database.parent_id(running.parent)
        seq = self._core.conversations.seq_of(parent_id, running.conversation_id)
        if seq is None or not running.resumed:
            stored, _ = await self._conversations.create(
                running.parent, running.request.conversation, running.conversation_id
            )
        else:
            stored = self._core.conversations.read([seq])[0]
        name = f"{running.parent}/conversations/{stored.conversation_id}"
        if self._is_analysed(running.parent, name):
            running.metadata.analysis_operation = await self._start_analysis(running.parent, name)
        return Outcome(protos.Conversation.FromString(stored.basic()))

    def _is_analysed(self, parent: str, name: str) -> bool:
        """Return whether the share of uploads that are analysed holds this one.

        The share is documented (0 to 100); that a hash of the name decides is ours.
        """
        config = self._core.settings(parent).analysis_config
        draw = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 10_000
        return bool(draw < config.upload_conversation_analysis_percentage * 100)

    async def _start_analysis(self, parent: str, name: str) -> str:
        config = self._core.settings(parent).analysis_config
        request = _AnalysisRequest(parent=name)
        if config.HasField("annotator_selector"):
            request.analysis.annotator_selector.CopyFrom(config.annotator_selector)
        metadata = _AnalysisMetadata(conversation=name)
        operation = await self._operations.start(
            "CreateAnalysis", parent, request, metadata, name.rpartition("/")[2]
        )
        return str(operation.name)


def _is_redacted(config: protos.Pb) -> bool:
    return bool(config.deidentify_template or config.inspect_template)
