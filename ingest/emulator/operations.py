"""Long-running operations: what they are made of, their work, their methods.

Every reply carries the metadata, since the client has none otherwise (observed). An operation
without latency is done in the very reply that starts it. One that is open when the process dies
is taken up again by the next process. Whatever work raises, the operation ends: an ApiError as it
says, anything else as INTERNAL.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import grpc
from google.longrunning import operations_pb2

from ingest.emulator import protos
from ingest.emulator.context import Context, Scope, resume_scope
from ingest.emulator.errors import ApiError, failed_precondition, internal, not_found
from ingest.emulator.filters import OPERATION_FIELDS, compile_filter
from ingest.emulator.operation_store import OperationStore, StoredOperation
from ingest.emulator.request_fields import decode_token, encode_token, page_size


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended: with a response, or with the analysis that is its response."""

    response: protos.Pb | None = None
    analysis_seq: int | None = None


@dataclass(slots=True)
class Running:
    """An operation at work; `metadata` may be changed until it ends."""

    kind: str
    operation_id: str
    parent: str
    conversation_id: str
    create_us: int
    request: protos.Pb
    metadata: protos.Pb
    resumed: bool = False
    prepared: object = None
    """What `Kind.beforehand` returned."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of operation: its messages and its work."""

    name: str
    request: protos.Pb
    metadata: protos.Pb
    beforehand: Callable[[Running], Awaitable[object]] | None = None
    """Work that may wait and stores nothing, for `at_once`; left out when nobody can wait."""
    at_once: Callable[[Running], Outcome] | None = None
    """Work that never waits: stored together with the operation's end."""
    in_background: Callable[[Running], Awaitable[Outcome]] | None = None
    on_failure: Callable[[StoredOperation, int], None] | None = None
    """What an operation that ends with an error leaves behind; gets the error's code."""


logger = logging.getLogger(__name__)


class OperationWork:
    """Does the work of operations; what it returns is for the caller to store."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kinds: dict[str, Kind] = {}

    def register(self, kind: Kind) -> None:
        """Make a kind of operation known."""
        self._kinds[kind.name] = kind

    def kind(self, name: str) -> Kind:
        """Return a kind; raise FAILED_PRECONDITION for one that an earlier version has stored."""
        if name not in self._kinds:
            raise failed_precondition("Unknown operation kind.")
        return self._kinds[name]

    def running(
        self,
        operation: StoredOperation,
        request: protos.Pb | None = None,
        metadata: protos.Pb | None = None,
        resumed: bool = False,
    ) -> Running:
        """Return the operation at work, its messages read unless they are given."""
        kind = self.kind(operation.kind)
        if metadata is None:
            metadata = kind.metadata()
            protos.Any_.FromString(operation.metadata).Unpack(metadata)
        return Running(
            operation.kind,
            operation.operation_id,
            self._context.database.parent(operation.parent_id),
            operation.conversation_id,
            operation.create_us,
            kind.request.FromString(operation.request) if request is None else request,
            metadata,
            resumed,
        )

    def at_once(self, operation: StoredOperation, running: Running) -> StoredOperation:
        """Do work that never waits, in the caller's transaction; return the ended operation.

        An ApiError ends the operation; anything else is raised, so that the transaction is undone.
        """
        work = self.kind(operation.kind).at_once
        assert work is not None  # noqa: S101 (only called for such kinds)
        fault = self._context.switches.faults.draw("operation", operation.kind)
        try:
            if fault is not None and fault.when == "before":
                raise fault.error()
            outcome = work(running)
            if fault is not None:
                raise fault.error()
        except ApiError as error:
            return self.failed(operation, error, running.metadata)
        return self._succeeded(operation, outcome, running.metadata)

    async def in_background(self, operation: StoredOperation, running: Running) -> StoredOperation:
        """Do work that may wait; return the ended operation, whatever the work raised."""
        work = self.kind(operation.kind).in_background
        assert work is not None  # noqa: S101 (only called for such kinds)
        fault = self._context.switches.faults.draw("operation", operation.kind)
        try:
            if fault is not None and fault.when == "before":
                raise fault.error()
            outcome = await work(running)
            if fault is not None:
                raise fault.error()
            return self._succeeded(operation, outcome, running.metadata)
        except ApiError as error:
            return self.failed(operation, error, running.metadata)
        except Exception:  # noqa: BLE001 (logged by `broken`)
            return self.broken(operation, running.metadata)

    def failed(
        self, operation: StoredOperation, error: ApiError, metadata: protos.Pb | None = None
    ) -> StoredOperation:
        """Return the operation ended by a refusal."""
        kind = self._kinds.get(operation.kind)
        if kind is not None and kind.on_failure is not None:
            kind.on_failure(operation, error.number)
        ended = operation.metadata if metadata is None else self._end(metadata)
        status = error.status().SerializeToString()
        return replace(
            operation, is_done=True, status_code=error.number, error=status, metadata=ended
        )

    def broken(
        self, operation: StoredOperation, metadata: protos.Pb | None = None
    ) -> StoredOperation:
        """Return the operation ended by INTERNAL, and log the exception that is being handled."""
        logger.exception("operation=%s kind=%s broke", operation.operation_id, operation.kind)
        return self.failed(operation, internal(), metadata)

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

    def _end(self, metadata: protos.Pb) -> bytes:
        _stamp(metadata, "end_time", self._context.clock.now())
        serialized: bytes = protos.packed(metadata).SerializeToString()
        return serialized


def _stamp(metadata: protos.Pb, field: str, now: int) -> None:
    """Set a time of an operation's metadata; those of QueryMetrics have none."""
    if field in metadata.DESCRIPTOR.fields_by_name:
        getattr(metadata, field).CopyFrom(protos.timestamp(now))


