"""Long-running operations: started, due after a latency, finished once, kept for ever.

Every reply carries the metadata, since the client has none otherwise (observed). An operation
without latency is done in the very reply that starts it. One that is open when the process dies
is taken up again by the next process.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from dataclasses import replace

import grpc

from ingest.emulator import protos
from ingest.emulator.core import Core
from ingest.emulator.operation_kinds import Kind, Running
from ingest.emulator.operation_work import OperationWork
from ingest.emulator.problems import ApiError, not_found
from ingest.emulator.store.operations import OperationStore, StoredOperation

_PATIENCE_SEC = 0.5
"""How long a reply waits for background work that has no latency."""
_AT_A_TIME = 4
"""Due operations worked on between two chances for calls; more wait for their turn."""


class OperationEngine:
    """Runs operations when they are due."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._store = OperationStore(core.database)
        self._work = OperationWork(core)
        self._due: list[tuple[int, int]] = []
        self._waiting: dict[int, StoredOperation] = {}
        self._working: dict[int, tuple[StoredOperation, Running | None, asyncio.Task[None]]] = {}
        self._turns = asyncio.Semaphore(_AT_A_TIME)
        self._changed = asyncio.Event()
        self._left_open: set[int] = set()
        self._loop: asyncio.Task[None] | None = None
        self.ended: asyncio.Event = asyncio.Event()

    def register(self, kind: Kind) -> None:
        """Make a kind of operation known; before `open`."""
        self._work.register(kind)

    def open(self) -> None:
        """Take up what an earlier process left open, and run what falls due from now on."""
        for operation in self._store.open():
            self._left_open.add(operation.seq)
            self._wait(operation)
        self._loop = asyncio.create_task(self._run_forever())

    async def close(self) -> None:
        """Stop working; open operations stay open in the store."""
        tasks = self._tasks()
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
        known = self._work.kind(kind)
        if operation.due_us <= now and known.at_once is not None:
            running = self._work.running(operation, request, metadata)
            if known.beforehand is not None:
                running.prepared = await known.beforehand(running)
            return self.reply(self._done_at_once(operation, running))
        with self._core.database.transaction():
            operation = self._store.insert(operation)
        self._wait(operation)
        await self.settle(operation)
        return self.reply(self._current(operation))

    def check_bulk(self, parent: str, kind: str) -> None:
        """Raise RESOURCE_EXHAUSTED while another bulk operation of the kind runs in the region."""
        parent_id = self._core.database.parent_id(parent)
        working = [operation for operation, _, _ in self._working.values()]
        under_way = [
            each.due_us
            for each in (*self._waiting.values(), *working)
            if (each.kind, each.parent_id) == (kind, parent_id)
        ]
        left = min(under_way, default=0) - self._core.clock.now()
        self._core.switches.quotas.check_bulk(kind, len(under_way), left)

    async def settle(self, operation: StoredOperation | None = None) -> None:
        """Begin what is due; wait half a second for one operation that works, or for all."""
        self._run_due()
        if operation is None:
            tasks = self._tasks()
        else:
            tasks = [self._working[operation.seq][2]] if operation.seq in self._working else []
        if tasks:
            await asyncio.wait(tasks, timeout=_PATIENCE_SEC)

    async def finish_due(self) -> None:
        """Return when everything that is due now has ended."""
        self._run_due()
        tasks = self._tasks()
        if tasks:
            await asyncio.wait(tasks)

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
            message.response.type_url = protos.ANALYSIS_TYPE_URL
            message.response.value = self._core.analyses.body(operation.analysis_seq)
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
            working[2].cancel()
        error = ApiError(grpc.StatusCode.CANCELLED, "The operation was cancelled.")
        self._keep(self._work.failed(operation, error))

    def forget(self) -> None:
        """Drop every open operation."""
        for task in self._tasks():
            task.cancel()
        self._working.clear()
        self._waiting.clear()
        self._due.clear()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [task for _, _, task in self._working.values()]

    def _current(self, operation: StoredOperation) -> StoredOperation:
        """Return the operation with the progress of work that is going on."""
        working = self._working.get(operation.seq)
        if working is not None and working[1] is not None:
            metadata = protos.packed(working[1].metadata).SerializeToString()
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
        """Give everything that is due to a task of its own."""
        now = self._core.clock.now()
        while self._due and self._due[0][0] <= now:
            _, seq = heapq.heappop(self._due)
            operation = self._waiting.pop(seq, None)
            if operation is not None:
                task = asyncio.create_task(self._run(operation))
                self._working[seq] = (operation, None, task)

    async def _run(self, operation: StoredOperation) -> None:
        try:
            running = self._work.running(operation, resumed=operation.seq in self._left_open)
            kind = self._work.kind(operation.kind)
        except ApiError as error:
            self._finish(self._work.failed(operation, error))
            return
        except Exception:  # noqa: BLE001 (logged by `broken`)
            self._finish(self._work.broken(operation))
            return
        self._working[operation.seq] = (operation, running, self._working[operation.seq][2])
        if kind.in_background is not None:
            self._finish(await self._work.in_background(operation, running))
            return
        async with self._turns:
            await asyncio.sleep(0)
            if kind.beforehand is not None:
                # What goes wrong here goes wrong again in the work itself, which says so.
                with contextlib.suppress(Exception):
                    running.prepared = await kind.beforehand(running)
            self._done_at_once(operation, running)
            self._working.pop(operation.seq, None)
            self._announce()

    def _done_at_once(self, operation: StoredOperation, running: Running) -> StoredOperation:
        """Do the work and store it together with the operation's end, new operations too."""
        keep = self._store.update if operation.seq else self._store.insert
        try:
            with self._core.database.transaction():
                ended = self._work.at_once(operation, running)
                stored = keep(ended) or ended
        except Exception:  # noqa: BLE001 (logged by `broken`)
            ended = self._work.broken(operation, running.metadata)
            with self._core.database.transaction():
                stored = keep(ended) or ended
        return stored

    def _finish(self, operation: StoredOperation) -> None:
        self._working.pop(operation.seq, None)
        self._keep(operation)

    def _keep(self, operation: StoredOperation) -> None:
        with self._core.database.transaction():
            self._store.update(operation)
        self._announce()

    def _announce(self) -> None:
        self.ended.set()
        self.ended = asyncio.Event()
