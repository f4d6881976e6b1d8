"""How an operation does its work and how it ends: with a response, or with an error.

Whatever work raises, the operation ends: an ApiError as it says, anything else as INTERNAL.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from ingest.emulator import protos
from ingest.emulator.core import Core
from ingest.emulator.operation_kinds import Kind, Outcome, Running
from ingest.emulator.problems import ApiError, failed_precondition, internal
from ingest.emulator.store.operations import StoredOperation

logger = logging.getLogger(__name__)


class OperationWork:
    """Does the work of operations; what it returns is for the caller to store."""

    def __init__(self, core: Core) -> None:
        self._core = core
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
            self._core.database.parent(operation.parent_id),
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
        fault = self._core.switches.faults.draw("operation", operation.kind)
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
        fault = self._core.switches.faults.draw("operation", operation.kind)
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
        metadata.end_time.CopyFrom(protos.timestamp(self._core.clock.now()))
        serialized: bytes = protos.packed(metadata).SerializeToString()
        return serialized
