"""BulkDeleteConversations: all that match, item by item."""

from __future__ import annotations

import asyncio

from ingest.emulator import protos
from ingest.emulator.core import Core
from ingest.emulator.filter_fields import CONVERSATION_FIELDS
from ingest.emulator.filters import compile_filter
from ingest.emulator.operation_kinds import Kind, Outcome, Running
from ingest.emulator.operations import OperationEngine
from ingest.emulator.problems import ApiError, failed_precondition, invalid
from ingest.emulator.store.operations import OperationStore

KIND = "BulkDeleteConversations"
_CHUNK = 50
_Request = protos.message_class("BulkDeleteConversationsRequest")
_Metadata = protos.message_class("BulkDeleteConversationsMetadata")
_Response = protos.message_class("BulkDeleteConversationsResponse")


class BulkDeleteMethods:
    """The method, by its RPC name in snake case."""

    def __init__(self, core: Core, operations: OperationEngine) -> None:
        self._core = core
        self._operations = operations
        self._store = OperationStore(core.database)
        operations.register(Kind(KIND, _Request, _Metadata, in_background=self._delete))

    async def bulk_delete_conversations(self, request: protos.Pb) -> protos.Pb:
        """Start the deletion of what matches; 0 in max_delete_count means all (assumed)."""
        parent = self._core.names.location(request.parent)
        if request.max_delete_count < 0:
            raise invalid("Invalid max_delete_count: it must not be negative.")
        compile_filter(request.filter, CONVERSATION_FIELDS)
        return await self._operations.start(KIND, parent, request, _Metadata(request=request))

    async def _delete(self, running: Running) -> Outcome:
        """Delete the oldest first; one with analyses is a partial error without force.

        What an earlier process deleted counts towards the most that may be.
        """
        request = running.request
        condition = compile_filter(request.filter, CONVERSATION_FIELDS)
        parent_id = self._core.database.parent_id(running.parent)
        seqs = self._core.conversations.matching(parent_id, condition.sql, condition.parameters)
        if request.max_delete_count:
            seqs = seqs[: request.max_delete_count - self._store.done_count(running.operation_id)]
        for count, seq in enumerate(seqs, start=1):
            try:
                self._delete_one(seq, running)
            except ApiError as error:
                running.metadata.partial_errors.append(error.status())
            if count % _CHUNK == 0:
                await asyncio.sleep(0)
        return Outcome(_Response())

    def _delete_one(self, seq: int, running: Running) -> None:
        fault = self._core.switches.faults.draw("partial", KIND)
        if fault is not None:
            raise fault.error()
        with self._core.database.transaction():
            stored = self._core.conversations.read([seq])
            if stored and not running.request.force and self._core.analyses.count(seq):
                raise failed_precondition(
                    f"Conversation '{stored[0].conversation_id}' has analyses; set force."
                )
            self._core.conversations.delete(seq)
            self._store.count_done(running.operation_id)
