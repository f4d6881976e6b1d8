"""The gRPC server: every method of the table, one way in and one way out."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ingest.emulator import protos
from ingest.emulator.analyses import AnalysisMethods
from ingest.emulator.clock import Clock
from ingest.emulator.conversations import ConversationMethods
from ingest.emulator.core import Core
from ingest.emulator.gcs import ObjectReader
from ingest.emulator.ids import Ids
from ingest.emulator.matchers import MatcherMethods
from ingest.emulator.names import Names
from ingest.emulator.operation_methods import OperationMethods
from ingest.emulator.operations import OperationEngine
from ingest.emulator.options import EmulatorOptions
from ingest.emulator.problems import ApiError, invalid, unimplemented
from ingest.emulator.store.analyses import AnalysisStore
from ingest.emulator.store.conversations import ConversationStore
from ingest.emulator.store.database import Database
from ingest.emulator.store.matchers import MatcherStore
from ingest.emulator.surface import ALL_METHODS, Coverage, Method

logger = logging.getLogger(__name__)

Handler = Callable[[protos.Pb], Awaitable[protos.Pb | bytes]]

_STOP_GRACE_SEC = 1.0
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)


class Emulator:
    """One running emulator; `port` is known after `start`."""

    def __init__(self, options: EmulatorOptions) -> None:
        self._options = options
        self.port = 0
        database = Database(options.data_dir / "insights.sqlite3")
        rng: random.Random = random.SystemRandom()
        if options.seed is not None:
            rng = random.Random(options.seed)
        self.core = Core(
            names=Names(options.project_number, options.project_id),
            clock=Clock(lambda: time.time_ns() // 1000),
            ids=Ids(rng),
            database=database,
            objects=ObjectReader(options.gcs_endpoint),
            conversations=ConversationStore(database),
            analyses=AnalysisStore(database),
            matchers=MatcherStore(database),
        )
        self.operations = OperationEngine(self.core, self._latency)
        self._server: Any = None

    async def start(self) -> None:
        """Answer calls from now on."""
        self.operations.open()
        self._server = grpc.aio.server(options=_CHANNEL_OPTIONS)
        handlers = self._handlers()
        for service in {method.service for method in ALL_METHODS}:
            methods = {
                method.name: grpc.unary_unary_rpc_method_handler(
                    self._entry(method, handlers.get(method.handler))
                )
                for method in ALL_METHODS
                if method.service == service
            }
            generic = grpc.method_handlers_generic_handler(service, methods)
            self._server.add_generic_rpc_handlers((generic,))
        status = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(status, self._server)
        for service in ("", protos.SERVICE, protos.OPERATIONS_SERVICE):
            await status.set(service, health_pb2.HealthCheckResponse.SERVING)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self._options.port}")
        await self._server.start()

    async def stop(self) -> None:
        """End calls within a second and close the store."""
        await self._server.stop(_STOP_GRACE_SEC)
        await self.operations.close()
        self.core.objects.close()
        self.core.database.close()

    def _handlers(self) -> dict[str, Handler]:
        """Return the Python methods that answer, by RPC name in snake case."""
        conversations = ConversationMethods(self.core)
        groups = (
            conversations,
            AnalysisMethods(self.core, conversations, self.operations),
            MatcherMethods(self.core),
            OperationMethods(self.core, self.operations),
        )
        wanted = {m.handler for m in ALL_METHODS if m.coverage is not Coverage.UNIMPLEMENTED}
        return {name: getattr(g, name) for g in groups for name in dir(g) if name in wanted}

    def _entry(self, method: Method, handler: Handler | None) -> Any:
        request_class = None if handler is None else _message_class(method.request)

        async def answer(serialized: bytes, context: Any) -> bytes:
            try:
                if handler is None or request_class is None:
                    raise unimplemented(f"Method {method.name}")
                reply = await handler(_parse(request_class, serialized))
            except ApiError as error:
                await _abort(context, error)
                raise
            return reply if isinstance(reply, bytes) else bytes(reply.SerializeToString())

        return answer

    def _latency(self, kind: str) -> int:
        if kind in ("CreateAnalysis", "BulkAnalyzeConversations"):
            return self._options.analysis_latency_us
        return self._options.lro_latency_us


def _message_class(full_name: str) -> Any:
    descriptor = descriptor_pool.Default().FindMessageTypeByName(full_name)
    return message_factory.GetMessageClass(descriptor)


def _parse(request_class: Any, serialized: bytes) -> protos.Pb:
    try:
        return request_class.FromString(serialized)
    except DecodeError as error:
        raise invalid("The request message can't be parsed.") from error


async def _abort(context: Any, error: ApiError) -> None:
    trailing: tuple[tuple[str, bytes], ...] = ()
    if error.details:
        trailing = (("grpc-status-details-bin", error.status().SerializeToString()),)
    await context.abort(error.code, error.message, trailing)
