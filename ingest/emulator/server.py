"""The gRPC server: every method of the table on one port, with health and reflection."""

from __future__ import annotations

import random
import time
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ingest.emulator import protos
from ingest.emulator.analyses import AnalysisMethods
from ingest.emulator.analysis_rules import AnalysisRuleMethods, ViewMethods
from ingest.emulator.annotator_process import Annotators, LocalAnnotators
from ingest.emulator.cloud_storage import ObjectReader
from ingest.emulator.context import Clock, Context, Ids, Scope, Scopes, Switches
from ingest.emulator.control_server import CONTROL_SERVICE, ControlMethods
from ingest.emulator.conversations import BulkDeleteMethods, ConversationMethods
from ingest.emulator.database import Database
from ingest.emulator.export import ExportMethods
from ingest.emulator.faults import FaultPlan
from ingest.emulator.feedback_labels import FeedbackLabelMethods
from ingest.emulator.ingestion import IngestionMethods
from ingest.emulator.issue_models import IssueModelMethods
from ingest.emulator.methods import ALL_METHODS, INSIGHTS_METHODS, Coverage, Method
from ingest.emulator.metrics import StatisticsMethods
from ingest.emulator.notifications import Notifications
from ingest.emulator.operations import OperationEngine, OperationMethods
from ingest.emulator.options import EmulatorOptions
from ingest.emulator.phrase_matchers import MatcherMethods, MatcherStore
from ingest.emulator.qa_rubric import Rubric, read_rubric
from ingest.emulator.query_metrics import QueryMetricsMethods
from ingest.emulator.quotas import Quotas
from ingest.emulator.request_fields import Names
from ingest.emulator.rest import RestServer
from ingest.emulator.rest_resources import RestResources
from ingest.emulator.rpc_pipeline import (
    Handler,
    Recorder,
    Replay,
    RpcPipeline,
    UnknownCalls,
    control_entries,
)
from ingest.emulator.scorecards import ScorecardMethods
from ingest.emulator.settings import SettingsMethods
from ingest.errors import InputError

_SERVICES_FILE = "ingest/emulator/services.proto"
_CONTROL_FILE = "ingest/emulator/control.proto"
_STRUCT = "google.protobuf.Struct"


def enable_reflection(server: Any, control_methods: list[str]) -> None:
    """Serve descriptors of every service of the emulator."""
    pool = descriptor_pool.Default()
    _add(pool, _SERVICES_FILE, protos.SERVICE, list(INSIGHTS_METHODS))
    control = [Method(CONTROL_SERVICE, name, _STRUCT, _STRUCT) for name in control_methods]
    _add(pool, _CONTROL_FILE, CONTROL_SERVICE, control)
    names = (
        protos.SERVICE,
        protos.OPERATIONS_SERVICE,
        CONTROL_SERVICE,
        "grpc.health.v1.Health",
        reflection.SERVICE_NAME,
    )
    reflection.enable_server_reflection(names, server, pool)


def _add(pool: Any, path: str, service: str, methods: list[Method]) -> None:
    package, _, name = service.rpartition(".")
    file = descriptor_pb2.FileDescriptorProto(name=path, package=package, syntax="proto3")
    file.service.add(name=name)
    messages = sorted({m.request for m in methods} | {m.response for m in methods})
    file.dependency.extend(
        sorted({pool.FindMessageTypeByName(message).file.name for message in messages})
    )
    for method in methods:
        file.service[0].method.add(
            name=method.name, input_type=f".{method.request}", output_type=f".{method.response}"
        )
    pool.Add(file)


_STOP_GRACE_SEC = 1.0
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)


class Emulator:
    """One running emulator; `port` and `rest_port` are known after `start`."""

    def __init__(self, options: EmulatorOptions, annotators: Annotators | None = None) -> None:
        self._options = options
        self._annotators = annotators or LocalAnnotators()
        self.port = self.rest_port = 0
        self._recorder = None if options.record is None else Recorder(options.record)
        self._replay = None if options.replay is None else Replay(options.replay)
        database = Database(options.data_dir / "insights.sqlite3")
        self.context = Context(
            names=Names(options.project_number, options.project_id),
            ids=Ids(_randomness(options, database)),
            database=database,
            objects=ObjectReader(options.gcs_endpoint),
            scopes=Scopes(lambda: Scope(Clock(lambda: time.time_ns() // 1000), _switches(options))),
            notifications=Notifications(database, options.pubsub_endpoint),
        )
        self.operations = OperationEngine(self.context)
        self._conversations = ConversationMethods(self.context)
        self.control = ControlMethods(self.context, self.operations)
        self._rubric = Rubric() if options.qa_rubric is None else read_rubric(options.qa_rubric)
        self._server: Any = None
        self._rest: RestServer | None = None

    async def start(self) -> None:
        """Answer calls from now on; raise InputError when the port is taken."""
        handlers, host = self.handlers(), self._options.host
        self.operations.open()
        self.context.notifications.open()
        self._server = grpc.aio.server(options=_CHANNEL_OPTIONS)
        pipeline = RpcPipeline(
            self.context, self._conversations.forget_expired, self._recorder, self._replay
        )
        every: dict[str, Any] = {}
        for service in sorted({method.service for method in ALL_METHODS}):
            methods = [method for method in ALL_METHODS if method.service == service]
            entries = {m.name: pipeline.entry(m, handlers.get(m.handler)) for m in methods}
            self._serve(service, entries)
            every |= entries
        self._serve(CONTROL_SERVICE, control_entries(self.context.scopes, self.control.handlers()))
        await self._serve_health()
        enable_reflection(self._server, list(self.control.handlers()))
        self._server.add_generic_rpc_handlers((UnknownCalls(self.context),))
        try:
            self.port = self._server.add_insecure_port(f"{host}:{self._options.port}")
        except RuntimeError as error:
            raise InputError(
                f"port {self._options.port} on {host} is taken", "give another --port"
            ) from error
        self._rest = RestServer(every, RestResources(self.context), self._options.rest_port)
        await self._rest.start(host)
        self.rest_port = self._rest.port
        await self._server.start()

    async def stop(self) -> None:
        """End calls within a second and close the store."""
        if self._rest is not None:
            await self._rest.stop()
        await self._server.stop(_STOP_GRACE_SEC)
        await self.operations.close()
        await self.context.notifications.close()
        if self._recorder is not None:
            self._recorder.close()
        self._annotators.close()
        self.context.objects.close()
        self.context.database.close()

    def handlers(self) -> dict[str, Handler]:
        """Return the Python methods that answer, by RPC name in snake case."""
        conversations, matchers = self._conversations, MatcherStore(self.context.database)
        groups = (
            conversations,
            AnalysisMethods(
                self.context,
                conversations,
                self.operations,
                self._annotators,
                matchers,
                self._rubric,
            ),
            MatcherMethods(self.context, matchers),
            OperationMethods(self.context, self.operations),
            IngestionMethods(self.context, conversations, self.operations),
            BulkDeleteMethods(self.context, self.operations),
            ExportMethods(
                self.context,
                conversations,
                self.operations,
                self._options.bigquery_endpoint,
                self._options.export_version,
            ),
            SettingsMethods(self.context, self.operations),
            AnalysisRuleMethods(self.context),
            ViewMethods(self.context),
            ScorecardMethods(self.context, self.operations),
            FeedbackLabelMethods(self.context, self.operations),
            IssueModelMethods(self.context, self.operations),
            StatisticsMethods(self.context),
            QueryMetricsMethods(self.context, self.operations),
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
