"""Long-running operations: started, due after a latency, finished once, kept for ever.

Every reply carries the metadata, since the client has none otherwise (observed). An operation
without latency is done in the very reply that starts it. One that is open when the process dies
is taken up again by the next process.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable
from dataclasses import replace

import grpc

from ingest.emulator import protos
from ingest.emulator.core import Core
from ingest.emulator.operation_kinds import Kind, Outcome, Running
from ingest.emulator.problems import ApiError, failed_precondition, internal, not_found
from ingest.emulator.store.operations import OperationStore, StoredOperation

logger = logging.getLogger(__name__)

_ANALYSIS_TYPE = f"type.googleapis.com/{protos.PACKAGE}.Analysis"
_PATIENCE_SEC = 0.5
"""How long a reply waits for background work that has no latency."""


class OperationEngine:
    """Runs operations when they are due."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._store = OperationStore(core.database)
        self._kinds: dict[str, Kind] = {}
        self._due: list[tuple[int, int]] = []
        self._waiting: dict[int, StoredOperation] = {}
        self._working: dict[int, tuple[Running, asyncio.Task[None]]] = {}
        self._changed = asyncio.Event()
        self._left_open: set[int] = set()
        self._loop: asyncio.Task[None] | None = None
        self.ended: asyncio.Event = asyncio.Event()

    def register(self, kind: Kind) -> None:
        """Make a kind of operation known; before `open`."""
        self._kinds[kind.name] = kind

    def open(self) -> None:
        """Take up what an earlier process left open, and run what falls due from now on."""
        for operation in self._store.open():
            self._left_open.add(operation.seq)
            self._wait(operation)
        self._loop = asyncio.create_task(self._run_forever())

    async def close(self) -> None:
        """Stop working; open operations stay open in the store."""
        tasks = [task for _, task in self._working.values()]
        if self._loop is not None:
            tasks.append(self._loop)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def start(
        self,
        kind: str,
        parent: str,
        request: protos.Pb,
        metadata: protos.Pb,
        conversation_id: str = "",
    ) -> protos.Pb:
        """Store a new operation, do its work if it has no latency, and return it."""
        now = self._core.clock.now()
        metadata.create_time.CopyFrom(protos.timestamp(now))
        operation = StoredOperation(
            seq=0,
            parent_id=self._core.database.parent_id(parent),
            operation_id=self._core.ids.resource(),
            kind=kind,
            conversation_id=conversation_id,
            create_us=now,
            due_us=now + self._core.switches.of_operation(kind),
            metadata=protos.packed(metadata).SerializeToString(),
            request=request.SerializeToString(),
        )
        known = self._kinds[kind]
        if operation.due_us <= now and known.at_once is not None:
            running = self._running(operation, request=request, metadata=metadata)
            if known.beforehand is not None:
                running.prepared = await known.beforehand(running)
            with self._core.database.transaction():
                return self.reply(self._store.insert(self._work(operation, known.at_once, running)))
        with self._core.database.transaction():
            operation = self._store.insert(operation)
        self._wait(operation)
        await self.settle()
        return self.reply(self._current(operation))

    def check_bulk(self, parent: str, kind: str) -> None:
        """Raise RESOURCE_EXHAUSTED while another bulk operation of the kind runs in the region."""
        parent_id = self._core.database.parent_id(parent)
        waiting = [each.parent_id for each in self._waiting.values() if each.kind == kind]
        working = [each.parent for each, _ in self._working.values() if each.kind == kind]
        under_way = waiting.count(parent_id) + working.count(parent)
        self._core.switches.quotas.check_bulk(kind, under_way)

    async def settle(self) -> None:
        """Finish what is due; background work gets half a second, then goes on by itself."""
        self._run_due()
        tasks = [task for _, task in self._working.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=_PATIENCE_SEC)

    def find(self, parent: str, operation_id: str) -> StoredOperation:
        """Return an operation, or raise NOT_FOUND."""
        found = self._store.find(self._core.database.parent_id(parent), operation_id)
        if found is None:
            raise not_found(f"{parent}/operations/{operation_id}")
        return self._current(found)

    def reply(self, operation: StoredOperation) -> protos.Pb:
        """Return the operation as callers see it."""
        parent = self._core.database.parent(operation.parent_id)
        message = protos.Operation(
            name=f"{parent}/operations/{operation.operation_id}", done=operation.is_done
        )
        message.metadata.ParseFromString(operation.metadata)
        if operation.status_code:
            message.error.ParseFromString(operation.error)
        elif operation.analysis_seq is not None:
            message.response.type_url = _ANALYSIS_TYPE
            message.response.value = self._core.analyses.body(operation.analysis_seq) or b""
        elif operation.is_done:
            message.response.ParseFromString(operation.response)
        return message

    def cancel(self, operation: StoredOperation) -> None:
        """End an open operation with CANCELLED; one that is done stays as it is."""
        if operation.is_done:
            return
        self._waiting.pop(operation.seq, None)
        working = self._working.pop(operation.seq, None)
        if working is not None:
            working[1].cancel()
        error = ApiError(grpc.StatusCode.CANCELLED, "The operation was cancelled.")
        self._keep(self._failed(operation, error))

    def forget(self) -> None:
        """Drop every open operation."""
        for _, task in self._working.values():
            task.cancel()
        self._working.clear()
        self._waiting.clear()
        self._due.clear()

    def _current(self, operation: StoredOperation) -> StoredOperation:
        """Return the operation with the progress of work that is going on."""
        working = self._working.get(operation.seq)
        if working is not None:
            metadata = protos.packed(working[0].metadata).SerializeToString()
            return replace(operation, metadata=metadata)
        parent_id, operation_id = operation.parent_id, operation.operation_id
        return self._store.find(parent_id, operation_id) or operation

    def _wait(self, operation: StoredOperation) -> None:
        self._waiting[operation.seq] = operation
        heapq.heappush(self._due, (operation.due_us, operation.seq))
        self._changed.set()

    async def _run_forever(self) -> None:
        while True:
            self._changed.clear()
            if self._due:
                await self._core.clock.sleep_until(self._due[0][0], self._changed)
            else:
                await self._changed.wait()
            self._run_due()

    def _run_due(self) -> None:
        now = self._core.clock.now()
        while self._due and self._due[0][0] <= now:
            _, seq = heapq.heappop(self._due)
            operation = self._waiting.pop(seq, None)
            if operation is not None:
                self._run(operation)

    def _run(self, operation: StoredOperation) -> None:
        kind = self._kinds.get(operation.kind)
        if kind is None:
            self._keep(self._failed(operation, failed_precondition("Unknown operation kind.")))
            return
        running = self._running(operation, resumed=operation.seq in self._left_open)
        if kind.at_once is not None:
            with self._core.database.transaction():
                self._store.update(self._work(operation, kind.at_once, running))
            self._announce()
        elif kind.in_background is not None:
            task = asyncio.create_task(self._run_background(operation, kind, running))
            self._working[operation.seq] = (running, task)

    async def _run_background(
        self, operation: StoredOperation, kind: Kind, running: Running
    ) -> None:
        assert kind.in_background is not None  # noqa: S101 (only called for such kinds)
        fault = self._core.switches.faults.draw("operation", kind.name)
        try:
            if fault is not None and fault.when == "before":
                raise fault.error()
            outcome = await kind.in_background(running)
            if fault is not None:
                raise fault.error()
        except ApiError as error:
            ended = self._failed(operation, error, running.metadata)
        except Exception:
            logger.exception("operation=%s kind=%s broke", operation.operation_id, kind.name)
            ended = self._failed(operation, internal(), running.metadata)
        else:
            ended = self._succeeded(operation, outcome, running.metadata)
        self._working.pop(operation.seq, None)
        self._keep(ended)

    def _work(
        self, operation: StoredOperation, work: Callable[[Running], Outcome], running: Running
    ) -> StoredOperation:
        fault = self._core.switches.faults.draw("operation", operation.kind)
        try:
            if fault is not None and fault.when == "before":
                raise fault.error()
            outcome = work(running)
            if fault is not None:
                raise fault.error()
            return self._succeeded(operation, outcome, running.metadata)
        except ApiError as error:
            return self._failed(operation, error, running.metadata)

    def _running(
        self,
        operation: StoredOperation,
        request: protos.Pb | None = None,
        metadata: protos.Pb | None = None,
        resumed: bool = False,
    ) -> Running:
        kind = self._kinds[operation.kind]
        if metadata is None:
            metadata = kind.metadata()
            protos.Any_.FromString(operation.metadata).Unpack(metadata)
        return Running(
            operation.kind,
            operation.operation_id,
            self._core.database.parent(operation.parent_id),
            operation.conversation_id,
            operation.create_us,
            kind.request.FromString(operation.request) if request is None else request,
            metadata,
            resumed,
        )

    def _succeeded(
        self, operation: StoredOperation, outcome: Outcome, metadata: protos.Pb
    ) -> StoredOperation:
        response = b""
        if outcome.response is not None:
            response = protos.packed(outcome.response).SerializeToString()
        return replace(
            operation,
            is_done=True,
            analysis_seq=outcome.analysis_seq,
            response=response,
            metadata=self._end(metadata),
        )

    def _failed(
        self, operation: StoredOperation, error: ApiError, metadata: protos.Pb | None = None
    ) -> StoredOperation:
        ended = operation.metadata if metadata is None else self._end(metadata)
        status = error.status().SerializeToString()
        return replace(
            operation, is_done=True, status_code=error.number, error=status, metadata=ended
        )

    def _end(self, metadata: protos.Pb) -> bytes:
        metadata.end_time.CopyFrom(protos.timestamp(self._core.clock.now()))
        serialized: bytes = protos.packed(metadata).SerializeToString()
        return serialized

    def _keep(self, operation: StoredOperation) -> None:
        with self._core.database.transaction():
            self._store.update(operation)
        self._announce()

    def _announce(self) -> None:
        self.ended.set()
        self.ended = asyncio.Event()
