"""The gRPC server: every method of the table on one port."""

from __future__ import annotations

import random
import time
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ingest.emulator import protos
from ingest.emulator.analyses import AnalysisMethods
from ingest.emulator.annotator_process import Annotators, LocalAnnotators
from ingest.emulator.behaviour.faults import FaultPlan
from ingest.emulator.behaviour.quotas import Quotas
from ingest.emulator.behaviour.recording import Recorder, Replay
from ingest.emulator.behaviour.switches import Switches
from ingest.emulator.bulk_delete import BulkDeleteMethods
from ingest.emulator.clock import Clock
from ingest.emulator.controlling import CONTROL_SERVICE, ControlMethods
from ingest.emulator.conversations import ConversationMethods
from ingest.emulator.core import Core
from ingest.emulator.exporting import ExportMethods
from ingest.emulator.gcs import ObjectReader
from ingest.emulator.ids import Ids
from ingest.emulator.ingesting import IngestMethods
from ingest.emulator.matchers import MatcherMethods
from ingest.emulator.names import Names
from ingest.emulator.operation_methods import OperationMethods
from ingest.emulator.operations import OperationEngine
from ingest.emulator.options import EmulatorOptions
from ingest.emulator.reflecting import enable_reflection
from ingest.emulator.serving import Gate, Handler, UnknownCalls, control_entries
from ingest.emulator.settings_methods import SettingsMethods
from ingest.emulator.statistics import StatisticsMethods
from ingest.emulator.store.analyses import AnalysisStore
from ingest.emulator.store.conversations import ConversationStore
from ingest.emulator.store.database import Database
from ingest.emulator.store.matchers import MatcherStore
from ingest.emulator.surface import ALL_METHODS, Coverage
from ingest.emulator.uploads import UploadMethods
from ingest.errors import InputError

HOST = "127.0.0.1"
_STOP_GRACE_SEC = 1.0
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)


class Emulator:
    """One running emulator; `port` is known after `start`."""

    def __init__(self, options: EmulatorOptions, annotators: Annotators | None = None) -> None:
        self._options = options
        self._annotators = annotators or LocalAnnotators()
        self.port = 0
        switches = _switches(options)
        self._recorder = None if options.record is None else Recorder(options.record)
        self._replay = None if options.replay is None else Replay(options.replay)
        database = Database(options.data_dir / "insights.sqlite3")
        self.core = Core(
            names=Names(options.project_number, options.project_id),
            clock=Clock(lambda: time.time_ns() // 1000),
            ids=Ids(_randomness(options, database)),
            database=database,
            objects=ObjectReader(options.gcs_endpoint),
            conversations=ConversationStore(database),
            analyses=AnalysisStore(database),
            matchers=MatcherStore(database),
            switches=switches,
        )
        self.operations = OperationEngine(self.core)
        self.control = ControlMethods(self.core, self.operations)
        self._server: Any = None

    async def start(self) -> None:
        """Answer calls from now on; raise InputError when the port is taken."""
        handlers = self.handlers()
        self.operations.open()
        self._server = grpc.aio.server(options=_CHANNEL_OPTIONS)
        gate = Gate(self.core, self._recorder, self._replay)
        for service in sorted({method.service for method in ALL_METHODS}):
            methods = [method for method in ALL_METHODS if method.service == service]
            entries = {m.name: gate.entry(m, handlers.get(m.handler)) for m in methods}
            self._serve(service, entries)
        self._serve(CONTROL_SERVICE, control_entries(self.control.handlers()))
        await self._serve_health()
        enable_reflection(self._server, list(self.control.handlers()))
        self._server.add_generic_rpc_handlers((UnknownCalls(self.core),))
        try:
            self.port = self._server.add_insecure_port(f"{HOST}:{self._options.port}")
        except RuntimeError as error:
            raise InputError(
                f"port {self._options.port} on {HOST} is taken", "give another --port"
            ) from error
        await self._server.start()

    async def stop(self) -> None:
        """End calls within a second and close the store."""
        await self._server.stop(_STOP_GRACE_SEC)
        await self.operations.close()
        if self._recorder is not None:
            self._recorder.close()
        self._annotators.close()
        self.core.objects.close()
        self.core.database.close()

    def handlers(self) -> dict[str, Handler]:
        """Return the Python methods that answer, by RPC name in snake case."""
        conversations = ConversationMethods(self.core)
        groups = (
            conversations,
            AnalysisMethods(self.core, conversations, self.operations, self._annotators),
            MatcherMethods(self.core),
            OperationMethods(self.core, self.operations),
            UploadMethods(self.core, conversations, self.operations),
            BulkDeleteMethods(self.core, self.operations),
            IngestMethods(self.core, conversations, self.operations),
            ExportMethods(
                self.core, conversations, self.operations, self._options.bigquery_endpoint
            ),
            SettingsMethods(self.core),
            StatisticsMethods(self.core),
        )
        wanted = {m.handler for m in ALL_METHODS if m.coverage is not Coverage.UNIMPLEMENTED}
        return {name: getattr(g, name) for g in groups for name in dir(g) if name in wanted}

    def _serve(self, service: str, entries: dict[str, Any]) -> None:
        methods = {
            name: grpc.unary_unary_rpc_method_handler(entry) for name, entry in entries.items()
        }
        generic = grpc.method_handlers_generic_handler(service, methods)
        self._server.add_generic_rpc_handlers((generic,))

    async def _serve_health(self) -> None:
        status = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(status, self._server)
        for service in ("", protos.SERVICE, protos.OPERATIONS_SERVICE):
            await status.set(service, health_pb2.HealthCheckResponse.SERVING)


def _randomness(options: EmulatorOptions, database: Database) -> random.Random:
    """With a seed, ids depend on it and on what the store holds, so a restart repeats none."""
    if options.seed is None:
        return random.SystemRandom()
    made = database.execute("select total(seq) from sqlite_sequence").fetchone()[0]
    return random.Random(f"{options.seed}/{made}")


def _switches(options: EmulatorOptions) -> Switches:
    faults = FaultPlan()
    if options.fault_plan is not None:
        try:
            faults = FaultPlan.parse(options.fault_plan.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the fault plan {options.fault_plan} can't be read") from error
    return Switches(
        call_latency=dict(options.call_latency),
        operation_latency=dict(options.operation_latency),
        quotas=Quotas.named(options.quotas),
        faults=faults,
    )