_PATIENCE_SEC = 0.5
"""How long a reply waits for background work that has no latency."""
_AT_A_TIME = 4
"""Due operations worked on between two chances for calls; more wait for their turn."""


@dataclass(slots=True)
class _Agenda:
    """What falls due by one clock."""

    scope: Scope
    due: list[tuple[int, int]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class OperationEngine:
    """Runs operations when they are due."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = OperationStore(context.database)
        self._work = OperationWork(context)
        self._agendas: dict[int, _Agenda] = {}
        self._waiting: dict[int, StoredOperation] = {}
        self._working: dict[int, tuple[StoredOperation, Running | None, asyncio.Task[None]]] = {}
        self._turns = asyncio.Semaphore(_AT_A_TIME)
        self._left_open: set[int] = set()
        self.ended: asyncio.Event = asyncio.Event()

    def register(self, kind: Kind) -> None:
        """Make a kind of operation known; before `open`."""
        self._work.register(kind)

    def open(self) -> None:
        """Take up what an earlier process left open, and run what falls due from now on."""
        for operation in self._store.open():
            self._left_open.add(operation.seq)
            self._wait(operation)

    async def close(self) -> None:
        """Stop working; open operations stay open in the store."""
        tasks = [*self._tasks(), *(agenda.task for agenda in self._agendas.values() if agenda.task)]
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
        now = self._context.clock.now()
        _stamp(metadata, "create_time", now)
        operation = StoredOperation(
            seq=0,
            parent_id=self._context.database.parent_id(parent),
            operation_id=self._context.ids.resource(),
            kind=kind,
            conversation_id=conversation_id,
            create_us=now,
            due_us=now + self._context.switches.of_operation(kind),
            metadata=protos.packed(metadata).SerializeToString(),
            request=request.SerializeToString(),
        )
        known = self._work.kind(kind)
        if operation.due_us <= now and known.at_once is not None:
            running = self._work.running(operation, request, metadata)
            if known.beforehand is not None:
                running.prepared = await known.beforehand(running)
            return self.reply(self._done_at_once(operation, running))
        with self._context.database.transaction():
            operation = self._store.insert(operation)
        self._wait(operation)
        await self.settle(operation)
        return self.reply(self._current(operation))

    def check_bulk(self, parent: str, kind: str) -> None:
        """Raise RESOURCE_EXHAUSTED while another bulk operation of the kind runs in the region."""
        parent_id = self._context.database.parent_id(parent)
        working = [operation for operation, _, _ in self._working.values()]
        under_way = [
            each.due_us
            for each in (*self._waiting.values(), *working)
            if (each.kind, each.parent_id) == (kind, parent_id)
        ]
        left = min(under_way, default=0) - self._context.clock.now()
        self._context.switches.quotas.check_bulk(kind, len(under_way), left)

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
        found = self._store.find(self._context.database.parent_id(parent), operation_id)
        if found is None:
            raise not_found(f"{parent}/operations/{operation_id}")
        return self._current(found)

    def reply(self, operation: StoredOperation) -> protos.Pb:
        """Return the operation as callers see it."""
        parent = self._context.database.parent(operation.parent_id)
        message = protos.Operation(
            name=f"{parent}/operations/{operation.operation_id}", done=operation.is_done
        )
        message.metadata.ParseFromString(operation.metadata)
        if operation.status_code:
            message.error.ParseFromString(operation.error)
        elif operation.analysis_seq is not None:
            message.response.type_url = protos.ANALYSIS_TYPE_URL
            message.response.value = self._store.analysis(operation.analysis_seq)
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
        for agenda in self._agendas.values():
            agenda.due.clear()

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
        scope = self._context.scopes.current
        agenda = self._agendas.get(id(scope))
        if agenda is None:
            agenda = self._agendas[id(scope)] = _Agenda(scope)
            agenda.task = asyncio.create_task(self._run_forever(agenda))
        self._waiting[operation.seq] = operation
        heapq.heappush(agenda.due, (operation.due_us, operation.seq))
        agenda.changed.set()

    async def _run_forever(self, agenda: _Agenda) -> None:
        while True:
            agenda.changed.clear()
            if agenda.due:
                await agenda.scope.clock.sleep_until(agenda.due[0][0], agenda.changed)
            else:
                await agenda.changed.wait()
            self._run_due()

    def _run_due(self) -> None:
        """Give everything that is due to a task of its own."""
        for agenda in list(self._agendas.values()):
            now = agenda.scope.clock.now()
            while agenda.due and agenda.due[0][0] <= now:
                _, seq = heapq.heappop(agenda.due)
                operation = self._waiting.pop(seq, None)
                if operation is not None:
                    task = asyncio.create_task(self._run(operation, agenda.scope))
                    self._working[seq] = (operation, None, task)

    async def _run(self, operation: StoredOperation, scope: Scope) -> None:
        resume_scope(scope)
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
            with self._context.database.transaction():
                ended = self._work.at_once(operation, running)
                stored = keep(ended) or ended
        except Exception:  # noqa: BLE001 (logged by `broken`)
            ended = self._work.broken(operation, running.metadata)
            with self._context.database.transaction():
                stored = keep(ended) or ended
        return stored

    def _finish(self, operation: StoredOperation) -> None:
        self._working.pop(operation.seq, None)
        self._keep(operation)

    def _keep(self, operation: StoredOperation) -> None:
        with self._context.database.transaction():
            self._store.update(operation)
            parent = self._context.database.parent(operation.parent_id)
            self._context.notifications.add_operation(parent, operation.kind, self.reply(operation))
        self._announce()

    def _announce(self) -> None:
        self.ended.set()
        self.ended = asyncio.Event()


_DEFAULT_PAGE = 100
_LARGEST_REPLY = 1000
_LAST_SEQ = 2**62


class OperationMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(self, context: Context, engine: OperationEngine) -> None:
        self._context = context
        self._engine = engine
        self._store = OperationStore(context.database)

    async def get_operation(self, request: protos.Pb) -> protos.Pb:
        """Return an operation with its metadata."""
        parent, operation_id = self._context.names.child(request.name, "operations")
        await self._engine.settle(self._engine.find(parent, operation_id))
        return self._engine.reply(self._engine.find(parent, operation_id))

    async def list_operations(self, request: protos.Pb) -> protos.Pb:
        """Return a page of a location's operations, newest first (assumed)."""
        await self._engine.settle()
        parent = self._context.names.location(request.name.removesuffix("/operations"), "name")
        query = (parent, request.filter, "operations")
        position = decode_token(query, request.page_token, 1)
        limit = page_size(request.page_size, _DEFAULT_PAGE, _LARGEST_REPLY)
        condition = compile_filter(request.filter, OPERATION_FIELDS)
        before = position[0] if position else _LAST_SEQ
        parent_id = self._context.database.parent_id(parent)
        found = self._store.page(parent_id, condition.sql, condition.parameters, limit + 1, before)
        reply = operations_pb2.ListOperationsResponse(
            operations=[self._engine.reply(operation) for operation in found[:limit]]
        )
        if len(found) > limit:
            reply.next_page_token = encode_token(query, (found[limit - 1].seq,))
        return reply

    async def cancel_operation(self, request: protos.Pb) -> protos.Pb:
        """End an open operation with CANCELLED."""
        parent, operation_id = self._context.names.child(request.name, "operations")
        await self._engine.settle(self._engine.find(parent, operation_id))
        self._engine.cancel(self._engine.find(parent, operation_id))
        return protos.Empty()

    async def wait_operation(self, request: protos.Pb) -> protos.Pb:
        """Return the operation when it is done or the timeout is over, whichever is first."""
        parent, operation_id = self._context.names.child(request.name, "operations")
        limit = None
        if request.HasField("timeout"):
            limit = self._context.clock.now() + protos.duration_micros(request.timeout)
        await self._engine.settle(self._engine.find(parent, operation_id))
        while not (operation := self._engine.find(parent, operation_id)).is_done:
            ended = self._engine.ended
            if limit is None:
                await ended.wait()
                continue
            if self._context.clock.now() >= limit:
                break
            await self._context.clock.sleep_until(limit, ended)
            await asyncio.sleep(0)
        return self._engine.reply(operation)
