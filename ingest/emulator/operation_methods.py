"""google.longrunning.Operations: get, list, cancel, wait."""

from __future__ import annotations

import asyncio

from google.longrunning import operations_pb2

from ingest.emulator import paging, protos
from ingest.emulator.core import Core
from ingest.emulator.filter_fields import OPERATION_FIELDS
from ingest.emulator.filters import compile_filter
from ingest.emulator.operations import OperationEngine
from ingest.emulator.store.operations import OperationStore

_DEFAULT_PAGE = 100
_LARGEST_REPLY = 1000
_LAST = 2**62


class OperationMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(self, core: Core, engine: OperationEngine) -> None:
        self._core = core
        self._engine = engine
        self._store = OperationStore(core.database)

    async def get_operation(self, request: protos.Pb) -> protos.Pb:
        """Return an operation with its metadata."""
        parent, operation_id = self._core.names.child(request.name, "operations")
        await self._engine.settle(self._engine.find(parent, operation_id))
        return self._engine.reply(self._engine.find(parent, operation_id))

    async def list_operations(self, request: protos.Pb) -> protos.Pb:
        """Return a page of a location's operations, newest first (assumed)."""
        await self._engine.settle()
        parent = self._core.names.location(request.name.removesuffix("/operations"), "name")
        query = (parent, request.filter, "operations")
        position = paging.decode_token(query, request.page_token, 1)
        limit = paging.page_size(request.page_size, _DEFAULT_PAGE, _LARGEST_REPLY)
        condition = compile_filter(request.filter, OPERATION_FIELDS)
        before = position[0] if position else _LAST
        parent_id = self._core.database.parent_id(parent)
        found = self._store.page(parent_id, condition.sql, condition.parameters, limit + 1, before)
        reply = operations_pb2.ListOperationsResponse(
            operations=[self._engine.reply(operation) for operation in found[:limit]]
        )
        if len(found) > limit:
            reply.next_page_token = paging.encode_token(query, (found[limit - 1].seq,))
        return reply

    async def cancel_operation(self, request: protos.Pb) -> protos.Pb:
        """End an open operation with CANCELLED."""
        parent, operation_id = self._core.names.child(request.name, "operations")
        await self._engine.settle(self._engine.find(parent, operation_id))
        self._engine.cancel(self._engine.find(parent, operation_id))
        return protos.Empty()

    async def wait_operation(self, request: protos.Pb) -> protos.Pb:
        """Return the operation when it is done or the timeout is over, whichever is first."""
        parent, operation_id = self._core.names.child(request.name, "operations")
        limit = None
        if request.HasField("timeout"):
            limit = self._core.clock.now() + protos.duration_micros(request.timeout)
        await self._engine.settle(self._engine.find(parent, operation_id))
        while not (operation := self._engine.find(parent, operation_id)).is_done:
            ended = self._engine.ended
            if limit is None:
                await ended.wait()
                continue
            if self._core.clock.now() >= limit:
                break
            await self._core.clock.sleep_until(limit, ended)
            await asyncio.sleep(0)
        return self._engine.reply(operation)
